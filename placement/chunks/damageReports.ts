import type { ChunkCatalog, ChunkId, Clock } from '../types.ts';

/** A chunk in the queue is not queued again at once: its readers may be many. */
const REPEAT_MS = 60_000;
const REMEMBERED_MAX = 4096;

/** Tells the repair queue of damage that readers find. */
export class DamageReports {
  readonly #clock: Clock;
  readonly #catalog: Pick<ChunkCatalog, 'enqueueRepair'> | undefined;
  readonly #reported = new Map<ChunkId, number>();

  constructor(clock: Clock, catalog: Pick<ChunkCatalog, 'enqueueRepair'> | undefined) {
    this.#clock = clock;
    this.#catalog = catalog;
  }

  /** Never rejects and is not waited for: a reader has better things to do, and the scrub finds what gets lost here. */
  report(chunk: ChunkId, reason: string): void {
    const now = this.#clock.now();
    if (!this.#catalog || now - (this.#reported.get(chunk) ?? -Infinity) < REPEAT_MS) return;
    if (this.#reported.size >= REMEMBERED_MAX) this.#reported.clear();
    this.#reported.set(chunk, now);
    this.#catalog.enqueueRepair(chunk, reason).catch(() => this.#reported.delete(chunk));
  }
}
