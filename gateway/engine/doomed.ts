/** One step of reclaim: deletes chunks that have lost their last reference. */
import type { ChunkId } from '#placement';
import { chunkCodec } from './codecs.ts';
import type { Context } from './context.ts';
import { isSparse } from './compact.ts';
import { isPending } from './deadSessions.ts';
import type { Deletions } from './deletions.ts';
import { chunkKey, doomedKey, idAt, KIND, ofKind, refsOf, repairKey } from './keys.ts';
import { inGroups, scanPages } from './scan.ts';
import { sessionOfId } from './session.ts';

const PAGE = 256;
/** Chunks whose shards are deleted at the same time. */
const AT_ONCE = 16;

export interface DoomedResult {
  readonly deleted: number;
  /** Chunks whose shards could not all be deleted: a provider did not answer. They are tried again. */
  readonly failed: number;
  /** Packs that are mostly holes. */
  readonly sparse: readonly ChunkId[];
}

/**
 * Order: mark the record while it is known to have no reference, delete the shards, then forget the chunk. A crash in between leaves a
 * marked record and its entry, and the next run goes on from there.
 */
export async function deleteDoomed(
  context: Context,
  partition: number,
  deletions: Deletions,
): Promise<DoomedResult> {
  let deleted = 0;
  let failed = 0;
  const sparse: ChunkId[] = [];
  for await (const page of scanPages(context.kv, partition, ofKind(KIND.doomed), PAGE)) {
    const ids = page.map(([key]) => idAt(key, 1, 16));
    const outcomes = await inGroups(ids, AT_ONCE, (id) => deleteOne(context, partition, id, deletions));
    const gone = ids.filter((_, i) => outcomes[i] === 'deleted');
    const spared = ids.filter((_, i) => outcomes[i] === 'spared');
    await context.kv.commit(partition, {
      deletes: [
        ...gone.flatMap((id) => [chunkKey(id), doomedKey(id), repairKey(id)]),
        ...spared.map((id) => doomedKey(id)),
      ],
    });
    deleted += gone.length;
    failed += outcomes.filter((outcome) => outcome === 'failed').length;
    sparse.push(...ids.filter((_, i) => outcomes[i] === 'sparse'));
  }
  return { deleted, failed, sparse };
}

/**
 * 'spared': it has a reference, or no record; 'failed': to be tried again; 'held': a commit that names it may be under way; 'sparse': a pack
 * that is not worth its room.
 */
type Outcome = 'deleted' | 'spared' | 'failed' | 'held' | 'sparse';

async function deleteOne(
  context: Context,
  partition: number,
  id: ChunkId,
  deletions: Deletions,
): Promise<Outcome> {
  const key = chunkKey(id);
  const value = await context.kv.get(partition, key);
  if (!value) return 'spared';
  const stored = chunkCodec.decode(value);
  if (!stored.deleting) {
    // Bodies of a pack are named one by one.
    if (stored.packed && (await mayBeNamed(context, id))) return 'held';
    const refs = await context.kv.scan(partition, { ...refsOf(id), limit: 1 });
    if (refs.length > 0) return (await isSparse(context, partition, stored)) ? 'sparse' : 'spared';
    // A reference added since then, or a repair, has changed the record.
    const marked = await context.kv.commit(partition, {
      checks: [{ key, value }],
      puts: [[key, chunkCodec.encode({ ...stored, deleting: true })]],
    });
    if (!marked) return 'failed';
  }
  return (await deletions.delete(stored.record)) ? 'deleted' : 'failed';
}

/** Whether the session that wrote a chunk may still name it. Another's is asked by what it has reserved, which covers more than is open. */
async function mayBeNamed({ session, kv, options }: Context, id: ChunkId): Promise<boolean> {
  if (sessionOfId(id) === session.id) return session.holds(id);
  return options.isLive(sessionOfId(id)) && (await isPending(kv, id));
}
