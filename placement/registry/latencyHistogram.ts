/** Buckets per doubling of the latency: a quantile is off by a fifth at most. */
const PER_DOUBLING = 4;
/** The last bucket begins at 2^17 ms, about two minutes. */
const BUCKETS = 17 * PER_DOUBLING + 2;

/** Latencies with exponentially fading counts. Pure: time is an argument, in milliseconds. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  readonly #halfLifeMs: number;
  #total = 0;
  #fadedAt = 0;

  constructor(halfLifeMs: number) {
    this.#halfLifeMs = halfLifeMs;
  }

  add(latencyMs: number, now: number): void {
    this.#fade(now);
    this.#counts[bucketOf(latencyMs)]! += 1;
    this.#total += 1;
  }

  /** Calls counted, faded. */
  count(now: number): number {
    this.#fade(now);
    return this.#total;
  }

  /** Upper edge of the bucket that holds the quantile, in ms. Undefined while nothing was counted. @param share in (0, 1] */
  quantile(share: number): number | undefined {
    if (this.#total < 1e-6) return undefined;
    let rest = this.#total * share;
    let bucket = 0;
    while (bucket < BUCKETS - 1 && (rest -= this.#counts[bucket]!) > 1e-9) bucket++;
    return 2 ** (bucket / PER_DOUBLING);
  }

  /** In steps of a tenth of the half-life, which spares the hot path. */
  #fade(now: number): void {
    const elapsed = now - this.#fadedAt;
    if (elapsed < this.#halfLifeMs / 10) return;
    const factor = 2 ** (-elapsed / this.#halfLifeMs);
    this.#fadedAt = now;
    this.#total *= factor;
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket]! *= factor;
  }
}

/** Bucket i holds latencies up to 2^(i/4) ms. */
function bucketOf(latencyMs: number): number {
  if (!(latencyMs > 1)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(latencyMs) * PER_DOUBLING));
}
