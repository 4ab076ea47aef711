import { forEachBounded } from '../concurrency.ts';
import type { DomainMap } from '../durability/domains.ts';
import type { Keeper } from './keeper.ts';
import { moveShards, shardBytes } from './move.ts';
import { Fills, UTILISATION_GAP } from './rebalancePlan.ts';
import { repairChunk } from './repair.ts';
import { throwIfAborted } from './repairExamine.ts';
import { healthyOnRecord, stayingDomains } from './repairPlan.ts';
import { countChunks } from './scrub.ts';
import type { ChunkRecord, Progress } from '../types.ts';

const PAGE = 256;
/** Chunks moved at the same time: each holds about two stripes. */
const CONCURRENCY = 2;
const NOTE = 'rebalance';

export interface RebalanceReport {
  /** Chunks looked at. */
  readonly chunks: number;
  /** Shards moved from full providers to emptier ones, and their bytes. */
  readonly moved: number;
  readonly bytes: number;
  /** Shards moved because one domain had too many of their chunk's. */
  readonly spread: number;
  /** Chunks of which a shard was to move and could not. */
  readonly failed: number;
  /** Difference in utilisation between the fullest provider and the emptiest, before and as reckoned now: [0, 1]. */
  readonly gapBefore: number;
  readonly gapAfter: number;
}

/**
 * Goes over all chunks once. Moves shards out of domains that hold too many of one chunk, and from full providers to emptier ones until
 * these differ by no more than 20 points. Aborted and called again, it goes on where it stopped.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function rebalanceShards(
  keeper: Keeper,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal,
): Promise<RebalanceReport> {
  const { catalog, providers } = keeper.deps;
  const fills = new Fills(providers.all(), providers.candidates());
  const gapBefore = fills.spread();
  const report = { chunks: 0, moved: 0, bytes: 0, spread: 0, failed: 0 };
  let after = (await catalog.getNote(NOTE)) || undefined;
  const total = onProgress && (await countChunks(catalog, after));
  for (;;) {
    throwIfAborted(signal);
    const records = await catalog.list(after, PAGE);
    if (records.length === 0) break;
    const domains = stayingDomains(providers);
    await forEachBounded(records, CONCURRENCY, async (record) => {
      throwIfAborted(signal);
      const spread = await spreadOut(keeper, record, domains, signal);
      report.spread += spread;
      // What has just been moved has a new record: it lies where it should, or the next run sees to it.
      if (spread === 0 && fills.spread() > UTILISATION_GAP) {
        const moved = await level(keeper, record, fills, domains, signal);
        if (moved === undefined) report.failed++;
        else if (moved > 0) {
          report.moved++;
          report.bytes += moved;
        }
      }
      report.chunks++;
      onProgress?.({ job: 'rebalance', done: report.chunks, total, bytes: report.bytes });
    });
    after = records.at(-1)!.id;
    await catalog.setNote(NOTE, after);
  }
  await catalog.setNote(NOTE, '');
  return { ...report, gapBefore, gapAfter: fills.spread() };
}

/** Returns the shards that were moved. */
async function spreadOut(
  keeper: Keeper,
  record: ChunkRecord,
  domains: DomainMap,
  signal: AbortSignal,
): Promise<number> {
  const { catalog, providers } = keeper.deps;
  if (
    healthyOnRecord(record, providers, domains).healthy ===
    healthyOnRecord(record, providers, undefined).healthy
  ) {
    return 0;
  }
  return keeper.locks.run(record.id, async () => {
    if (await keeper.isPending(record.id)) return 0;
    const now = await catalog.get(record.id);
    if (!now) return 0;
    const deps = { ...keeper.batchDeps(), throttle: keeper.laneFor(false) };
    return (await repairChunk(now, deps, { depth: 'shallow', domains }, signal)).shards;
  });
}

/** Returns the bytes that were moved; undefined when a shard should have been and was not. */
async function level(
  keeper: Keeper,
  record: ChunkRecord,
  fills: Fills,
  domains: DomainMap,
  signal: AbortSignal,
): Promise<number | undefined> {
  const bytes = shardBytes(record);
  const planned = fills.plan(record, bytes, domains);
  if (!planned) return 0;
  // Counted before it is done, so that moves under way at the same time do not all choose the same provider.
  fills.moved(planned, bytes);
  const back = { index: planned.index, from: planned.to, to: planned.from };
  try {
    const leaving = new Set([planned.from]);
    const { result, outcome } = await moveShards(
      keeper,
      record.id,
      { leaving, onto: new Set([planned.to]), domains },
      signal,
    );
    if (result === 'done' && outcome) return bytes;
    fills.moved(back, bytes);
    return result === 'kept' ? undefined : 0;
  } catch (error) {
    fills.moved(back, bytes);
    throw error;
  }
}
