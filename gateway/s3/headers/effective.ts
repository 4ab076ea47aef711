import type { RequestHeaders, S3Request } from '../types.ts';
import { invalidArgument } from './refuse.ts';

/** RFC 9110 5.6.2, lower case: what a header name is made of. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const CONTROL = /\p{Cc}/u;

/** Checksum values in a presigned query are judged apart (checksum.ts): SDKs put there what they computed of no body. */
const APART = 'x-amz-checksum-';

/**
 * The request's headers, and on a presigned URL the `x-amz-*` query parameters as headers too: presigners hoist metadata, ACL,
 * storage class, tags and encryption into the query, where S3 reads them. A header on the wire goes first.
 * @throws S3Error 'InvalidArgument' for a parameter that could not be a header
 */
export function effectiveHeaders(request: S3Request): RequestHeaders {
  const { query, headers } = request;
  if (!query.has('X-Amz-Signature')) return headers;
  const hoisted = new Map<string, string>();
  for (const name of query.names()) {
    const lower = name.toLowerCase();
    if (!lower.startsWith('x-amz-') || SIGNING.has(lower) || isChecksumValueName(lower)) continue;
    const value = query.get(name) ?? '';
    if (!TOKEN.test(lower)) throw invalidArgument('The parameter cannot be a header.', lower);
    if (CONTROL.test(value)) throw invalidArgument('Header value contains control characters.', lower);
    if (headers.get(lower) === undefined) hoisted.set(lower, value);
  }
  return hoisted.size === 0 ? headers : new HoistedHeaders(headers, hoisted);
}

function isChecksumValueName(name: string): boolean {
  return name.startsWith(APART) && !SETTINGS.has(name);
}

const SETTINGS: ReadonlySet<string> = new Set([
  'x-amz-checksum-algorithm',
  'x-amz-checksum-mode',
  'x-amz-checksum-type',
]);

/** Parameters of the signature itself, and `x-amz-sdk-checksum-algorithm`, which belongs to the value that stays apart. */
const SIGNING: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-content-sha256',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-decoded-content-length',
  'x-amz-expires',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-security-token',
  'x-amz-signature',
  'x-amz-signedheaders',
  'x-amz-trailer',
]);

class HoistedHeaders implements RequestHeaders {
  readonly #headers: RequestHeaders;
  readonly #hoisted: ReadonlyMap<string, string>;
  constructor(headers: RequestHeaders, hoisted: ReadonlyMap<string, string>) {
    this.#headers = headers;
    this.#hoisted = hoisted;
  }

  get(name: string): string | undefined {
    return this.#headers.get(name) ?? this.#hoisted.get(name.toLowerCase());
  }

  *entries(): Iterable<readonly [string, string]> {
    yield* this.#headers.entries();
    yield* this.#hoisted;
  }
}
