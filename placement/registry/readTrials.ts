/** A provider that was tried in vain is tried again after twice as long, from the first to the second of these. */
const EVERY_MS_MIN = 1_000;
const EVERY_MS_MAX = 8_000;

/** Lets single reads go to a provider that is not worth a read otherwise, to learn when it is back. Pure: time is an argument. */
export class ReadTrials {
  #everyMs = EVERY_MS_MIN;
  #triedAt: number;

  constructor(now: number) {
    this.#triedAt = now;
  }

  /** Whether a read may go there now. A true answer is used up by being given. */
  admits(now: number): boolean {
    if (now - this.#triedAt < this.#everyMs) return false;
    this.#everyMs = Math.min(EVERY_MS_MAX, 2 * this.#everyMs);
    this.#triedAt = now;
    return true;
  }

  /** It is worth a read anyhow. */
  rest(now: number): void {
    this.#everyMs = EVERY_MS_MIN;
    this.#triedAt = now;
  }

  /** A read went well: the next trial may come soon. */
  succeed(): void {
    this.#everyMs = EVERY_MS_MIN;
  }
}
