/** The seam between the HTTP pipeline and the S3 operations: no Express, no sockets. */
import type { Principal } from '../auth/types.ts';
import type { ObjectStore, Pairs } from '../engine/types.ts';
import type { S3Code } from './codes.ts';

export interface S3Request {
  /** Sent back as x-amz-request-id; 16 upper-case hex digits. */
  readonly id: string;
  readonly method: string;
  /** Path as sent, still encoded, without the query. */
  readonly rawPath: string;
  /** Undefined on the service itself. */
  readonly bucket: string | undefined;
  /** Decoded key; undefined on the service and on a bucket. Never ''. */
  readonly key: string | undefined;
  readonly query: Query;
  readonly headers: RequestHeaders;
  readonly principal: Principal;
  /** Present on every request; an absent body is an empty one. */
  readonly payload: Payload;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** Decoded query parameters. A parameter without '=' has the value ''. */
export interface Query {
  has(name: string): boolean;
  get(name: string): string | undefined;
  names(): readonly string[];
}

/** Names in any case; several headers of one name are joined by ', '. Values are the UTF-8 of the bytes on the wire where that is valid, latin1 otherwise. */
export interface RequestHeaders {
  get(name: string): string | undefined;
  entries(): Iterable<readonly [lowerCaseName: string, value: string]>;
}

/** The body after transfer decoding, aws-chunked decoding and chunk signature checks. */
export interface Payload {
  /** Decoded length where the client declared it (Content-Length, or x-amz-decoded-content-length for aws-chunked). */
  readonly length: number | undefined;
  /** Lower-case hex SHA-256 the client signed for the whole body. */
  readonly sha256: string | undefined;
  /** Iterated at most once. The first pull sends 100 Continue where the client waits for it. Ends or throws, never hangs past the deadlines. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Trailer announced in x-amz-trailer, after `bytes` has ended: its value, lower-case name. */
  trailer(name: string): string | undefined;
}

type ResponseBody = string | Uint8Array | AsyncIterable<Uint8Array>;

export interface S3Response {
  readonly status: number;
  /** Content-Length is set from a string or Uint8Array body; set it here for a stream. */
  readonly headers?: Pairs;
  readonly body?: ResponseBody;
  /** Called with each piece of a streamed body that has been handed to the operating system. */
  readonly release?: (piece: Uint8Array) => void;
  /** Of a response whose status goes out before the work is done: the error its body will tell of, if any. Never rejects. */
  readonly lateError?: Promise<Error | undefined>;
  /** Called exactly once when the response is over, sent or cut. */
  readonly done?: () => void;
}

export interface S3Context {
  readonly store: ObjectStore;
  readonly region: string;
  /** True when the connection to the client is encrypted, or a trusted proxy says so: SSE-C asks for it. */
  readonly secure: boolean;
}

export type Target = 'service' | 'bucket' | 'object';

/** One S3 operation, one file under gateway/s3/operations. */
export interface S3Operation {
  /** AWS's name of the operation, such as 'ListObjectsV2'. */
  readonly name: string;
  /** IAM action: 's3:ListBucket'. */
  readonly permission: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly target: Target;
  /**
   * Query parameters that must all be present (a value after '=' must be equal, like 'list-type=2'), and headers likewise.
   * The dispatcher takes the operation with the most selectors that match.
   */
  readonly query?: readonly string[];
  readonly headers?: readonly string[];
  handle(request: S3Request, context: S3Context): Promise<S3Response>;
}

/** An operation that Shardway names and refuses. */
export interface RefusedOperation {
  readonly name: string;
  readonly method: S3Operation['method'];
  readonly target: Target;
  readonly query?: readonly string[];
  readonly headers?: readonly string[];
  /** The answer clients probe for, such as 404 NoSuchBucketPolicy; absent: 501 NotImplemented. */
  readonly answer?: { readonly code: S3Code; readonly message?: string };
}
