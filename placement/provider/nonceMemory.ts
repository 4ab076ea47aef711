/** Nonces are forgotten by the minute in which they expire, so that none has to be looked at twice. */
const BUCKET_MS = 60_000;

/** The nonces of grants that were used and could be shown again. It would rather take none than forget one. */
export class NonceMemory {
  readonly #max: number;
  readonly #buckets = new Map<number, Set<string>>();
  #size = 0;

  /** @param max nonces remembered at once */
  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** Remembers a nonce until the minute of its expiry is over. */
  add(nonce: string, expires: number, now: number): 'added' | 'known' | 'full' {
    this.#forget(now);
    const minute = Math.floor(expires / BUCKET_MS);
    // A nonce has one expiry: it was signed with it.
    const bucket = this.#buckets.get(minute);
    if (bucket?.has(nonce)) return 'known';
    if (this.#size >= this.#max) return 'full';
    if (bucket) bucket.add(nonce);
    else this.#buckets.set(minute, new Set([nonce]));
    this.#size++;
    return 'added';
  }

  #forget(now: number): void {
    const minute = Math.floor(now / BUCKET_MS);
    for (const [ends, bucket] of this.#buckets) {
      if (ends >= minute) continue;
      this.#buckets.delete(ends);
      this.#size -= bucket.size;
    }
  }
}
