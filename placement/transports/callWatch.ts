import type { Clock } from '../types.ts';

/** A call under way that has something to lose by waiting. */
export interface Watched {
  /** Ends the call when it is too late for it. @param now ms since the epoch */
  check(now: number): void;
}

/** One timer for all calls of a transport: each would otherwise set and clear its own. */
export class CallWatch {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #calls = new Set<Watched>();
  #running = false;

  /** @param tickMs how late a deadline may be noticed */
  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
  }

  now(): number {
    return this.#clock.now();
  }

  add(call: Watched): void {
    this.#calls.add(call);
    if (!this.#running) void this.#run();
  }

  delete(call: Watched): void {
    this.#calls.delete(call);
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#calls.size > 0) {
      await this.#clock.sleep(this.#tickMs);
      const now = this.#clock.now();
      for (const call of this.#calls) call.check(now);
    }
    this.#running = false;
  }
}
