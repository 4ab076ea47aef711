import { S3Error } from '../errors.ts';
import { KEY_BYTES_MAX, isBucketName } from '../names.ts';
import type { RequestHeaders } from '../types.ts';
import { invalidArgument } from './refuse.ts';

export const COPY_SOURCE_HEADER = 'x-amz-copy-source';

/** The object version that a copy reads. */
export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
}

/**
 * x-amz-copy-source: `/bucket/key` or `bucket/key`, percent-encoded whole or by segment, with `?versionId=` behind it.
 * '+' is a space, as S3 reads it: clients write a plus sign as %2B.
 * @throws S3Error 'InvalidArgument' | 'InvalidBucketName' | 'KeyTooLongError'
 */
export function parseCopySource(headers: RequestHeaders): CopySource {
  const value = headers.get(COPY_SOURCE_HEADER) ?? '';
  const marker = '?versionId=';
  const at = value.lastIndexOf(marker);
  const path = decode(at < 0 ? value : value.slice(0, at), value).replace(/^\//, '');
  const slash = path.indexOf('/');
  if (slash <= 0 || slash === path.length - 1) {
    throw invalidArgument(
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
      COPY_SOURCE_HEADER,
      value,
    );
  }
  const source = { bucket: path.slice(0, slash), key: path.slice(slash + 1) };
  if (!isBucketName(source.bucket)) {
    throw new S3Error('InvalidBucketName', undefined, { fields: [['BucketName', source.bucket]] });
  }
  if (Buffer.byteLength(source.key) > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError');
  if (at < 0) return source;
  const versionId = decode(value.slice(at + marker.length), value);
  if (versionId === '') throw invalidArgument('Version id cannot be the empty string', 'versionId', '');
  return { ...source, versionId };
}

function decode(text: string, value: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalidArgument('Invalid copy source encoding.', COPY_SOURCE_HEADER, value);
  }
}
