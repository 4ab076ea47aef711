/** Seams of authentication: pure over a request's head; bodies are decoded by gateway/auth/payload.ts. */

export interface Credential {
  readonly accessKey: string;
  /** Cleartext, in memory only; sealed at rest. */
  readonly secretKey: string;
  /** Canonical owner id of the account, stable when keys are rotated. */
  readonly owner: string;
  readonly displayName: string;
}

export interface CredentialStore {
  /** Undefined for unknown and for disabled keys alike. */
  find(accessKey: string): Promise<Credential | undefined>;
}

export interface Principal {
  readonly accessKey: string;
  readonly owner: string;
  readonly displayName: string;
}

/** An action on a resource, named as in IAM: `s3:PutObject` on `bucket/key`, `bucket` or `*`. */
export interface Authorizer {
  allows(principal: Principal, action: string, resource: string): boolean;
}

/** The head of a request as it came over the wire: nothing normalised. */
export interface RequestHead {
  readonly method: string;
  /** Path as sent, still percent-encoded, without the query; begins with '/'. Never a parsed URL. */
  readonly rawPath: string;
  /** Query as sent, without '?'; '' when absent. */
  readonly rawQuery: string;
  /** Node's rawHeaders: name, value, name, value, …; values are latin1 strings of the bytes on the wire. */
  readonly rawHeaders: readonly string[];
}

/** How the body is framed and what of it is signed. */
export type PayloadMode =
  /** x-amz-content-sha256 is the hash of the body. */
  | { readonly kind: 'Signed'; readonly sha256: string }
  | { readonly kind: 'Unsigned' }
  /** STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER] */
  | { readonly kind: 'SignedChunks'; readonly trailer: boolean; readonly signing: ChunkSigning }
  /** STREAMING-UNSIGNED-PAYLOAD-TRAILER */
  | { readonly kind: 'UnsignedChunks' };

/** What the chain of chunk signatures starts from. */
export interface ChunkSigning {
  /** 32 bytes. */
  readonly signingKey: Uint8Array;
  readonly seedSignature: string;
  /** 20251123T101112Z */
  readonly timestamp: string;
  /** date/region/s3/aws4_request */
  readonly scope: string;
}

export interface Authentication {
  readonly principal: Principal;
  readonly payload: PayloadMode;
  readonly presigned: boolean;
}

export type AuthErrorKind =
  | 'AccessDenied'
  /** More than one of: Authorization header, SigV4 query, SigV2 query. */
  | 'AmbiguousAuthentication'
  | 'InvalidAccessKeyId'
  | 'SignatureDoesNotMatch'
  | 'RequestTimeTooSkewed'
  | 'RequestExpired'
  | 'AuthorizationHeaderMalformed'
  | 'AuthorizationQueryParametersError'
  | 'MissingSecurityHeader'
  | 'InvalidContentSha256'
  | 'InvalidChunk'
  | 'IncompleteChunks'
  | 'ChunkTooSmall'
  | 'MalformedTrailer'
  | 'UnsupportedSignature';

export class AuthError extends Error {
  override readonly name = 'AuthError';
  readonly kind: AuthErrorKind;
  readonly retryable = false;
  /** Extra elements of the error XML (Region, ServerTime …) and response headers. */
  readonly fields: readonly (readonly [string, string])[];
  constructor(kind: AuthErrorKind, message: string, fields: readonly (readonly [string, string])[] = []) {
    super(message);
    this.kind = kind;
    this.fields = fields;
  }
}
