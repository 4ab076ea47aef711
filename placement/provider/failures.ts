import { NetworkError } from '../network/errors.ts';
import { TransportError, type TransportErrorKind } from '../types.ts';

export interface Failure {
  readonly status: number;
  readonly kind: TransportErrorKind | 'Refused';
  readonly error: string;
  /** What went wrong is ours, and the provider's operator should know. */
  readonly ours: boolean;
}

const STATUS = {
  NotFound: 404,
  Corrupt: 410,
  Conflict: 409,
  NoSpace: 507,
  Unavailable: 503,
  Timeout: 503,
  Aborted: 503,
  Source: 400,
} satisfies Record<TransportErrorKind, number>;

/** Storage errors name paths of this machine: they are for its operator, and the peer is told the kind. */
const WORDS = {
  NotFound: 'no such shard',
  Corrupt: 'the shard is not whole',
  Conflict: 'another shard has this name',
  NoSpace: 'there is no space left',
  Unavailable: 'the storage cannot be used now',
  Timeout: 'the storage takes too long',
  Aborted: 'the request was given up',
  Source: 'the body is not a shard',
} satisfies Record<TransportErrorKind, string>;

/** How an error is answered (see wire.ts). */
export function failureOf(error: unknown, op: string | undefined): Failure {
  const cause = error instanceof TransportError && error.kind === 'Source' ? error.cause : undefined;
  if (cause instanceof NetworkError || cause instanceof TransportError) return failureOf(cause, op);
  if (error instanceof NetworkError) return refusal(error);
  const kind = error instanceof TransportError ? error.kind : 'Unavailable';
  if (kind === 'Corrupt' && op === 'put') {
    return { status: 422, kind, error: 'the root is not that of the bytes', ours: false };
  }
  const ours = kind === 'Unavailable' || kind === 'Timeout' || kind === 'Corrupt' || kind === 'NoSpace';
  return { status: STATUS[kind], kind, error: WORDS[kind], ours };
}

function refusal({ kind, message }: NetworkError): Failure {
  if (kind === 'Unavailable') return { status: 503, kind, error: message, ours: false };
  return { status: kind === 'BadMessage' ? 400 : 401, kind: 'Refused', error: message, ours: false };
}
