import type { NetworkErrorKind } from '#placement';

/** What the listener refuses by itself. `status` where it is not that of the kind. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly kind: NetworkErrorKind;
  readonly status: number | undefined;

  constructor(kind: NetworkErrorKind, message: string, status?: number) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}
