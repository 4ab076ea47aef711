/** One step of reclaim: takes the references of a body that nothing names any more, and dooms the chunks that lost one. */
import type { ChunkId } from '#placement';
import type { Bytes } from '../metadata/types.ts';
import { garbageCodec, partCodec } from './codecs.ts';
import type { Context } from './context.ts';
import { doomedKey, garbageKey, idAt, KIND, ofKind, pagesOf, partsOf, refKey } from './keys.ts';
import type { BodyPart, GarbageRecord, Hex } from './model.ts';
import { readPages } from './pages.ts';
import { byHome, PRESENT } from './recorded.ts';
import { scanPages } from './scan.ts';

/** Entries of a commit, about. */
const PAGE = 256;

/**
 * Works through a partition's garbage, but for bodies that a reader of this process still needs. Returns the entries done.
 * Idempotent: an entry goes last.
 */
export async function dropGarbage(context: Context, partition: number): Promise<number> {
  let dropped = 0;
  const { garbageAtOnce } = context.pins;
  for await (const page of scanPages(context.kv, partition, ofKind(KIND.garbage), garbageAtOnce)) {
    // Readers that saw a version before it became garbage have pinned it once these are through.
    await context.pins.quiesce();
    const due = page
      .map(([key, value]) => ({ key, id: idAt(key, 1, 16), garbage: garbageCodec.decode(value) }))
      .filter((entry) => !context.pins.has(readersOf(entry)));
    const short = due.filter(({ garbage }) => referencesIn(garbage) !== undefined);
    for (let at = 0; at < short.length; at += PAGE) {
      await dropShort(context, partition, short.slice(at, at + PAGE));
    }
    const isShort = new Set(short);
    for (const entry of due) if (!isShort.has(entry)) await dropLong(context, partition, entry);
    dropped += due.length;
  }
  return dropped;
}

interface Entry {
  readonly key: Bytes;
  readonly id: Hex;
  readonly garbage: GarbageRecord;
}

/** The body that readers of what the entry frees have pinned. */
function readersOf({ id, garbage }: Entry): Hex {
  return garbage.kind === 'moved' ? garbage.owner : id;
}

interface Reference {
  readonly chunk: ChunkId;
  readonly owner: Hex;
}

/** What an entry refers to; undefined where that does not stand in the entry itself. */
function referencesIn(garbage: GarbageRecord): Reference[] | undefined {
  if (garbage.kind === 'moved') return [garbage];
  if (garbage.kind === 'body' && garbage.body.kind === 'inline') return referencesOf(garbage.body.parts);
  return undefined;
}

/** References in the entries themselves: many in one commit where their chunks are in the same partition. */
async function dropShort(context: Context, partition: number, entries: readonly Entry[]): Promise<void> {
  if (entries.length === 0) return;
  await dropReferences(
    context,
    entries.flatMap(({ garbage }) => referencesIn(garbage) ?? []),
  );
  await context.kv.commit(partition, { deletes: entries.map(({ key }) => key) });
}

async function dropLong(context: Context, partition: number, { key, garbage }: Entry): Promise<void> {
  if (garbage.kind === 'upload') {
    await discardParts(context, partition, garbage.upload);
  } else if (garbage.kind !== 'moved') {
    const id = garbage.kind === 'pages' ? garbage.pages : pagedId(garbage);
    if (garbage.kind === 'body') {
      for await (const parts of readPages(context, partition, id)) {
        await dropReferences(context, referencesOf(parts));
      }
    }
    await deleteRange(context, partition, pagesOf(id));
  }
  await context.kv.commit(partition, { deletes: [key] });
}

function pagedId({ body }: GarbageRecord & { kind: 'body' }): Hex {
  if (body.kind !== 'paged') throw new Error('A body in its garbage entry has no pages');
  return body.id;
}

/** References of the parts' owners to the parts' chunks. */
function referencesOf(parts: readonly BodyPart[]): Reference[] {
  return parts.flatMap(({ owner, segments }) => {
    const chunks = new Set(segments.flatMap(({ extents }) => extents.map(({ chunk }) => chunk)));
    return [...chunks].map((chunk) => ({ chunk, owner }));
  });
}

/** Takes references away, in every partition that has some. */
async function dropReferences(context: Context, refs: readonly Reference[]): Promise<void> {
  const owners = Map.groupBy(refs, ({ chunk }) => chunk);
  for (const [home, chunks] of byHome([...owners.keys()])) {
    for (let at = 0; at < chunks.length; at += PAGE) {
      const some = chunks.slice(at, at + PAGE);
      const gone = some.flatMap((chunk) => owners.get(chunk)!.map(({ owner }) => refKey(chunk, owner)));
      await context.kv.commit(home, {
        puts: some.map((chunk) => [doomedKey(chunk), PRESENT] as const),
        deletes: gone,
      });
    }
  }
}

/** Makes garbage of each part of an upload that is over. */
async function discardParts(context: Context, partition: number, upload: Hex): Promise<void> {
  const range = partsOf(upload);
  for (;;) {
    const page = await context.kv.scan(partition, { ...range, limit: PAGE });
    if (page.length === 0) return;
    const puts = page.map(([, value]) => {
      const { part } = partCodec.decode(value);
      const body = { kind: 'inline', parts: [part] } as const;
      return [garbageKey(part.owner), garbageCodec.encode({ kind: 'body', body })] as const;
    });
    await context.kv.commit(partition, { puts, deletes: page.map(([key]) => key) });
  }
}

async function deleteRange(
  context: Context,
  partition: number,
  range: { from: Bytes; to: Bytes },
): Promise<void> {
  for (;;) {
    const page = await context.kv.scan(partition, { ...range, limit: PAGE });
    if (page.length === 0) return;
    await context.kv.commit(partition, { deletes: page.map(([key]) => key) });
  }
}
