import type { ChunkId } from '../types.ts';

/** One piece of background work on a chunk at a time, within this process. */
export class ChunkLocks {
  readonly #held = new Map<ChunkId, Promise<void>>();

  isHeld(id: ChunkId): boolean {
    return this.#held.has(id);
  }

  /** Runs `work` when nobody else holds the chunk. */
  async run<T>(id: ChunkId, work: () => Promise<T>): Promise<T> {
    while (this.#held.has(id)) await this.#held.get(id);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(id, promise);
    try {
      return await work();
    } finally {
      this.#held.delete(id);
      resolve();
    }
  }
}
