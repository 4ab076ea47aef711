import type { Hex } from './model.ts';

/**
 * Bodies that readers of this process still need, by the id their garbage would have. Reclaim leaves them alone.
 * Resolving a version and pinning its body happen inside `resolving`, so that reclaim can wait for readers that have seen
 * a version and not pinned it yet.
 */
export class Pins {
  readonly #counts = new Map<Hex, number>();
  readonly #resolving = new Set<Promise<unknown>>();

  async resolving<T>(work: () => Promise<T>): Promise<T> {
    const under = work();
    this.#resolving.add(under);
    try {
      return await under;
    } finally {
      this.#resolving.delete(under);
    }
  }

  /** Waits for every reader that is resolving a version now. */
  async quiesce(): Promise<void> {
    await Promise.allSettled(this.#resolving);
  }

  /** Returns the release, which is idempotent. */
  pin(body: Hex): () => void {
    this.#counts.set(body, (this.#counts.get(body) ?? 0) + 1);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const left = this.#counts.get(body)! - 1;
      if (left === 0) this.#counts.delete(body);
      else this.#counts.set(body, left);
    };
  }

  has(body: Hex): boolean {
    return this.#counts.has(body);
  }
}
