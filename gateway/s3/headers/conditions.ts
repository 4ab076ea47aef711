import type { Conditions } from '../../engine/types.ts';
import type { RequestHeaders } from '../types.ts';
import { parseHttpDate } from './dates.ts';
import { notImplemented } from './refuse.ts';

/** Conditions of a read; undefined where there are none. An invalid date is no condition (RFC 9110 13.1.3, as on S3). */
export function readConditions(headers: RequestHeaders): Conditions | undefined {
  return conditionsOf(headers, '');
}

/** Conditions on the source of a copy: `x-amz-copy-source-if-*`. */
export function copySourceConditions(headers: RequestHeaders): Conditions | undefined {
  return conditionsOf(headers, 'x-amz-copy-source-');
}

/** Conditions of a write: If-Match and If-None-Match. */
export function writeConditions(headers: RequestHeaders): Conditions | undefined {
  return entityTagConditions(headers, '');
}

/** Conditions of a DELETE: If-Match. @throws S3Error 'NotImplemented' for those that only directory buckets have: a condition is never dropped */
export function deleteConditions(headers: RequestHeaders): Conditions | undefined {
  for (const name of ['x-amz-if-match-last-modified-time', 'x-amz-if-match-size']) {
    if (headers.get(name) !== undefined) throw notImplemented(name);
  }
  const ifMatch = headers.get('if-match');
  return ifMatch === undefined ? undefined : { ifMatch: parseEntityTags(ifMatch) };
}

function entityTagConditions(headers: RequestHeaders, prefix: string): Conditions | undefined {
  const ifMatch = headers.get(`${prefix}if-match`);
  const ifNoneMatch = headers.get(`${prefix}if-none-match`);
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    ...(ifMatch !== undefined && { ifMatch: parseEntityTags(ifMatch) }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch: parseEntityTags(ifNoneMatch) }),
  };
}

/** RFC 9110 13.2.2: beside If-Match, If-Unmodified-Since does not count; beside If-None-Match, If-Modified-Since does not. */
function conditionsOf(headers: RequestHeaders, prefix: string): Conditions | undefined {
  const tags = entityTagConditions(headers, prefix);
  const unmodified =
    tags?.ifMatch === undefined ? dateOf(headers, `${prefix}if-unmodified-since`) : undefined;
  const modified =
    tags?.ifNoneMatch === undefined ? dateOf(headers, `${prefix}if-modified-since`) : undefined;
  if (tags === undefined && unmodified === undefined && modified === undefined) return undefined;
  return {
    ...tags,
    ...(modified !== undefined && { ifModifiedSince: modified }),
    ...(unmodified !== undefined && { ifUnmodifiedSince: unmodified }),
  };
}

function dateOf(headers: RequestHeaders, name: string): number | undefined {
  const value = headers.get(name);
  return value === undefined ? undefined : parseHttpDate(value);
}

/**
 * ETags of a list, unquoted: `"a", W/"b", c` → a, b, c; a '*' stays. Clients send them quoted, weak and bare. An empty list has the
 * one entry '', which no object matches.
 */
export function parseEntityTags(value: string): string[] {
  const tags = value
    .split(',')
    .map(unquoteEntityTag)
    .filter((tag) => tag !== '');
  return tags.length === 0 ? [''] : tags;
}

/** `W/"a"`, `"a"` and `a` → a */
export function unquoteEntityTag(value: string): string {
  const text = value.trim().replace(/^W\//, '');
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

/** As ETag headers and documents carry it: `"a"`. */
export function quoteEntityTag(etag: string): string {
  return `"${etag}"`;
}
