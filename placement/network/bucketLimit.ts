/** So many at once, then one in a while, for each key. Bounded memory: the key that was longest unused is forgotten. */
export class BucketLimit {
  readonly #burst: number;
  readonly #refillMs: number;
  readonly #keysMax: number;
  readonly #levels = new Map<string, { left: number; at: number }>();

  constructor({ burst, refillMs, keysMax }: { burst: number; refillMs: number; keysMax: number }) {
    this.#burst = burst;
    this.#refillMs = refillMs;
    this.#keysMax = keysMax;
  }

  /** False when nothing is left for the key. */
  take(key: string, now: number): boolean {
    const left = this.left(key, now);
    if (left < 1) return false;
    this.#levels.delete(key);
    this.#levels.set(key, { left: left - 1, at: now });
    if (this.#levels.size > this.#keysMax) this.#levels.delete(this.#levels.keys().next().value!);
    return true;
  }

  left(key: string, now: number): number {
    const level = this.#levels.get(key);
    if (level === undefined) return this.#burst;
    return Math.min(this.#burst, level.left + Math.max(0, now - level.at) / this.#refillMs);
  }
}
