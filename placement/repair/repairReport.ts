import type { RepairResult } from './repair.ts';
import type { BatchOutcome } from './repairBatch.ts';
import type { ChunkId } from '../types.ts';

export interface RepairReport {
  /** Chunks dealt with: the sum of healthy, repaired, waiting, deferred, superseded, unreadable and failed. */
  readonly examined: number;
  readonly healthy: number;
  /** Chunks that have their full redundancy again. */
  readonly repaired: number;
  /** Shards written and recorded. */
  readonly shards: number;
  /** Chunks that only lack shards of unreachable providers, which are given time. */
  readonly waiting: number;
  /** Chunks that lack shards but are far enough from their loss to be left for later. */
  readonly deferred: number;
  /** Chunks that were changed or deleted meanwhile. */
  readonly superseded: number;
  /** Chunks of which fewer than k shards can be read. */
  readonly unreadable: readonly ChunkId[];
  /** Chunks that still lack redundancy, and why. */
  readonly failed: readonly { readonly id: ChunkId; readonly reason: string }[];
  /** Bytes read and verified. */
  readonly bytes: number;
}

const COUNTED = {
  healthy: 'healthy',
  repaired: 'repaired',
  waiting: 'waiting',
  deferred: 'deferred',
  superseded: 'superseded',
  incomplete: undefined,
  unreadable: undefined,
} as const satisfies Record<RepairResult, keyof RepairReport | undefined>;

/** Adds up what became of chunks. */
export class RepairTally {
  chunks = 0;
  bytes = 0;
  readonly #counts = { healthy: 0, repaired: 0, shards: 0, waiting: 0, deferred: 0, superseded: 0 };
  readonly #unreadable: ChunkId[] = [];
  readonly #failed: { id: ChunkId; reason: string }[] = [];

  /** Returns why the chunk still lacks redundancy, if it does. */
  add(id: ChunkId, { outcome, error }: BatchOutcome): string | undefined {
    this.chunks++;
    if (!outcome) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#failed.push({ id, reason });
      return reason;
    }
    this.bytes += outcome.bytes;
    this.#counts.shards += outcome.shards;
    const counted = COUNTED[outcome.result];
    if (counted) this.#counts[counted]++;
    else if (outcome.result === 'unreadable') this.#unreadable.push(id);
    else this.#failed.push({ id, reason: outcome.reason ?? '' });
    return outcome.reason;
  }

  report(): RepairReport {
    return {
      examined: this.chunks,
      ...this.#counts,
      unreadable: this.#unreadable,
      failed: this.#failed,
      bytes: this.bytes,
    };
  }
}
