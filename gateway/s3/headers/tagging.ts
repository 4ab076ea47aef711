import type { Pairs } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import { child, children, childText } from '../parseXml.ts';
import type { XmlElement } from '../parseXml.ts';
import { element, rootElement } from '../xml.ts';
import type { Markup } from '../xml.ts';
import type { RequestHeaders } from '../types.ts';
import { invalidArgument } from './refuse.ts';

/** Source: S3 user guide, "Categorizing your objects using tags" and "Using cost allocation S3 bucket tags". */
export const OBJECT_TAGS_MAX = 10;
export const BUCKET_TAGS_MAX = 50;
/** UTF-16 units, as S3 counts them. */
const KEY_LENGTH_MAX = 128;
const VALUE_LENGTH_MAX = 256;
/** Letters, digits and spaces of any script, and these signs. */
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** x-amz-tagging: `a=b&c=d`, form-encoded. Undefined where absent. @throws S3Error 'InvalidArgument' | 'InvalidTag' */
export function taggingHeader(headers: RequestHeaders): Pairs | undefined {
  const value = headers.get('x-amz-tagging');
  if (value === undefined) return undefined;
  const tags = value
    .split('&')
    .filter((part) => part !== '')
    .map((part): readonly [string, string] => {
      const at = part.indexOf('=');
      return at < 0 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
  return checkTags(tags, OBJECT_TAGS_MAX);
}

/** Tags of a parsed `<Tagging>` document. @throws S3Error 'MalformedXML' | 'InvalidTag' */
export function parseTagging(tagging: XmlElement, tagsMax: number): Pairs {
  const set = child(tagging, 'TagSet');
  if (set === undefined) throw new S3Error('MalformedXML');
  const tags = children(set, 'Tag').map((tag): readonly [string, string] => {
    const key = childText(tag, 'Key');
    const value = childText(tag, 'Value');
    if (key === undefined || value === undefined) throw new S3Error('MalformedXML');
    return [key, value];
  });
  return checkTags(tags, tagsMax);
}

/** `<Tagging>` as GetObjectTagging and GetBucketTagging answer it: a set, so in the order of its keys, however it was sent. */
export function taggingElement(tags: Pairs): Markup {
  const sorted = tags.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return rootElement(
    'Tagging',
    element(
      'TagSet',
      sorted.map(([key, value]) => element('Tag', element('Key', key), element('Value', value))),
    ),
  );
}

function checkTags(tags: Pairs, tagsMax: number): Pairs {
  if (tags.length > tagsMax) {
    const what = tagsMax === OBJECT_TAGS_MAX ? 'Object' : 'Bucket';
    throw new S3Error('InvalidTag', `${what} tags cannot be greater than ${tagsMax}`);
  }
  const seen = new Set<string>();
  for (const [key, value] of tags) {
    if (key === '' || key.length > KEY_LENGTH_MAX || !ALLOWED.test(key)) {
      throw new S3Error('InvalidTag', 'The TagKey you have provided is invalid', {
        fields: [['TagKey', key]],
      });
    }
    if (value.length > VALUE_LENGTH_MAX || !ALLOWED.test(value)) {
      throw new S3Error('InvalidTag', 'The TagValue you have provided is invalid', {
        fields: [
          ['TagKey', key],
          ['TagValue', value],
        ],
      });
    }
    if (key.toLowerCase().startsWith('aws:')) {
      throw new S3Error('InvalidTag', 'System tags cannot be added/updated by requester');
    }
    if (seen.has(key)) {
      throw new S3Error('InvalidTag', 'Cannot provide multiple Tags with the same key', {
        fields: [['TagKey', key]],
      });
    }
    seen.add(key);
  }
  return tags;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalidArgument(
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      'x-amz-tagging',
      text,
    );
  }
}
