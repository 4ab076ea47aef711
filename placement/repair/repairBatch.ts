import type { ChunkLocks } from './chunkLocks.ts';
import { forEachBounded } from '../concurrency.ts';
import { repairChunk, type RepairDeps, type RepairOptions, type RepairOutcome } from './repair.ts';
import { examine, throwIfAborted, type Depth, type Examination } from './repairExamine.ts';
import { classify, type Classification, type ClassifyOptions, type ShardHealth } from './repairPlan.ts';
import type { Lane } from './pace.ts';
import { byUrgency, type Urgencies } from './urgency.ts';
import type { Profile } from '#erasure';
import type { ChunkId, ChunkRecord } from '../types.ts';

/** A chunk that may lose no more shards than this is not made to wait for the clients' sake. */
const URGENT_SPARE = 1;

/** Chunks examined, and chunks repaired, at the same time. A repair holds about two stripes and as many rebuilt cells. */
const EXAMINE_CONCURRENCY = 4;
const REPAIR_CONCURRENCY = 2;
/** Pause between two looks at whether a chunk's late uploads have ended. */
const UPLOADING_MS = 500;

export interface BatchDeps extends RepairDeps {
  readonly locks: ChunkLocks;
  readonly observe: (record: ChunkRecord, health: readonly ShardHealth[]) => void;
  /** See KeeperDeps. */
  readonly isUploading?: (chunk: ChunkId) => boolean;
}

export interface BatchOptions extends ClassifyOptions {
  readonly depthOf: (id: ChunkId) => Depth;
  /** See RepairOptions. By default none is. */
  readonly isLate?: (id: ChunkId) => boolean;
  readonly urgencies: Urgencies;
  /** See RepairOptions. By default nothing is put off. */
  readonly repairAt?: (profile: Profile) => number;
  /** What the repair of a chunk reads through. By default it is not held back. */
  readonly laneFor?: (urgent: boolean) => Lane;
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
 * Examines chunks, then repairs them, those nearest to their loss first. `onOutcome` is called once for every record, whatever
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
      // Bounded by the time that late uploads have.
      while (deps.isUploading?.(record.id)) await deps.clock.sleep(UPLOADING_MS, signal);
      const examination = await examine(record, 'shallow', withLane(deps, options.laneFor?.(false)), signal);
      deps.observe(record, examination.health);
      const classification = classify(record, examination.health, deps.providers, options);
      examined.push({ record, examination, classification });
    } catch (error) {
      throwIfAborted(signal);
      await onOutcome(record.id, { error });
    }
  });
  examined.sort((a, b) => byNeed(a, b, options.urgencies));
  await forEachBounded(examined, REPAIR_CONCURRENCY, async (chunk) => {
    throwIfAborted(signal);
    const { id } = chunk.record;
    const ended = await deps.locks.run(id, () => repairExamined(chunk, deps, options, signal));
    throwIfAborted(ended.error === undefined ? undefined : signal);
    await onOutcome(id, ended);
  });
}

/** What nothing can be done for comes last. */
function byNeed(a: Examined, b: Examined, urgencies: Urgencies): number {
  const idle = ({ action }: Classification) => Number(action !== 'repair' && action !== 'spread');
  const of = ({ record, classification: { healthy, readable } }: Examined) =>
    urgencies.of(record.profile, healthy, readable);
  return idle(a.classification) - idle(b.classification) || byUrgency(of(a), of(b));
}

function withLane<T extends RepairDeps>(deps: T, lane: Lane | undefined): T {
  return lane ? { ...deps, throttle: lane } : deps;
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
      const nothing = {
        shards: 0,
        rebuilt: 0,
        bytes,
        verified: false,
        damaged: false,
        absent: false,
        recorded: 0,
        classification,
      };
      return { outcome: { id: record.id, result: 'superseded', ...nothing } };
    }
    const examined = now.generation === record.generation ? { examined: examination } : {};
    const { mayReturn, domains, leaving, repairAt } = options;
    const late = options.isLate?.(record.id) ?? false;
    const repairOptions: RepairOptions = {
      depth: options.depthOf(record.id),
      ...examined,
      late,
      // What was never acknowledged is not there to be waited for.
      ...(mayReturn && !late && { mayReturn }),
      ...(domains && { domains }),
      ...(leaving && { leaving }),
      ...(repairAt && { repairAt: repairAt(now.profile) }),
    };
    const lane = options.laneFor?.(classification.remaining <= URGENT_SPARE);
    return { outcome: await repairChunk(now, withLane(deps, lane), repairOptions, signal) };
  } catch (error) {
    return { error };
  }
}
