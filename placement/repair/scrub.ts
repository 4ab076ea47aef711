import { forEachBounded } from '../concurrency.ts';
import { examine, throwIfAborted, type Depth, type ExamineDeps } from './repairExamine.ts';
import { classify, stayingDomains, type Classification, type ShardHealth } from './repairPlan.ts';
import { formatReason, keepLate } from './reasons.ts';
import type { ChunkCatalog, ChunkId, ChunkRecord, Progress } from '../types.ts';

/** Chunks between two writes of the cursor: what a restart may examine twice. */
const PAGE = 32;
/** Chunks examined at the same time. */
const CONCURRENCY = 2;
const COUNT_PAGE = 1000;
export const SCRUB_DETAIL = 'found by a scrub';

export interface ScrubDeps extends ExamineDeps {
  readonly catalog: ChunkCatalog;
  /** Told of every examination. */
  readonly observe?: (record: ChunkRecord, health: readonly ShardHealth[]) => void;
}

export interface ScrubReport {
  /** Chunks examined by this run. */
  readonly chunks: number;
  /** Shards that verified. */
  readonly healthy: number;
  readonly missing: number;
  readonly corrupt: number;
  readonly unreachable: number;
  /** Shards that never became durable. */
  readonly unplaced: number;
  /** Chunks handed to the repair queue. */
  readonly enqueued: number;
  /** Chunks of which fewer than k shards are whole. */
  readonly unreadable: readonly ChunkId[];
  /** Bytes read and verified. */
  readonly bytes: number;
}

const COUNTED = {
  healthy: 'healthy',
  missing: 'missing',
  corrupt: 'corrupt',
  unreachable: 'unreachable',
  undefined: 'unplaced',
} as const satisfies Record<ShardHealth, keyof ScrubReport>;

/**
 * Examines every shard of every chunk, and puts each chunk that lacks redundancy into the repair queue. Goes on where the last
 * run of the same depth stopped, and begins anew after the end.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function scrubChunks(
  deps: ScrubDeps,
  depth: Depth,
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<ScrubReport> {
  const report = {
    chunks: 0,
    healthy: 0,
    missing: 0,
    corrupt: 0,
    unreachable: 0,
    unplaced: 0,
    enqueued: 0,
    bytes: 0,
  };
  const unreadable: ChunkId[] = [];
  const note = `scrub.chunks.${depth}`;
  let cursor = (await deps.catalog.getNote(note)) || undefined;
  const total = onProgress && (await countChunks(deps.catalog, cursor));
  const domains = stayingDomains(deps.providers);
  const scrubOne = async (record: ChunkRecord) => {
    throwIfAborted(signal);
    const { health, bytes } = await examine(record, depth, deps, signal);
    deps.observe?.(record, health);
    const found = classify(record, health, deps.providers, { domains });
    const { action } = found;
    // Shards are also missing when the chunk has been deleted meanwhile.
    if (action !== 'none' && !(await deps.catalog.get(record.id))) return;
    if (action === 'unreadable') unreadable.push(record.id);
    if (action !== 'none') {
      await deps.catalog.enqueueRepair(record.id, reasonOf(found, health), keepLate);
      report.enqueued++;
    }
    for (const state of health) report[COUNTED[state]]++;
    report.chunks++;
    report.bytes += bytes;
    onProgress?.({ job: 'scrub', done: report.chunks, total, bytes: report.bytes });
  };
  for (;;) {
    const records = await deps.catalog.list(cursor, PAGE);
    if (records.length === 0) break;
    await forEachBounded(records, CONCURRENCY, scrubOne);
    cursor = records.at(-1)!.id;
    await deps.catalog.setNote(note, cursor);
  }
  await deps.catalog.setNote(note, '');
  return { ...report, unreadable };
}

/** Damage lies anywhere in a shard, so its repair has to read everything too. */
function reasonOf({ remaining }: Classification, health: readonly ShardHealth[]): string {
  return formatReason(health.includes('corrupt') ? 'damage' : 'lost', remaining, SCRUB_DETAIL);
}

/** Records after a cursor. */
export async function countChunks(catalog: ChunkCatalog, after?: ChunkId): Promise<number> {
  let count = 0;
  for (let cursor = after; ;) {
    const records = await catalog.list(cursor, COUNT_PAGE);
    count += records.length;
    if (records.length < COUNT_PAGE) return count;
    cursor = records.at(-1)!.id;
  }
}
