import { LatencyHistogram } from '#placement';
import type { ForegroundLatency } from '#placement';

/** What a client notices now, and what it is used to. */
const NOW_HALF_LIFE_MS = 5_000;
const USUAL_HALF_LIFE_MS = 600_000;
/** Requests without which a quantile says nothing. */
const SAMPLES_MIN = 20;

/** Latency of the clients' requests, now and when the gateway has nothing else to do: background work keeps clear of it. */
export class Foreground {
  readonly #now = new LatencyHistogram(NOW_HALF_LIFE_MS);
  readonly #usual = new LatencyHistogram(USUAL_HALF_LIFE_MS);
  readonly #isBusy: () => boolean;

  /** @param isBusy background work is under way: what is seen meanwhile is not what clients are used to */
  constructor(isBusy: () => boolean) {
    this.#isBusy = isBusy;
  }

  add(seconds: number): void {
    const now = Date.now();
    this.#now.add(seconds * 1000, now);
    if (!this.#isBusy()) this.#usual.add(seconds * 1000, now);
  }

  /** Undefined while there are too few requests, of now or to compare with. */
  latency(): ForegroundLatency | undefined {
    const now = Date.now();
    if (this.#now.count(now) < SAMPLES_MIN || this.#usual.count(now) < SAMPLES_MIN) return undefined;
    return { p99Ms: this.#now.quantile(0.99)!, baselineMs: this.#usual.quantile(0.99)! };
  }
}
