import { keepLate, markLate } from '../repair/reasons.ts';
import type { ChunkCatalog, ChunkId, Clock, TransportErrorKind } from '../types.ts';

/** A chunk in the queue is not queued again at once: its readers may be many. */
const REPEAT_MS = 60_000;
const REMEMBERED_MAX = 4096;

/**
 * Tells the repair queue of damage that readers find, and of shards that come to nothing after their writer has finished.
 * Readers find only what they ask for. A shard of a provider that they have learnt to avoid (a bad history of reads, an open breaker)
 * is decoded from the others without a question, so a new loss there goes unreported until the scrub comes by: no reader is slowed for it,
 * and it is why the scrub visits every shard.
 */
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
    this.#catalog.enqueueRepair(chunk, reason, keepLate).catch(() => this.#reported.delete(chunk));
  }

  /**
   * A shard that stands in its record, if that is committed yet, has failed. Never rejects: the commit of a chunk with late shards makes an
   * entry, too, so what gets lost here is only the failure's name.
   */
  async lateFailed(chunk: ChunkId, index: number, failure: TransportErrorKind): Promise<void> {
    const reason = markLate(`shard ${index}: ${failure}`);
    await this.#catalog?.enqueueRepair(chunk, reason, keepLate).catch(() => undefined);
  }
}
