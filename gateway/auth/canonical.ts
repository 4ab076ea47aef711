/** The canonical request of Signature Version 4, as a latin1 string: one character is one byte to be hashed. */
import { isUtf8 } from 'node:buffer';
import type { QueryParameter, SignableHeaders } from './head.ts';
import { canonicalPath, canonicalPathKeepingEscapedSlash } from './percent.ts';
import type { RequestHead } from './types.ts';

/** The parameter that carries a presigned request's signature: never part of what is signed. */
const SIGNATURE_PARAMETER = 'X-Amz-Signature';

/** Hop-by-hop headers that proxies consume although some clients sign them, with the only value that clients send. */
const HOP_BY_HOP: ReadonlyMap<string, string> = new Map([
  ['expect', '100-continue'],
  ['transfer-encoding', 'chunked'],
]);

const ESCAPED_SLASH = /%2f/i;
const NOT_ASCII = /[^\0-\x7f]/;

export interface CanonicalParts {
  readonly head: RequestHead;
  readonly headers: SignableHeaders;
  readonly query: readonly QueryParameter[];
  /** Lower case, sorted. */
  readonly signedHeaders: readonly string[];
  /** Last line of the canonical request: x-amz-content-sha256 as sent, or UNSIGNED-PAYLOAD. */
  readonly payloadHash: string;
}

/**
 * The canonical requests that a client may have signed for these parts, the usual one first. There is a second one only where
 * clients disagree: an escaped slash in the path, and header bytes that are not UTF-8 (Node's http sends latin1 where the AWS
 * SDK for JavaScript has signed the UTF-8 of the same text). Every candidate stands for the same key and the same header text.
 */
export function* canonicalRequests(parts: CanonicalParts): Generator<string> {
  const query = canonicalQuery(parts.query);
  const headers = canonicalHeaders(parts.signedHeaders, parts.headers);
  const signedHeaders = parts.signedHeaders.join(';');
  const { method, rawPath } = parts.head;
  const assemble = (path: string, lines: string) =>
    `${method}\n${path}\n${query}\n${lines}\n${signedHeaders}\n${parts.payloadHash}`;

  const path = canonicalPath(rawPath);
  yield assemble(path, headers);
  const otherPath = ESCAPED_SLASH.test(rawPath) ? canonicalPathKeepingEscapedSlash(rawPath) : undefined;
  if (otherPath !== undefined) yield assemble(otherPath, headers);
  if (!NOT_ASCII.test(headers)) return;
  const otherHeaders = canonicalHeaders(parts.signedHeaders, parts.headers, utf8OfLatin1);
  if (otherHeaders === headers) return;
  yield assemble(path, otherHeaders);
  if (otherPath !== undefined) yield assemble(otherPath, otherHeaders);
}

/** Sorted by encoded name, then by encoded value. */
function canonicalQuery(query: readonly QueryParameter[]): string {
  if (query.length === 0) return '';
  const signed = query.filter((parameter) => parameter.name !== SIGNATURE_PARAMETER);
  if (signed.length > 1) signed.sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value));
  return signed.map((parameter) => `${parameter.name}=${parameter.value}`).join('&');
}

/** Both are ASCII, so UTF-16 order is byte order. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A signed header that is not in the request has no line: dropping a header breaks the signature even if its value was empty. */
function canonicalHeaders(
  names: readonly string[],
  headers: SignableHeaders,
  convert: (value: string) => string = (value) => value,
): string {
  let lines = '';
  for (const name of names) {
    const value = headers.get(name) ?? HOP_BY_HOP.get(name);
    if (value !== undefined) lines += `${name}:${convert(value)}\n`;
  }
  return lines;
}

/** Values that are UTF-8 already are left alone: requests read them as UTF-8, and only one text may be accepted as signed. */
function utf8OfLatin1(value: string): string {
  if (!NOT_ASCII.test(value) || isUtf8(Buffer.from(value, 'latin1'))) return value;
  return Buffer.from(value, 'utf8').toString('latin1');
}
