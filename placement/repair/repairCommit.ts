/** How rebuilt shards become part of a chunk, and what goes when they do or do not. */
import type { ShardHealth } from './repairPlan.ts';
import type { WrittenShard } from './repairWrite.ts';
import type { ChunkCatalog, ChunkId, ChunkRecord, Providers } from '../types.ts';

/**
 * Puts new places into the record by compare-and-set, or, where they are the old ones, makes sure that the record is still there.
 * @returns the record as it is now; undefined when it has changed or gone
 * @throws what the catalog throws, when it cannot be found out what became of the record: then nothing may be deleted
 */
export async function commitPlaces(
  expected: ChunkRecord,
  written: readonly WrittenShard[],
  catalog: ChunkCatalog,
): Promise<ChunkRecord | undefined> {
  if (written.every((shard) => claims(expected, shard))) {
    const now = await catalog.get(expected.id);
    return now?.generation === expected.generation ? expected : undefined;
  }
  const shards = [...expected.shards];
  for (const { index, place } of written) shards[index] = place;
  return await commitShards(expected, shards, catalog);
}

/**
 * Takes places out of the record at which there is no shard. Returns and throws as `commitPlaces`.
 * @param indexes at least one
 */
export function clearPlaces(
  expected: ChunkRecord,
  indexes: readonly number[],
  catalog: ChunkCatalog,
): Promise<ChunkRecord | undefined> {
  const shards = expected.shards.map((place, index) => (indexes.includes(index) ? undefined : place));
  return commitShards(expected, shards, catalog);
}

async function commitShards(
  expected: ChunkRecord,
  shards: ChunkRecord['shards'],
  catalog: ChunkCatalog,
): Promise<ChunkRecord | undefined> {
  const next: ChunkRecord = { ...expected, generation: expected.generation + 1, shards };
  try {
    return (await catalog.compareAndSet(expected, next)) ? next : undefined;
  } catch (error) {
    // The outcome may be unknown: only what stands in the catalog counts.
    const now = await catalog.get(expected.id);
    if (now && samePlaces(now, next)) return next;
    throw error;
  }
}

/** Gives up shards that lost their race, except those that whoever won it has recorded. */
export async function discardShards(
  id: ChunkId,
  written: readonly WrittenShard[],
  deps: { readonly catalog: ChunkCatalog; readonly providers: Pick<Providers, 'get'> },
): Promise<void> {
  const now = await deps.catalog.get(id);
  for (const shard of written) {
    if (now && claims(now, shard)) continue;
    const transport = deps.providers.get(shard.place.provider)?.transport;
    // What cannot be deleted now is an orphan, and scrub's.
    await transport?.delete({ chunk: id, index: shard.index }).catch(() => undefined);
  }
}

/**
 * Deletes what moved shards left at their former providers. Readable copies stay for scrub when readers that still hold the former
 * record could not do without them; unreachable ones are orphans when their provider comes back, and scrub's too.
 * @param former the record, and the health of its shards, before the move
 */
export async function deleteFormer(
  former: { readonly record: ChunkRecord; readonly health: readonly ShardHealth[] },
  written: readonly WrittenShard[],
  deps: { readonly providers: Pick<Providers, 'get'> },
  signal: AbortSignal,
): Promise<void> {
  const { record, health } = former;
  const moved = written.filter((shard) => record.shards[shard.index] && !claims(record, shard));
  const indexes = new Set(moved.map(({ index }) => index));
  const kept = health.filter((state, index) => state === 'healthy' && !indexes.has(index)).length;
  const spared = kept < record.profile.data;
  for (const { index } of moved) {
    if (health[index] === 'unreachable' || (spared && health[index] === 'healthy')) continue;
    const transport = deps.providers.get(record.shards[index]!.provider)?.transport;
    await transport?.delete({ chunk: record.id, index }, signal).catch(() => undefined);
  }
}

function claims(record: ChunkRecord, { index, place }: WrittenShard): boolean {
  const recorded = record.shards[index];
  return recorded?.provider === place.provider && Buffer.compare(recorded.root, place.root) === 0;
}

function samePlaces(a: ChunkRecord, b: ChunkRecord): boolean {
  return (
    a.generation === b.generation &&
    b.shards.every((place, index) => (place ? claims(a, { index, place }) : a.shards[index] === undefined))
  );
}
