/** Failures in a row that open the breaker. */
const FAILURES_IN_A_ROW = 5;
/** For a provider that flaps: this many recent failures, when they are at least half of the recent calls. */
const RECENT_FAILURES = 4;
const RECENT_HALF_LIFE_MS = 5_000;
/** At most one call in this time while open. */
const PROBE_EVERY_MS = 1_000;
/** Successful probes in a row that close it. */
const PROBES_TO_CLOSE = 3;

/** Keeps calls from a provider that fails, and lets single ones through to learn when it is back. Pure: time is an argument. */
export class Breaker {
  #open = false;
  #inRow = 0;
  #failures = 0;
  #calls = 0;
  #fadedAt = 0;
  #probes = 0;
  #probedAt = 0;

  get isOpen(): boolean {
    return this.#open;
  }

  /** Whether a call may be made now. While open, a true answer is used up by being given. */
  admits(now: number): boolean {
    if (!this.#open) return true;
    if (now - this.#probedAt < PROBE_EVERY_MS) return false;
    this.#probedAt = now;
    return true;
  }

  record(succeeded: boolean, now: number): void {
    this.#fade(now);
    this.#calls++;
    if (!succeeded) this.#failures++;
    this.#inRow = succeeded ? 0 : this.#inRow + 1;
    if (this.#open) {
      this.#probes = succeeded ? this.#probes + 1 : 0;
      if (this.#probes >= PROBES_TO_CLOSE) this.close();
      return;
    }
    const flaps = this.#failures >= RECENT_FAILURES && this.#failures >= this.#calls / 2;
    if (this.#inRow >= FAILURES_IN_A_ROW || flaps) {
      this.#open = true;
      this.#probes = 0;
      this.#probedAt = now;
    }
  }

  close(): void {
    this.#open = false;
    this.#inRow = 0;
    this.#failures = 0;
    this.#calls = 0;
  }

  #fade(now: number): void {
    const factor = 2 ** (-Math.max(0, now - this.#fadedAt) / RECENT_HALF_LIFE_MS);
    this.#fadedAt = now;
    this.#failures *= factor;
    this.#calls *= factor;
  }
}
