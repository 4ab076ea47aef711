import type { Pairs } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../types.ts';

const PREFIX = 'x-amz-meta-';

/** Bytes of UTF-8, names (without the prefix) and values together. Source: S3 user guide, "User-defined object metadata". */
const METADATA_BYTES_MAX = 2 * 1024;

/** Metadata of x-amz-meta-* headers: names lower-case and without the prefix, in name order. @throws S3Error 'MetadataTooLarge' */
export function userMetadata(headers: RequestHeaders): Pairs {
  const pairs: (readonly [string, string])[] = [];
  let size = 0;
  for (const [name, value] of headers.entries()) {
    if (!name.startsWith(PREFIX)) continue;
    const short = name.slice(PREFIX.length);
    size += Buffer.byteLength(short) + Buffer.byteLength(value);
    pairs.push([short, value]);
  }
  if (size > METADATA_BYTES_MAX) {
    throw new S3Error('MetadataTooLarge', undefined, {
      fields: [
        ['Size', String(size)],
        ['MaxSizeAllowed', String(METADATA_BYTES_MAX)],
      ],
    });
  }
  return pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Metadata as response headers. ASCII goes out as it came; anything else as RFC 2047 words, as on S3. */
export function metadataHeaders(metadata: Pairs): Pairs {
  return metadata.map(([name, value]) => [PREFIX + name, encodeMetadataValue(value)] as const);
}

const PRINTABLE = /^[\x20-\x7e\t]*$/;

/** RFC 2047 2: an encoded word has at most 75 characters, of which `=?UTF-8?B?` and `?=` take 12: 63, so 15 groups of base64. */
const WORD_BYTES_MAX = 45;

/** `ä` → `=?UTF-8?B?w6Q=?=`; printable ASCII as it is. Long values become several words, cut between characters. */
export function encodeMetadataValue(value: string): string {
  if (PRINTABLE.test(value)) return value;
  const words: string[] = [];
  let word = '';
  let wordBytes = 0;
  for (const character of value) {
    const bytes = Buffer.byteLength(character);
    if (wordBytes + bytes > WORD_BYTES_MAX) {
      words.push(word);
      word = '';
      wordBytes = 0;
    }
    word += character;
    wordBytes += bytes;
  }
  words.push(word);
  return words.map((text) => `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`).join(' ');
}
