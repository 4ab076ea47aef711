/** What a party of the network may be refused for. */
export type NetworkErrorKind =
  | 'BadIdentity'
  | 'BadSignature'
  | 'BadMessage'
  /** A grant or token that is unknown, used up, expired, or not for this. */
  | 'Refused'
  /** Two parties claim one thing, or one party what another has. */
  | 'Conflict'
  | 'NotFound'
  | 'NotApproved'
  | 'Unavailable'
  /** The hash-chained log or the ledger is not what was written. */
  | 'Tampered';

export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  readonly kind: NetworkErrorKind;
  readonly retryable: boolean;
  constructor(kind: NetworkErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.retryable = kind === 'Unavailable';
  }
}
