/** Chunks on their way out. A provider that lets deletions hang must not keep the space of all others from being freed. */
import type { ChunkId, ChunkRecord, ChunkStore, Clock } from '#placement';

/** Ms. A deletion that takes longer goes on beside the others. */
const PATIENCE_MS = 1000;
/** Deletions that go on so. Beyond, who comes next waits for one to end. */
const SLOW_MAX = 256;
/** Ms. After a failure, and twice as long after each further one, up to the second. */
const RETRY_MS_MIN = 30_000;
const RETRY_MS_MAX = 3_600_000;

interface Failed {
  readonly notBefore: number;
  readonly waitMs: number;
}

export class Deletions {
  readonly #chunks: Pick<ChunkStore, 'delete'>;
  readonly #clock: Clock;
  readonly #slow = new Map<ChunkId, Promise<boolean>>();
  readonly #done = new Set<ChunkId>();
  readonly #failed = new Map<ChunkId, Failed>();

  constructor(chunks: Pick<ChunkStore, 'delete'>, clock: Clock) {
    this.#chunks = chunks;
    this.#clock = clock;
  }

  /** False: it is being tried, or has failed and is to be tried again when it is asked for in a while. Never rejects. */
  async delete(record: ChunkRecord): Promise<boolean> {
    const { id } = record;
    if (this.#done.delete(id)) return true;
    const failed = this.#failed.get(id);
    if (this.#slow.has(id) || (failed && this.#clock.now() < failed.notBefore)) return false;
    if (this.#slow.size >= SLOW_MAX) await Promise.race(this.#slow.values());
    const work = this.#try(record);
    const enough = new AbortController();
    const ended = await Promise.race([
      work,
      this.#clock.sleep(PATIENCE_MS, enough.signal).catch(() => undefined),
    ]);
    enough.abort();
    if (ended !== undefined) return ended;
    this.#slow.set(id, work);
    void this.#follow(id, work);
    return false;
  }

  async #follow(id: ChunkId, work: Promise<boolean>): Promise<void> {
    const isGone = await work;
    this.#slow.delete(id);
    // Told to whoever asks next.
    if (isGone) this.#done.add(id);
  }

  async #try(record: ChunkRecord): Promise<boolean> {
    const { id } = record;
    try {
      await this.#chunks.delete(record);
      this.#failed.delete(id);
      return true;
    } catch {
      const waitMs = Math.min(RETRY_MS_MAX, 2 * (this.#failed.get(id)?.waitMs ?? RETRY_MS_MIN / 2));
      this.#failed.set(id, { notBefore: this.#clock.now() + waitMs, waitMs });
      return false;
    }
  }

  /** Forgets failures: an operator who asks wants them tried now. */
  retryAll(): void {
    this.#failed.clear();
  }
}
