/**
 * Copies without moving data: a new owner's references to chunks that exist. Few chunks of the same partition get theirs in the visible commit.
 * Otherwise the new body is declared pending first, the references are added partition by partition, and the visible
 * commit takes the declaration away.
 */
import type { ChunkId } from '#placement';
import { keysFor } from './body.ts';
import { chunkCodec } from './codecs.ts';
import type { Plan } from './commit.ts';
import type { Context } from './context.ts';
import { chunkKey, homeOf } from './keys.ts';
import type { BodyPart, Hex, Segment } from './model.ts';
import { declarePending, prepareBody, whilePending } from './pages.ts';
import type { PreparedBody } from './pages.ts';
import { addReferences, byHome } from './recorded.ts';
import { bodyIdOf, chunksOf, inlineBody, storedBody } from './segments.ts';
import type { CustomerKey } from './types.ts';
import { EngineError } from './types.ts';

/** Chunks whose references one commit adds. */
const CHUNKS_AT_ONCE = 256;
const TRIES_MAX = 50;

type Entries = Pick<Plan<unknown>, 'checks' | 'puts' | 'deletes'>;
const NO_ENTRIES: Entries = { checks: [], puts: [], deletes: [] };

export interface Adoption {
  /** The body as its version stores it. */
  readonly bytes: Uint8Array;
  /** What the visible commit adds to its own; asked anew on every try. @throws ChunkGone */
  entries(): Promise<Entries>;
}

/**
 * @param parts the new body, all under one new owner
 * @param paged false: the body is stored inline whatever its length
 * @param commit makes the body visible
 */
export async function adopt<R>(
  context: Context,
  partition: number,
  parts: readonly BodyPart[],
  paged: boolean,
  commit: (adoption: Adoption) => Promise<R>,
): Promise<R> {
  const owner = parts[0]?.owner;
  const chunks = chunksOf(parts);
  if (owner === undefined || chunks.length === 0) {
    return commit({ bytes: inlineBody(parts), entries: async () => NO_ENTRIES });
  }
  const homes = byHome(chunks);
  const local = homes.size === 1 && homes.has(partition) && chunks.length <= context.options.inlineChunks;
  const prepared: PreparedBody = paged
    ? await prepareBody(context, partition, parts, 'body')
    : { bytes: inlineBody(parts) };
  if (local && prepared.pending === undefined) {
    const entries = async (): Promise<Entries> => ({
      ...(await addReferences(context, partition, chunks, owner)),
      deletes: [],
    });
    // Copies of one chunk queue up here rather than fail each other's commits.
    return context.locks.run(`chunk ${chunks[0]}`, () => commit({ bytes: prepared.bytes, entries }));
  }
  const pending = prepared.pending ?? (await declareInline(context, partition, prepared.bytes));
  return whilePending(context, partition, pending, async (declaration) => {
    for (const [home, ids] of homes) await referAll(context, home, ids, owner);
    const entries: Entries = { checks: [context.session.alive()], puts: [], deletes: [declaration] };
    return commit({ bytes: prepared.bytes, entries: async () => entries });
  });
}

/**
 * Whether segments lie in a pack. They are not adopted but written anew: a pack can be compacted only while each of its references says
 * which version it is for, and copying something so small costs little.
 */
export async function liesInPack(context: Context, segments: readonly Segment[]): Promise<boolean> {
  const extents = segments.flatMap((segment) => segment.extents);
  if (extents.length !== 1) return false;
  const { chunk } = extents[0]!;
  const value = await context.kv.get(homeOf(chunk), chunkKey(chunk));
  return value !== undefined && chunkCodec.decode(value).packed;
}

async function declareInline(
  context: Context,
  partition: number,
  bytes: Uint8Array,
): Promise<NonNullable<PreparedBody['pending']>> {
  const body = storedBody(bytes);
  const pending = { id: bodyIdOf(body)!, garbage: { kind: 'body', body } } as const;
  await declarePending(context, partition, pending.id, pending.garbage);
  return pending;
}

async function referAll(
  context: Context,
  home: number,
  chunks: readonly ChunkId[],
  owner: Hex,
): Promise<void> {
  await context.session.enter(home);
  for (let at = 0; at < chunks.length; at += CHUNKS_AT_ONCE) {
    await refer(context, home, chunks.slice(at, at + CHUNKS_AT_ONCE), owner);
  }
}

async function refer(context: Context, home: number, chunks: readonly ChunkId[], owner: Hex): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const { checks, puts } = await addReferences(context, home, chunks, owner);
    if (await context.kv.commit(home, { checks: [context.session.alive(), ...checks], puts })) return;
    await context.clock.sleep(context.random.fraction() * Math.min(tries + 1, 20));
  }
  throw new EngineError('OperationAborted', 'The chunks of the source change too fast');
}

/** The same segments with their data keys under another key encryption, where source or target has a customer's key. */
export async function rewrap(
  context: Context,
  segments: readonly Segment[],
  from: CustomerKey | undefined,
  to: CustomerKey | undefined,
): Promise<readonly Segment[]> {
  if (!from && !to) return segments;
  return Promise.all(
    segments.map(async (segment) => {
      const { keyId, wrapped, body } = segment;
      const source = keysFor(context, keyId === 'customer' ? from : undefined);
      const dataKey = await source.unwrap({ keyId, bytes: wrapped }, body);
      const next = await keysFor(context, to).wrap(dataKey, body);
      return { ...segment, keyId: next.keyId, wrapped: next.bytes };
    }),
  );
}
