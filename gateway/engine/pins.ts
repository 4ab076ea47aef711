import type { Hex } from './model.ts';

/**
 * Bodies that readers of this process still need, by the id their garbage would have. Reclaim leaves them alone.
 * Resolving a version and pinning its body happen inside `resolving`, so that reclaim can wait for readers that have seen
 * a version and not pinned it yet.
 */
export class Pins {
  /** Garbage entries that reclaim looks at for one `quiesce`. */
  readonly garbageAtOnce: number = 256;
  /** In order of the first reader that has held a body ever since. */
  readonly #held = new Map<Hex, { count: number; readonly since: number }>();
  #serial = 0;
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
    const held = this.#held.get(body) ?? { count: 0, since: ++this.#serial };
    if (held.count++ === 0) this.#held.set(body, held);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      if (--held.count === 0) this.#held.delete(body);
    };
  }

  has(body: Hex): boolean {
    return this.#held.has(body);
  }

  /** Number of the last body that came to be held. */
  get serial(): number {
    return this.#serial;
  }

  /** Bodies held since before that number was reached, at most so many. */
  heldUpTo(serial: number, limit: number): Hex[] {
    const bodies: Hex[] = [];
    for (const [body, { since }] of this.#held) {
      if (since > serial || bodies.length >= limit) break;
      bodies.push(body);
    }
    return bodies;
  }
}
