import type { ChunkLocks } from './chunkLocks.ts';
import { forEachBounded } from '../concurrency.ts';
import { repairChunk, type RepairDeps, type RepairOutcome } from './repair.ts';
import { examine, throwIfAborted, type Depth, type Examination } from './repairExamine.ts';
import { byPriority, classify, type Classification, type ShardHealth } from './repairPlan.ts';
import type { ChunkId, ChunkRecord, ProviderId } from '../types.ts';

/** Chunks examined, and chunks repaired, at the same time. A repair holds about two stripes and as many rebuilt cells. */
const EXAMINE_CONCURRENCY = 4;
const REPAIR_CONCURRENCY = 2;

export interface BatchDeps extends RepairDeps {
  readonly locks: ChunkLocks;
  readonly observe: (record: ChunkRecord, health: readonly ShardHealth[]) => void;
}

export interface BatchOptions {
  readonly depth: Depth;
  readonly mayReturn?: (provider: ProviderId) => boolean;
}

/** A repair that ended, or broke off with an error of its own. */
export type BatchOutcome =
  | { readonly outcome: RepairOutcome; readonly error?: never }
  | { readonly outcome?: never; readonly error: unknown };

interface Examined {
  readonly record: ChunkRecord;
  readonly examination: Examination;
  readonly classification: Classification;
}

/**
 * Examines chunks, then repairs them, least remaining redundancy first. `onOutcome` is called once for every record, whatever
 * became of it.
 * @throws PlacementError 'Aborted'; what `onOutcome` throws
 */
export async function repairBatch(
  records: readonly ChunkRecord[],
  deps: BatchDeps,
  options: BatchOptions,
  onOutcome: (id: ChunkId, ended: BatchOutcome) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const examined: Examined[] = [];
  await forEachBounded(records, EXAMINE_CONCURRENCY, async (record) => {
    throwIfAborted(signal);
    try {
      const examination = await examine(record, 'shallow', deps, signal);
      deps.observe(record, examination.health);
      const classification = classify(record, examination.health, deps.providers, options.mayReturn);
      examined.push({ record, examination, classification });
    } catch (error) {
      throwIfAborted(signal);
      await onOutcome(record.id, { error });
    }
  });
  examined.sort((a, b) => byPriority(a.classification, b.classification));
  await forEachBounded(examined, REPAIR_CONCURRENCY, async (chunk) => {
    throwIfAborted(signal);
    const { id } = chunk.record;
    const ended = await deps.locks.run(id, () => repairExamined(chunk, deps, options, signal));
    throwIfAborted(ended.error === undefined ? undefined : signal);
    await onOutcome(id, ended);
  });
}

async function repairExamined(
  { record, examination, classification }: Examined,
  deps: BatchDeps,
  options: BatchOptions,
  signal: AbortSignal,
): Promise<BatchOutcome> {
  try {
    // Others may have repaired or deleted the chunk since it was listed.
    const now = await deps.catalog.get(record.id);
    if (!now) {
      const { bytes } = examination;
      const nothing = { shards: 0, bytes, verified: false, classification };
      return { outcome: { id: record.id, result: 'superseded', ...nothing } };
    }
    const examined = now.generation === record.generation ? { examined: examination } : {};
    return { outcome: await repairChunk(now, deps, { ...options, ...examined }, signal) };
  } catch (error) {
    return { error };
  }
}
