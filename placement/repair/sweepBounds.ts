import { throwIfAborted } from './repairExamine.ts';
import type { ChunkCatalog, ChunkId, ProviderId } from '../types.ts';

/** Records read at a time. */
const PAGE = 256;
/** Names that nothing speaks for, such as failed writes have left: what is beyond is for the next sweep. */
const NAMES_SLACK = 10_000;
const TIME_MS = 300_000;
/** An honest provider that is slow gets this much more for each shard that records place there. */
const SHARD_MS = 5;

/** What one sweep takes from one provider, whatever that one lists. */
export interface SweepBounds {
  readonly names: number;
  /** Spent waiting for the provider. */
  readonly timeMs: number;
}

/**
 * @param recorded shards that records place at the provider, now or before it was emptied
 * @param reported shards by its last heartbeat: only its word, so that it adds names but no time
 */
export function sweepBounds(recorded: number, reported: number | undefined): SweepBounds {
  const said = reported !== undefined && reported > 0 ? reported : 0;
  return { names: recorded + said + NAMES_SLACK, timeMs: TIME_MS + recorded * SHARD_MS };
}

/** Shards at each provider by the chunk records. @throws PlacementError 'Aborted'; what the catalog throws */
export async function countRecorded(
  catalog: Pick<ChunkCatalog, 'list'>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<ProviderId, number>> {
  const counts = new Map<ProviderId, number>();
  for (let after: ChunkId | undefined; ;) {
    throwIfAborted(signal);
    const records = await catalog.list(after, PAGE);
    if (records.length === 0) return counts;
    for (const place of records.flatMap(({ shards }) => shards)) {
      if (place) counts.set(place.provider, (counts.get(place.provider) ?? 0) + 1);
    }
    after = records.at(-1)!.id;
  }
}
