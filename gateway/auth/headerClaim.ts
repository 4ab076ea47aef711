/** Signature Version 4 in the Authorization header. */
import {
  checkNothingUnsigned,
  checkScope,
  dateMismatch,
  parseCredentialScope,
  parseSignedHeaders,
  SKEW_MS_MAX,
} from './claim.ts';
import type { Claim, Expectation } from './claim.ts';
import type { SignableHeaders } from './head.ts';
import { ALGORITHM } from './signature.ts';
import { isoSeconds, parseTimestamp } from './time.ts';
import type { Timestamp } from './time.ts';
import { AuthError } from './types.ts';

/** @throws AuthError for everything that is wrong without knowing the secret */
export function readHeaderClaim(headers: SignableHeaders, expectation: Expectation): Claim {
  const components = parseAuthorization(headers.get('authorization') ?? '');
  const scope = parseCredentialScope(components.credential);
  if (scope === undefined) {
    malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  }
  checkScope(scope, expectation, malformed);
  const signedHeaders = parseSignedHeaders(components.signedHeaders);
  if (signedHeaders === undefined) malformed('the SignedHeaders component is mal-formed.');

  const contentSha256 = headers.get('x-amz-content-sha256');
  if (contentSha256 === undefined) {
    throw new AuthError(
      'MissingSecurityHeader',
      'Missing required header for this request: x-amz-content-sha256',
    );
  }
  const timestamp = requestTime(headers);
  if (scope.date !== timestamp.basic.slice(0, 8)) malformed(dateMismatch(scope, timestamp));
  checkSkew(timestamp, expectation.now);
  checkNothingUnsigned(headers, signedHeaders);
  const { signature } = components;
  return { accessKey: scope.accessKey, timestamp, signedHeaders, signature, contentSha256, presigned: false };
}

interface Components {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
}

/** Components are split by commas, with or without spaces around them; each must come exactly once, and nothing else. */
function parseAuthorization(authorization: string): Components {
  const components = new Map<string, string>();
  for (const piece of authorization.slice(ALGORITHM.length).split(',')) {
    const text = piece.trim();
    const equals = text.indexOf('=');
    const name = text.slice(0, Math.max(equals, 0));
    if (name !== 'Credential' && name !== 'SignedHeaders' && name !== 'Signature') {
      malformed(`the authorization component "${text}" is malformed.`);
    }
    if (components.has(name)) malformed(`the authorization component "${name}" is repeated.`);
    components.set(name, text.slice(equals + 1));
  }
  const take = (name: string) => components.get(name) ?? malformed(`missing ${name}.`);
  return {
    credential: take('Credential'),
    signedHeaders: take('SignedHeaders'),
    signature: take('Signature'),
  };
}

function requestTime(headers: SignableHeaders): Timestamp {
  const text = headers.get('x-amz-date') ?? headers.get('date');
  const timestamp = text === undefined ? undefined : parseTimestamp(text);
  if (timestamp === undefined) {
    throw new AuthError('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  }
  return timestamp;
}

function checkSkew(timestamp: Timestamp, now: number): void {
  if (Math.abs(now - timestamp.ms) <= SKEW_MS_MAX) return;
  throw new AuthError(
    'RequestTimeTooSkewed',
    'The difference between the request time and the current time is too large.',
    [
      ['RequestTime', timestamp.basic],
      ['ServerTime', isoSeconds(now)],
      ['MaxAllowedSkewMilliseconds', String(SKEW_MS_MAX)],
    ],
  );
}

function malformed(reason: string, fields: readonly (readonly [string, string])[] = []): never {
  throw new AuthError(
    'AuthorizationHeaderMalformed',
    `The authorization header is malformed; ${reason}`,
    fields,
  );
}
