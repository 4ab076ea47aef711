import { AuthError } from '../auth/types.ts';
import type { AuthErrorKind } from '../auth/types.ts';
import { EngineError } from '../engine/types.ts';
import type { EngineErrorKind, Pairs } from '../engine/types.ts';
import { S3_CODES } from './codes.ts';
import type { S3Code } from './codes.ts';
import { hostIdOf } from './hostId.ts';
import type { S3Response } from './types.ts';
import { element, xmlDocument } from './xml.ts';

export interface S3ErrorDetails {
  /** Extra elements of the error XML, such as ArgumentName. */
  readonly fields?: Pairs;
  /** Extra response headers, lower-case names. */
  readonly headers?: Pairs;
  /** Other than the code's usual one. */
  readonly status?: number;
}

/** An answer to the client: code, status and a message that may be shown. */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly code: S3Code;
  readonly status: number;
  readonly fields: Pairs;
  readonly headers: Pairs;
  constructor(code: S3Code, message?: string, details: S3ErrorDetails = {}, options?: ErrorOptions) {
    super(message ?? S3_CODES[code].message, options);
    this.code = code;
    this.status = details.status ?? S3_CODES[code].status;
    this.fields = details.fields ?? [];
    this.headers = details.headers ?? [];
  }
}

export const ENGINE_CODES = {
  NoSuchBucket: 'NoSuchBucket',
  BucketAlreadyExists: 'BucketAlreadyExists',
  BucketAlreadyOwnedByYou: 'BucketAlreadyOwnedByYou',
  BucketNotEmpty: 'BucketNotEmpty',
  NoSuchKey: 'NoSuchKey',
  NoSuchVersion: 'NoSuchVersion',
  NoSuchUpload: 'NoSuchUpload',
  MethodNotAllowed: 'MethodNotAllowed',
  PreconditionFailed: 'PreconditionFailed',
  NotModified: 'NotModified',
  ConditionalRequestConflict: 'ConditionalRequestConflict',
  OperationAborted: 'OperationAborted',
  BadDigest: 'BadDigest',
  ContentSha256Mismatch: 'XAmzContentSHA256Mismatch',
  IncompleteBody: 'IncompleteBody',
  EntityTooLarge: 'EntityTooLarge',
  EntityTooSmall: 'EntityTooSmall',
  InvalidPart: 'InvalidPart',
  InvalidPartOrder: 'InvalidPartOrder',
  InvalidPartNumber: 'InvalidPartNumber',
  InvalidRange: 'InvalidRange',
  InvalidRequest: 'InvalidRequest',
  InvalidArgument: 'InvalidArgument',
  KeyTooLong: 'KeyTooLongError',
  AccessDenied: 'AccessDenied',
  Unavailable: 'ServiceUnavailable',
  DomainRule: 'ServiceUnavailable',
  // S3 has no code for a full store; 503 keeps reads going and tells writers to come back.
  StorageFull: 'ServiceUnavailable',
  Unreadable: 'ServiceUnavailable',
} as const satisfies Record<EngineErrorKind, S3Code>;

export const AUTH_CODES = {
  AccessDenied: 'AccessDenied',
  InvalidAccessKeyId: 'InvalidAccessKeyId',
  SignatureDoesNotMatch: 'SignatureDoesNotMatch',
  RequestTimeTooSkewed: 'RequestTimeTooSkewed',
  RequestExpired: 'AccessDenied',
  AuthorizationHeaderMalformed: 'AuthorizationHeaderMalformed',
  AuthorizationQueryParametersError: 'AuthorizationQueryParametersError',
  MissingSecurityHeader: 'InvalidRequest',
  InvalidContentSha256: 'InvalidArgument',
  InvalidChunk: 'InvalidRequest',
  IncompleteChunks: 'IncompleteBody',
  ChunkTooSmall: 'InvalidChunkSizeError',
  MalformedTrailer: 'MalformedTrailerError',
  // AWS answers these two with 400; here a request without one valid signature is denied, whatever else it carries.
  UnsupportedSignature: 'AccessDenied',
  AmbiguousAuthentication: 'AccessDenied',
} as const satisfies Record<AuthErrorKind, S3Code>;

/** Engine errors whose text tells of providers, disks or keys: clients get the code's own message. */
const PRIVATE_KINDS: ReadonlySet<EngineErrorKind> = new Set(['Unavailable', 'StorageFull', 'Unreadable']);

/** Seconds; what a client that honours Retry-After waits at least. */
const RETRY_AFTER: Pairs = [['retry-after', '1']];

/** Any throwable as an S3 error. An unknown one becomes InternalError with nothing of its text; the original is the cause. */
export function toS3Error(error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof EngineError) return fromEngine(error);
  if (error instanceof AuthError) return fromAuth(error);
  return new S3Error('InternalError', undefined, {}, { cause: error });
}

function fromEngine(error: EngineError): S3Error {
  const { kind, details } = error;
  const headers: (readonly [string, string])[] = [];
  if (details.deleteMarker === true) headers.push(['x-amz-delete-marker', 'true']);
  if (details.versionId !== undefined) headers.push(['x-amz-version-id', details.versionId]);
  if (details.info !== undefined && kind === 'NotModified') {
    headers.push(['etag', `"${details.info.etag}"`]);
    headers.push(['last-modified', new Date(details.info.lastModified).toUTCString()]);
    if (details.info.versioned) headers.push(['x-amz-version-id', details.info.versionId]);
  }
  const code = ENGINE_CODES[kind];
  if (S3_CODES[code].status === 503) headers.push(...RETRY_AFTER);
  if (kind === 'MethodNotAllowed' && details.deleteMarker === true) headers.push(['allow', 'DELETE']);
  const message = PRIVATE_KINDS.has(kind) || error.message === '' ? undefined : error.message;
  return new S3Error(code, message, { fields: details.fields ?? [], headers }, { cause: error });
}

function fromAuth(error: AuthError): S3Error {
  const headers: (readonly [string, string])[] = [];
  const fields: (readonly [string, string])[] = [];
  for (const pair of error.fields) (pair[0].startsWith('x-amz-') ? headers : fields).push(pair);
  const region = error.fields.find(([name]) => name === 'Region')?.[1];
  // s3cmd and older SDKs learn the region of a bucket from this header.
  if (region !== undefined && headers.length === 0) headers.push(['x-amz-bucket-region', region]);
  return new S3Error(AUTH_CODES[error.kind], error.message, { fields, headers }, { cause: error });
}

/** What an error document says of the request it answers. */
export interface ErrorSubject {
  readonly id: string;
  readonly method: string;
  /** Path as sent, without the query. */
  readonly rawPath: string;
}

/** The `<Error>` element's document, with its XML declaration unless it follows one already sent. */
export function errorDocument(error: S3Error, subject: ErrorSubject, declaration = true): string {
  const content = [
    element('Code', error.code),
    element('Message', error.message),
    ...error.fields.map(([name, value]) => element(name, value)),
    element('Resource', subject.rawPath),
    element('RequestId', subject.id),
    element('HostId', hostIdOf(subject.id)),
  ];
  return declaration ? xmlDocument(element('Error', ...content)) : element('Error', ...content).source;
}

/** An error as a response: no body on HEAD and on 304. */
export function errorResponse(error: S3Error, subject: ErrorSubject): S3Response {
  if (subject.method === 'HEAD' || error.status === 304) {
    return { status: error.status, headers: error.headers };
  }
  return {
    status: error.status,
    headers: [...error.headers, ['content-type', 'application/xml']],
    body: errorDocument(error, subject),
  };
}
