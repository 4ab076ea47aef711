/** Authentication of a request's head by AWS Signature Version 4, in the Authorization header or in the query. */
import { canonicalRequests } from './canonical.ts';
import { chooseMechanism } from './claim.ts';
import type { Claim, Expectation } from './claim.ts';
import { indexHeaders, indexQuery } from './head.ts';
import { readHeaderClaim } from './headerClaim.ts';
import { readPayloadMode } from './payloadMode.ts';
import { readQueryClaim } from './queryClaim.ts';
import { ALGORITHM, equalSignatures, hmacHex, sha256Hex, SigningKeys, TERMINAL } from './signature.ts';
import { AuthError } from './types.ts';
import type { Authentication, ChunkSigning, CredentialStore, RequestHead } from './types.ts';

export interface AuthenticatorOptions {
  readonly credentials: CredentialStore;
  /** The one region that signatures must be made for. */
  readonly region: string;
  readonly clock: {
    /** ms since the epoch */
    now(): number;
  };
  readonly service: 's3';
}

export interface Authenticator {
  /**
   * Who sent the request and how its body is framed. The body itself is checked as it is read: decodePayload for chunk signatures,
   * the engine for a signed SHA-256.
   * @throws AuthError
   */
  authenticate(head: RequestHead): Promise<Authentication>;
}

/** Signs in place of an unknown key's secret, so that knowing a key and not knowing it take the same work. */
const NO_SECRET = 'no credential has this secret';

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { credentials, region, clock, service } = options;
  const signingKeys = new SigningKeys(region, service);

  return {
    async authenticate(head) {
      const headers = indexHeaders(head.rawHeaders);
      const query = indexQuery(head.rawQuery);
      const expectation: Expectation = { region, service, now: clock.now() };
      const claim =
        chooseMechanism(headers, query) === 'header'
          ? readHeaderClaim(headers, expectation)
          : readQueryClaim(headers, query, expectation);
      const payloadMode = readPayloadMode(claim.contentSha256);

      const credential = await credentials.find(claim.accessKey);
      const date = claim.timestamp.basic.slice(0, 8);
      const scope = `${date}/${region}/${service}/${TERMINAL}`;
      const signingKey = signingKeys.derive(credential?.secretKey ?? NO_SECRET, date);
      const candidates = canonicalRequests({
        head,
        headers,
        query,
        signedHeaders: claim.signedHeaders,
        payloadHash: claim.contentSha256,
      });
      const mismatch = compareSignature(claim, scope, signingKey, candidates);
      if (credential === undefined) throw unknownKey(claim.accessKey);
      if (mismatch !== undefined) throw doesNotMatch(claim, mismatch);

      const { accessKey, owner, displayName } = credential;
      const signing: ChunkSigning = {
        signingKey,
        seedSignature: claim.signature,
        timestamp: claim.timestamp.basic,
        scope,
      };
      return {
        principal: { accessKey, owner, displayName },
        payload: payloadMode(signing),
        presigned: claim.presigned,
      };
    },
  };
}

interface Mismatch {
  readonly canonicalRequest: string;
  readonly stringToSign: string;
}

/** Undefined when the signature is right for one of the canonical requests; else what the first of them would have signed. */
function compareSignature(
  claim: Claim,
  scope: string,
  signingKey: Uint8Array,
  candidates: Iterable<string>,
): Mismatch | undefined {
  let first: Mismatch | undefined;
  for (const canonicalRequest of candidates) {
    const hash = sha256Hex(canonicalRequest);
    const stringToSign = `${ALGORITHM}\n${claim.timestamp.basic}\n${scope}\n${hash}`;
    if (equalSignatures(hmacHex(signingKey, stringToSign), claim.signature)) return undefined;
    first ??= { canonicalRequest, stringToSign };
  }
  return first;
}

function unknownKey(accessKey: string): AuthError {
  return new AuthError(
    'InvalidAccessKeyId',
    'The AWS Access Key Id you provided does not exist in our records.',
    [['AWSAccessKeyId', accessKey]],
  );
}

/** Bytes of a canonical request that an error still repeats: a request of ordinary length, but no echo of 64 KiB of headers. */
const ECHO_BYTES_MAX = 8 * 1024;

/** With what the server has computed, as on AWS: it is how a client's author finds the difference. Nothing of it is secret. */
function doesNotMatch(claim: Claim, { canonicalRequest, stringToSign }: Mismatch): AuthError {
  const canonicalBytes = Buffer.from(canonicalRequest.slice(0, ECHO_BYTES_MAX), 'latin1');
  return new AuthError(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    [
      ['AWSAccessKeyId', claim.accessKey],
      ['StringToSign', stringToSign],
      ['SignatureProvided', claim.signature],
      ['StringToSignBytes', hexBytes(Buffer.from(stringToSign, 'latin1'))],
      ['CanonicalRequest', canonicalBytes.toString('utf8')],
      ['CanonicalRequestBytes', hexBytes(canonicalBytes)],
    ],
  );
}

/** `41 57 53`, as AWS writes bytes. */
function hexBytes(bytes: Buffer): string {
  return bytes.toString('hex').replaceAll(/..(?=.)/g, '$& ');
}
