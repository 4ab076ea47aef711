import { Refusal } from './refusal.ts';

export interface ReportGateLimits {
  readonly reportsMax: number;
  readonly reportWaitMs: number;
}

/** Reports are long: few are read at once, one of each signer, and the others wait unread, in the order in which they came. */
export class ReportGate {
  readonly #limits: ReportGateLimits;
  /** Of reports that are read or wait. Only active monitors that have signed what they are about to report come as far as here. */
  readonly #signers = new Set<string>();
  /** Each lets one in. */
  readonly #waiting = new Set<() => void>();
  #reading = 0;

  constructor(limits: ReportGateLimits) {
    this.#limits = limits;
  }

  /**
   * Resolves when it is this report's turn.
   * @param gone aborts when its sender is
   * @returns makes room for the next; to be called once the report is done with
   * @throws Refusal 'Unavailable'
   */
  async enter(signer: string, gone: AbortSignal): Promise<() => void> {
    if (this.#signers.has(signer)) throw new Refusal('Unavailable', 'a report of this signer is under way');
    this.#signers.add(signer);
    try {
      if (this.#reading < this.#limits.reportsMax) this.#reading++;
      else await this.#turn(gone);
    } catch (error) {
      this.#signers.delete(signer);
      throw error;
    }
    return () => this.#leave(signer);
  }

  #leave(signer: string): void {
    if (!this.#signers.delete(signer)) return;
    const [next] = this.#waiting;
    if (next) next();
    else this.#reading--;
  }

  /** Whoever leaves hands its place on. */
  async #turn(gone: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const letIn = (): void => {
      this.#waiting.delete(letIn);
      resolve();
    };
    const giveUp = (): void => {
      this.#waiting.delete(letIn);
      reject(new Refusal('Unavailable', 'too many reports are under way'));
    };
    this.#waiting.add(letIn);
    const timer = setTimeout(giveUp, this.#limits.reportWaitMs);
    gone.addEventListener('abort', giveUp, { once: true });
    if (gone.aborted) giveUp();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      gone.removeEventListener('abort', giveUp);
    }
  }
}
