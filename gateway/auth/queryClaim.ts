/** Signature Version 4 in the query: presigned URLs. */
import {
  checkNothingUnsigned,
  checkScope,
  dateMismatch,
  parseCredentialScope,
  parseSignedHeaders,
  SKEW_MS_MAX,
  unsupported,
} from './claim.ts';
import type { Claim, CredentialScope, Expectation } from './claim.ts';
import type { QueryParameter, SignableHeaders } from './head.ts';
import { ALGORITHM } from './signature.ts';
import { isoSeconds, parseBasicTimestamp } from './time.ts';
import type { Timestamp } from './time.ts';
import { AuthError } from './types.ts';

/** Seven days. Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters". */
const EXPIRES_S_MAX = 604_800;

const REQUIRED = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-Date',
  'X-Amz-SignedHeaders',
  'X-Amz-Expires',
] as const;
const CONTENT_SHA256 = 'X-Amz-Content-Sha256';
const READ: ReadonlySet<string> = new Set([...REQUIRED, CONTENT_SHA256]);

/** @throws AuthError for everything that is wrong without knowing the secret */
export function readQueryClaim(
  headers: SignableHeaders,
  query: readonly QueryParameter[],
  expectation: Expectation,
): Claim {
  const parameters = decodeParameters(query);
  const take = (name: (typeof REQUIRED)[number]) => parameters.get(name) ?? incomplete();
  checkAlgorithm(take('X-Amz-Algorithm'));
  const scope = parseCredential(take('X-Amz-Credential'), expectation);
  const signature = take('X-Amz-Signature');
  const timestamp = parseBasicTimestamp(take('X-Amz-Date'));
  if (timestamp === undefined) {
    malformed(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`);
  }
  if (scope.date !== timestamp.basic.slice(0, 8)) malformed(dateMismatch(scope, timestamp));
  const signedHeaders = parseSignedHeaders(take('X-Amz-SignedHeaders'));
  if (signedHeaders === undefined) malformed('X-Amz-SignedHeaders is mal-formed.');
  checkValidity(timestamp, parseExpires(take('X-Amz-Expires')), expectation.now);
  checkNothingUnsigned(headers, signedHeaders);
  const contentSha256 = agreedContentSha256(headers, parameters);
  return { accessKey: scope.accessKey, timestamp, signedHeaders, signature, contentSha256, presigned: true };
}

/** The parameters of the signature, decoded; given twice they could mean one thing here and another elsewhere. */
function decodeParameters(query: readonly QueryParameter[]): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const { name: sentName, value } of query) {
    // Smithy's signers move the header of that name into the query as it is.
    const name = sentName === 'x-amz-content-sha256' ? CONTENT_SHA256 : sentName;
    if (!READ.has(name)) continue;
    if (parameters.has(name)) malformed(`The ${name} parameter must be given once.`);
    parameters.set(name, decode(name, value));
  }
  return parameters;
}

function decode(name: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    malformed(`The ${name} parameter is not valid UTF-8.`);
  }
}

function checkAlgorithm(algorithm: string): void {
  if (algorithm === ALGORITHM) return;
  if (algorithm === 'AWS4-ECDSA-P256-SHA256') throw unsupported();
  malformed(`X-Amz-Algorithm only supports "${ALGORITHM}"`);
}

function parseCredential(text: string, expectation: Expectation): CredentialScope {
  const refuse: typeof malformed = (reason, fields) =>
    malformed(`Error parsing the X-Amz-Credential parameter; ${reason}`, fields);
  const scope = parseCredentialScope(text);
  if (scope === undefined) {
    refuse('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  }
  checkScope(scope, expectation, refuse);
  return scope;
}

function parseExpires(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) malformed('X-Amz-Expires should be a number');
  const expires = Number(text);
  // Over before it began: denied like any other that has expired.
  if (expires < 1) throw new AuthError('RequestExpired', 'Request has expired', [['X-Amz-Expires', text]]);
  if (expires > EXPIRES_S_MAX) {
    malformed(
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${EXPIRES_S_MAX} seconds`,
    );
  }
  return expires;
}

function checkValidity(timestamp: Timestamp, expires: number, now: number): void {
  const serverTime = ['ServerTime', isoSeconds(now)] as const;
  if (timestamp.ms - now > SKEW_MS_MAX) {
    throw new AuthError('AccessDenied', 'Request is not yet valid', [serverTime]);
  }
  const expiresAt = timestamp.ms + expires * 1000;
  if (now <= expiresAt) return;
  throw new AuthError('RequestExpired', 'Request has expired', [
    ['X-Amz-Expires', String(expires)],
    ['Expires', isoSeconds(expiresAt)],
    serverTime,
  ]);
}

/** Header and parameter both hold what was signed of the payload; they may not differ. */
function agreedContentSha256(headers: SignableHeaders, parameters: ReadonlyMap<string, string>): string {
  const header = headers.get('x-amz-content-sha256');
  const parameter = parameters.get(CONTENT_SHA256);
  if (header !== undefined && parameter !== undefined && header !== parameter) {
    malformed('X-Amz-Content-Sha256 differs from the x-amz-content-sha256 header.');
  }
  return header ?? parameter ?? 'UNSIGNED-PAYLOAD';
}

function incomplete(): never {
  malformed(
    'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
  );
}

function malformed(reason: string, fields: readonly (readonly [string, string])[] = []): never {
  throw new AuthError('AuthorizationQueryParametersError', reason, fields);
}
