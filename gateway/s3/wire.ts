import type { RequestHead } from '../auth/types.ts';
import type { S3Error } from './errors.ts';
import type { S3Response } from './types.ts';

/** A request as the HTTP server hands it over: head as it came, body not yet read. */
export interface WireRequest {
  /** 16 upper-case hex digits. */
  readonly id: string;
  readonly head: RequestHead;
  /** Host and port of an absolute-form target; must agree with the Host header. */
  readonly authority: string | undefined;
  /** The client's connection is encrypted. */
  readonly secure: boolean;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  readonly framing: BodyFraming;
  /** Bytes after transfer decoding. Iterated at most once; the first pull sends 100 Continue. */
  readonly body: AsyncIterable<Uint8Array>;
}

export type BodyFraming =
  /** Neither Content-Length nor Transfer-Encoding: no body. */
  | { readonly kind: 'None' }
  | { readonly kind: 'Length'; readonly length: number }
  /** Transfer-Encoding: chunked */
  | { readonly kind: 'Chunked' };

export interface S3Answer {
  readonly response: S3Response;
  /** AWS's name of the operation; 'Unknown' before one is matched. */
  readonly operation: string;
  /** What went wrong, where the response tells of an error. */
  readonly error?: S3Error;
}

/** Never rejects. */
export type S3Handler = (request: WireRequest) => Promise<S3Answer>;

/** pino's calls: fields, then the message. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
