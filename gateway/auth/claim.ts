/** What a signed request claims, before anything of it is believed; and the checks that both forms of signature share. */
import type { QueryParameter, SignableHeaders } from './head.ts';
import { ALGORITHM, TERMINAL } from './signature.ts';
import type { Timestamp } from './time.ts';
import { AuthError } from './types.ts';

/** Source: Amazon S3 API Reference, RequestTimeTooSkewed: 15 minutes. */
export const SKEW_MS_MAX = 15 * 60 * 1000;

/** Where signatures must be made for, and the time it is. */
export interface Expectation {
  readonly region: string;
  readonly service: string;
  /** ms since the epoch */
  readonly now: number;
}

export interface Claim {
  readonly accessKey: string;
  readonly timestamp: Timestamp;
  /** Lower case, sorted, no duplicates. */
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** x-amz-content-sha256 as sent, UNSIGNED-PAYLOAD when a presigned request has none. */
  readonly contentSha256: string;
  readonly presigned: boolean;
}

export interface CredentialScope {
  readonly accessKey: string;
  /** yyyyMMdd */
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly terminal: string;
}

/** `key/yyyyMMdd/region/service/aws4_request`; the access key may contain slashes. Undefined when it has fewer parts. */
export function parseCredentialScope(text: string): CredentialScope | undefined {
  const parts = text.split('/');
  if (parts.length < 5) return undefined;
  const [date, region, service, terminal] = parts.slice(-4);
  const accessKey = parts.slice(0, -4).join('/');
  return accessKey === ''
    ? undefined
    : { accessKey, date: date!, region: region!, service: service!, terminal: terminal! };
}

/** Calls `refuse` with AWS's words for the first part of the scope that is wrong. */
export function checkScope(
  scope: CredentialScope,
  expectation: Expectation,
  refuse: (reason: string, fields?: readonly (readonly [string, string])[]) => never,
): void {
  if (!/^\d{8}$/.test(scope.date)) {
    refuse(
      `incorrect date format "${scope.date}". This date in the credential must be in the format "yyyyMMdd".`,
    );
  }
  if (scope.terminal !== TERMINAL) {
    refuse(`incorrect terminal "${scope.terminal}". This endpoint uses "${TERMINAL}".`);
  }
  if (scope.service !== expectation.service) {
    refuse(`incorrect service "${scope.service}". This endpoint belongs to "${expectation.service}".`);
  }
  if (scope.region !== expectation.region) {
    refuse(`the region '${scope.region}' is wrong; expecting '${expectation.region}'`, [
      ['Region', expectation.region],
    ]);
  }
}

export function dateMismatch(scope: CredentialScope, timestamp: Timestamp): string {
  return `Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${timestamp.basic.slice(0, 8)}".`;
}

/** Undefined for an empty list, an empty name and a name given twice. */
export function parseSignedHeaders(text: string): readonly string[] | undefined {
  const names = text.toLowerCase().split(';').sort();
  const valid = names.every((name, at) => name !== '' && name !== names[at - 1]);
  return valid ? names : undefined;
}

/**
 * The host must be signed, and every x-amz-* header: each of them means something to the request.
 * @throws AuthError 'AccessDenied'
 */
export function checkNothingUnsigned(headers: SignableHeaders, signedHeaders: readonly string[]): void {
  const missing: string[] = signedHeaders.includes('host') ? [] : ['host'];
  for (const name of headers.keys()) {
    if (name.startsWith('x-amz-') && !signedHeaders.includes(name)) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new AuthError('AccessDenied', 'There were headers present in the request which were not signed', [
    ['HeadersNotSigned', missing.sort().join(', ')],
  ]);
}

export type Mechanism = 'header' | 'query';

const SIGV4_PARAMETERS: ReadonlySet<string> = new Set([
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
]);
const SIGV2_PARAMETERS: ReadonlySet<string> = new Set(['AWSAccessKeyId', 'Signature']);

/**
 * Which of the forms a request uses. One that shows parts of two of them is refused: what one check overlooks, another might trust.
 * @throws AuthError 'AccessDenied' for none, 'AmbiguousAuthentication', 'UnsupportedSignature'
 */
export function chooseMechanism(headers: SignableHeaders, query: readonly QueryParameter[]): Mechanism {
  const authorization = headers.get('authorization');
  const sigV4 = query.some((parameter) => SIGV4_PARAMETERS.has(parameter.name));
  const sigV2 = query.some((parameter) => SIGV2_PARAMETERS.has(parameter.name));
  if (Number(authorization !== undefined) + Number(sigV4) + Number(sigV2) > 1) throw ambiguous(authorization);
  if (sigV2) throw unsupported();
  if (authorization !== undefined) {
    if (authorization === ALGORITHM || authorization.startsWith(`${ALGORITHM} `)) return 'header';
    throw unsupported();
  }
  // Without X-Amz-Algorithm a query is not an attempt to sign: AWS takes such a request as anonymous.
  if (query.some((parameter) => parameter.name === 'X-Amz-Algorithm')) return 'query';
  throw new AuthError('AccessDenied', 'Access Denied');
}

function ambiguous(authorization: string | undefined): AuthError {
  return new AuthError(
    'AmbiguousAuthentication',
    'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
    authorization === undefined ? [] : [['ArgumentName', 'Authorization']],
  );
}

/** Signature Version 2, Version 4A and anything else. */
export function unsupported(): AuthError {
  return new AuthError(
    'UnsupportedSignature',
    `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
  );
}
