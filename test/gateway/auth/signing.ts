/** Shared by the tests of authentication: the published example account, the AWS SDK's own signer, and requests as they look on the wire. */
import { createHash } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { createAuthenticator } from '../../../gateway/auth/sigv4.ts';
import type { Authenticator } from '../../../gateway/auth/sigv4.ts';
import { AuthError } from '../../../gateway/auth/types.ts';
import type { AuthErrorKind, CredentialStore, RequestHead } from '../../../gateway/auth/types.ts';

/** Of the examples in the Amazon S3 API Reference. */
export const ACCESS_KEY = 'AKIAIOSFODNN7EXAMPLE';
export const SECRET_KEY = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
export const SIGNED_AT = Date.UTC(2013, 4, 24);
export const REGION = 'us-east-1';
export const SCOPE = '20130524/us-east-1/s3/aws4_request';

export const credentials: CredentialStore = {
  find: (accessKey) =>
    Promise.resolve(
      accessKey === ACCESS_KEY
        ? { accessKey, secretKey: SECRET_KEY, owner: 'owner', displayName: 'name' }
        : undefined,
    ),
};

export function authenticatorAt(now: number): Authenticator {
  return createAuthenticator({ credentials, region: REGION, service: 's3', clock: { now: () => now } });
}

export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The kind an authentication is refused with, and the error for its fields. */
export async function refusal(
  head: RequestHead,
  now = SIGNED_AT,
): Promise<{ kind: AuthErrorKind | 'accepted'; message: string; fields: Map<string, string> }> {
  try {
    await authenticatorAt(now).authenticate(head);
    return { kind: 'accepted', message: '', fields: new Map() };
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return { kind: error.kind, message: error.message, fields: new Map(error.fields) };
  }
}

/** What the AWS SDK's signer takes: path already encoded, query and headers not. */
export interface Signable {
  readonly method: string;
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
}

interface SdkSigner {
  sign(request: object, options: object): Promise<Signable>;
  presign(request: object, options: object): Promise<Signable>;
}

async function sdkSigner(accessKeyId = ACCESS_KEY, secretAccessKey = SECRET_KEY): Promise<SdkSigner> {
  const client = new S3Client({ region: REGION, credentials: { accessKeyId, secretAccessKey } });
  const signer = client.config.signer as unknown as (scheme: object) => Promise<SdkSigner>;
  return signer({ name: 'sigv4', signingName: 's3', signingRegion: REGION, properties: {} });
}

export interface SigningOptions {
  readonly at?: number;
  readonly region?: string;
  readonly service?: string;
  readonly accessKey?: string;
  readonly secretKey?: string;
  readonly expiresIn?: number;
}

function smithyRequest(request: Signable): object {
  return { ...request, protocol: 'http:', hostname: request.headers['host'] };
}

function smithyOptions(options: SigningOptions): object {
  return {
    signingDate: new Date(options.at ?? SIGNED_AT),
    signingRegion: options.region ?? REGION,
    signingService: options.service ?? 's3',
  };
}

/** Signs in the Authorization header, by the AWS SDK. */
export async function sign(request: Signable, options: SigningOptions = {}): Promise<Signable> {
  const signer = await sdkSigner(options.accessKey, options.secretKey);
  return signer.sign(smithyRequest(request), smithyOptions(options));
}

/** Signs in the query, by the AWS SDK, which moves x-amz-* headers there too; without the body, as its presigner for S3 does. */
export async function presign(request: Signable, options: SigningOptions = {}): Promise<Signable> {
  const signer = await sdkSigner(options.accessKey, options.secretKey);
  const headers = { ...request.headers, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };
  return signer.presign(smithyRequest({ ...request, headers }), {
    ...smithyOptions(options),
    expiresIn: options.expiresIn ?? 3600,
  });
}

/** RFC 3986: everything but unreserved characters escaped. */
export function escape(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A signed request as a server sees it. Header text goes out as UTF-8, which Node shows as latin1. */
export function onTheWire(request: Signable): RequestHead {
  return {
    method: request.method,
    rawPath: request.path,
    rawQuery: Object.entries(request.query)
      .map(([name, value]) => `${escape(name)}=${escape(value)}`)
      .join('&'),
    rawHeaders: Object.entries(request.headers).flatMap(([name, value]) => [
      name,
      Buffer.from(value, 'utf8').toString('latin1').trim(),
    ]),
  };
}

export function withHeader(head: RequestHead, name: string, value: string | undefined): RequestHead {
  const rawHeaders: string[] = [];
  for (let at = 0; at < head.rawHeaders.length; at += 2) {
    const [other, old] = [head.rawHeaders[at]!, head.rawHeaders[at + 1]!];
    if (other.toLowerCase() !== name.toLowerCase()) rawHeaders.push(other, old);
  }
  if (value !== undefined) rawHeaders.push(name, value);
  return { ...head, rawHeaders };
}

export function header(head: RequestHead, name: string): string {
  const at = head.rawHeaders.findIndex((other, index) => index % 2 === 0 && other.toLowerCase() === name);
  return head.rawHeaders[at + 1]!;
}
