import { chunkLayout } from '#erasure';
import type { DomainMap } from '../durability/domains.ts';
import type { Keeper } from './keeper.ts';
import { repairChunk, type RepairOutcome } from './repair.ts';
import type { ChunkId, ProviderId } from '../types.ts';

export interface MoveOptions {
  /** Providers whose shards are to go. */
  readonly leaving: ReadonlySet<ProviderId>;
  /** The only providers that may take them. By default all. */
  readonly onto?: ReadonlySet<ProviderId>;
  readonly domains: DomainMap;
  /** Not held back beyond the floor of urgent work. */
  readonly urgent?: boolean;
}

/**
 * 'done': nothing of the chunk is at a leaving provider any more, or the chunk is gone. 'busy': it is being written, or has just
 * changed. 'kept': something is still there, as the outcome says.
 */
export interface Move {
  readonly result: 'done' | 'busy' | 'kept';
  readonly outcome: RepairOutcome | undefined;
}

/**
 * Moves shards of one chunk off providers: each is copied from where it lies if it verifies, and computed from the others if not;
 * written to its new place, recorded there by compare-and-set, and only then deleted at the old one. What the chunk lacks besides is
 * repaired on the way.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export function moveShards(
  keeper: Keeper,
  chunk: ChunkId,
  options: MoveOptions,
  signal: AbortSignal,
): Promise<Move> {
  const { leaving, onto, domains, urgent = false } = options;
  return keeper.locks.run(chunk, async () => {
    const { catalog } = keeper.deps;
    // Asked before the record is read: a write that ends in between has its last record by then.
    if (await keeper.isPending(chunk)) return { result: 'busy', outcome: undefined };
    const record = await catalog.get(chunk);
    if (!record?.shards.some((place) => place && leaving.has(place.provider))) {
      return { result: 'done', outcome: undefined };
    }
    const deps = { ...keeper.batchDeps(), throttle: keeper.laneFor(urgent) };
    const move = { depth: 'shallow', leaving, domains, ...(onto && { onto }) } as const;
    const outcome = await repairChunk(record, deps, move, signal);
    if (outcome.result === 'superseded') return { result: 'busy', outcome };
    const now = await catalog.get(chunk);
    const kept = now?.shards.some((place) => place && leaving.has(place.provider)) ?? false;
    return { result: kept ? 'kept' : 'done', outcome };
  });
}

/** Bytes of each shard of a chunk. */
export function shardBytes({ length, profile, cell }: Parameters<typeof repairChunk>[0]): number {
  return chunkLayout(length, profile, cell).shardLength;
}
