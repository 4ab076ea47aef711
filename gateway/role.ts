/** Work that a process does while it is told to. */
import type { Work } from './engine/lease.ts';

export interface Role {
  /** Begins with `work` when the role is given, and ends it when it is taken away. Rejects when it is given already and `work` does. */
  whileGiven(work: Work): Promise<void>;
  /** Ends the work for good. */
  end(): Promise<void>;
}

/** Turns come one after another. */
export class GivenRole implements Role {
  readonly #onError: (error: unknown) => void;
  #work: Work | undefined;
  #end: (() => Promise<void>) | undefined;
  #isGiven: boolean;
  #turn: Promise<void> = Promise.resolve();

  constructor(isGiven: boolean, onError: (error: unknown) => void) {
    this.#isGiven = isGiven;
    this.#onError = onError;
  }

  whileGiven(work: Work): Promise<void> {
    this.#work = work;
    return this.#inTurn(() => this.#adjust());
  }

  /** Resolves when it is so. */
  async set(isGiven: boolean): Promise<void> {
    this.#isGiven = isGiven;
    await this.#inTurn(() => this.#adjust()).catch(this.#onError);
  }

  async end(): Promise<void> {
    this.#isGiven = false;
    await this.#inTurn(() => this.#adjust());
  }

  async #adjust(): Promise<void> {
    if (this.#isGiven) this.#end ??= await this.#work?.();
    else {
      const end = this.#end;
      this.#end = undefined;
      await end?.();
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
