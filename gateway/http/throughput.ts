/** The least that a client must send, in bytes per second over each window. */
export interface ThroughputRule {
  readonly bytesPerSecondMin: number;
  readonly windowMs: number;
}

/**
 * Bytes received, and the time spent waiting for them, in the current window. Time in which the server itself is not reading (memory
 * budget, slow providers) is not the client's and does not count.
 */
export class ThroughputMeter {
  readonly #rule: ThroughputRule;
  #bytes = 0;
  #waitedMs = 0;
  #waitingSince: number | undefined;

  constructor(rule: ThroughputRule) {
    this.#rule = rule;
  }

  /** The server begins to wait for the client. */
  waiting(now: number): void {
    this.#waitingSince = now;
  }

  received(now: number, bytes: number): void {
    this.#bytes += bytes;
    this.#settle(now);
    this.#waitingSince = undefined;
  }

  /** Closes the window. True when the client was waited for during most of it and sent too little. */
  tooSlow(now: number): boolean {
    this.#settle(now);
    const waitedMs = this.#waitedMs;
    const bytes = this.#bytes;
    this.#waitedMs = 0;
    this.#bytes = 0;
    return waitedMs * 2 > this.#rule.windowMs && bytes * 1000 < this.#rule.bytesPerSecondMin * waitedMs;
  }

  #settle(now: number): void {
    if (this.#waitingSince === undefined) return;
    this.#waitedMs += now - this.#waitingSince;
    this.#waitingSince = now;
  }
}
