import type { Clock } from './types.ts';

/** Holds background reading and writing to a number of bytes a second. */
export class Throttle {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  /** When everything granted so far would have passed at the allowed speed, in milliseconds since the epoch. */
  #paidUntil = 0;

  /** @param bytesPerSecond Infinity for no limit */
  constructor(bytesPerSecond: number, clock: Clock) {
    if (!(bytesPerSecond > 0))
      throw new RangeError(`a throttle needs a positive speed, got ${bytesPerSecond}`);
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  /** Resolves when `bytes` more may pass. Rejects with the signal's reason when it aborts first. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === Infinity) return;
    const now = this.#clock.now();
    const start = Math.max(now, this.#paidUntil);
    this.#paidUntil = start + (bytes / this.#bytesPerSecond) * 1000;
    if (start > now) await this.#clock.sleep(start - now, signal);
  }
}
