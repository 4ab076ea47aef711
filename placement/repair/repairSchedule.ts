/** When repair does what: decisions about time, without a clock of their own. */
import type { ShardHealth } from './repairPlan.ts';
import type { ChunkId, ChunkRecord, ProviderId } from '../types.ts';

/** First and longest pause before a chunk whose repair did not succeed is tried again. */
const RETRY_FIRST_MS = 5_000;
const RETRY_MAX_MS = 3_600_000;
const HOUR_MS = 3_600_000;

/** @param failures ≥ 1: repairs of the chunk that have failed in a row */
function retryDelayMs(failures: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(failures - 1, 30));
}

/** Chunks whose pauses are remembered; the oldest beyond are tried again sooner. */
const REMEMBERED_MAX = 200_000;

/** Pauses between repairs of chunks that fail. Kept in memory: after a restart everything is tried once more. */
export class Backoff {
  readonly #chunks = new Map<ChunkId, { failures: number; notBefore: number }>();

  isDue(id: ChunkId, now: number): boolean {
    return (this.#chunks.get(id)?.notBefore ?? 0) <= now;
  }

  failed(id: ChunkId, now: number): void {
    const failures = (this.#chunks.get(id)?.failures ?? 0) + 1;
    this.#chunks.delete(id);
    this.#chunks.set(id, { failures, notBefore: now + retryDelayMs(failures) });
    if (this.#chunks.size > REMEMBERED_MAX) this.#chunks.delete(this.#chunks.keys().next().value!);
  }

  settled(id: ChunkId): void {
    this.#chunks.delete(id);
  }

  /** Something has changed for the better: everything is due. */
  clear(): void {
    this.#chunks.clear();
  }
}

/** Since when providers have not been reachable, as examinations saw it. */
export class Outages {
  readonly #since = new Map<ProviderId, number>();

  observe(record: ChunkRecord, health: readonly ShardHealth[], now: number): void {
    record.shards.forEach((place, index) => {
      if (!place) return;
      if (health[index] !== 'unreachable') this.#since.delete(place.provider);
      else if (!this.#since.has(place.provider)) this.#since.set(place.provider, now);
    });
  }

  /** Whether the provider's outage, if there is one, is younger than `graceMs`. */
  mayReturn(provider: ProviderId, now: number, graceMs: number): boolean {
    return now - (this.#since.get(provider) ?? now) < graceMs;
  }
}

/** Since when chunks have been known to lack shards, of those in the repair queue that a drain has met. */
export class Waits {
  readonly #since = new Map<ChunkId, number>();

  met(id: ChunkId, now: number): void {
    if (!this.#since.has(id) && this.#since.size < REMEMBERED_MAX) this.#since.set(id, now);
  }

  /** Hours since it was first met; 0 for one that never was. */
  ended(id: ChunkId, now: number): number {
    const since = this.#since.get(id) ?? now;
    this.#since.delete(id);
    return Math.max(0, now - since) / HOUR_MS;
  }
}

/** How long until a job that last finished at `finishedAt` (undefined: never) is due, with at least `intervalMs` between its runs. */
export function dueInMs(finishedAt: number | undefined, intervalMs: number, now: number): number {
  if (finishedAt === undefined) return 0;
  // A clock that was set back must not put a job off for longer than its interval.
  return Math.max(0, Math.min(intervalMs, finishedAt + intervalMs - now));
}
