/** Chunk records and references, as entries of a commit. */
import type { ChunkId, WrittenChunk } from '#placement';
import type { Bytes, Check } from '../metadata/types.ts';
import { chunkCodec } from './codecs.ts';
import type { Context } from './context.ts';
import { chunkKey, homeOf, refKey, repairKey } from './keys.ts';
import type { Hex, StoredChunk } from './model.ts';

/** Value of an entry whose key says it all. */
export const PRESENT = Buffer.of(1);

/** Reason of a repair queue entry. */
export const WITH_MISSING_SHARDS = Buffer.from('written with missing shards');

export type Put = readonly [Bytes, Bytes];

/**
 * New chunks with their first reference, which names the bucket that they were written to, and the repair queue's entries for those that
 * lack shards.
 */
export function recordChunks(chunks: readonly WrittenChunk[], owner: Hex, bucketId: Hex): Put[] {
  const puts: Put[] = [];
  for (const { record, needsRepair } of chunks) {
    puts.push([
      chunkKey(record.id),
      chunkCodec.encode({ record, packed: false, touches: 0, deleting: false }),
    ]);
    puts.push([refKey(record.id, owner), Buffer.from(bucketId, 'hex')]);
    if (needsRepair) puts.push([repairKey(record.id), WITH_MISSING_SHARDS]);
  }
  return puts;
}

/** The chunk is being deleted: who wants it must look again at what named it. */
export class ChunkGone extends Error {
  override readonly name = 'ChunkGone';
}

/**
 * References of one more owner to chunks that exist. The chunk's record is touched, so that a reclaim which has just found it without
 * references fails its commit. @throws ChunkGone
 */
export async function addReferences(
  context: Context,
  partition: number,
  chunks: readonly ChunkId[],
  owner: Hex,
): Promise<{ checks: Check[]; puts: Put[] }> {
  const checks: Check[] = [];
  const puts: Put[] = [];
  const values = await Promise.all(chunks.map((id) => context.kv.get(partition, chunkKey(id))));
  for (const [index, id] of chunks.entries()) {
    const value = values[index];
    const stored: StoredChunk | undefined = value && chunkCodec.decode(value);
    if (!value || !stored || stored.deleting) throw new ChunkGone(`Chunk ${id} is being deleted`);
    if (stored.packed) throw new Error(`Chunk ${id} is a pack: its bodies are copied, not adopted`);
    const touched = chunkCodec.encode({ ...stored, touches: stored.touches + 1 });
    checks.push({ key: chunkKey(id), value });
    puts.push([chunkKey(id), touched], [refKey(id, owner), PRESENT]);
  }
  return { checks, puts };
}

/** Chunks by their home partition. */
export function byHome(chunks: readonly ChunkId[]): Map<number, ChunkId[]> {
  const homes = new Map<number, ChunkId[]>();
  for (const id of chunks) {
    const home = homes.get(homeOf(id));
    if (home) home.push(id);
    else homes.set(homeOf(id), [id]);
  }
  return homes;
}
