/**
 * Compaction: bodies of packs that have become mostly holes are moved into new packs. Each moves by one commit that changes its version's
 * extent and nothing else; the reference to the old pack goes into the garbage, which waits for readers. Cut anywhere, what was not moved
 * yet is where it was, and the pack is still doomed: the next pass goes on.
 */
import { PlacementError } from '#placement';
import type { ChunkId } from '#placement';
import { chunkCodec, garbageCodec, guardCodec, packReferenceCodec } from './codecs.ts';
import { commitPlan, UnknownOutcome } from './commit.ts';
import type { Plan } from './commit.ts';
import { newId } from './context.ts';
import type { Context } from './context.ts';
import { decodeVersion } from './keyState.ts';
import type { Stored } from './keyState.ts';
import { chunkKey, decodeKey, garbageKey, idAt, keyPlace, refsOf } from './keys.ts';
import type { BodyPart, Extent, GuardRecord, Hex, PackReference, Segment, StoredChunk } from './model.ts';
import type { PackedBody } from './packs.ts';
import { inGroups, scanPages } from './scan.ts';
import { inlineBody, storedBody } from './segments.ts';
import { replaceVersion } from './versions.ts';
import type { Bytes, Check } from '../metadata/types.ts';

/** A pack of which less than this share is still needed is rewritten. */
const LIVE_SHARE_MIN = 0.5;
/** Bytes moved between two pauses, by one pass, and a second: clients come first. */
const BATCH_BYTES = 1024 * 1024;
const PASS_BYTES = 256 * BATCH_BYTES;
const BYTES_PER_SECOND = 16 * BATCH_BYTES;
const PAGE = 256;
/** Bodies whose commits are under way at the same time: they share batches. */
const AT_ONCE = 64;
/** Kind and chunk id before the owner's. */
const OWNER_AT = 17;

export interface CompactResult {
  readonly bodies: number;
  /** Of ciphertext. */
  readonly bytes: number;
  /** Packs that could not be read or written now. */
  readonly failed: number;
}

interface Member {
  readonly owner: Hex;
  readonly reference: PackReference;
}

/** Bodies that still lie in a pack. */
async function membersOf(context: Context, partition: number, pack: ChunkId): Promise<Member[]> {
  const members: Member[] = [];
  for await (const page of scanPages(context.kv, partition, refsOf(pack), PAGE)) {
    for (const [key, value] of page) {
      members.push({ owner: idAt(key, OWNER_AT, 16), reference: packReferenceCodec.decode(value) });
    }
  }
  return members;
}

/** Whether so little of a pack is needed that its bodies should be moved. */
export async function isSparse(
  context: Context,
  partition: number,
  { record: { id, length }, packed }: StoredChunk,
): Promise<boolean> {
  if (!packed) return false;
  const members = await membersOf(context, partition, id);
  const live = members.reduce((sum, { reference }) => sum + reference.length, 0);
  return live < LIVE_SHARE_MIN * length;
}

/** Moves what is still needed out of packs, as much as one pass may. Those that are left come with the next. */
export async function compactPacks(
  context: Context,
  partition: number,
  packs: readonly ChunkId[],
): Promise<CompactResult> {
  let [bodies, bytes, failed] = [0, 0, 0];
  for (const pack of packs) {
    if (bytes >= PASS_BYTES) break;
    try {
      const moved = await compactOne(context, partition, pack);
      bodies += moved.bodies;
      bytes += moved.bytes;
    } catch (error) {
      // One pack that cannot be read, or has to be repaired first, does not keep the others from their turn.
      if (!(error instanceof PlacementError)) throw error;
      failed++;
    }
  }
  return { bodies, bytes, failed };
}

async function compactOne(
  context: Context,
  partition: number,
  pack: ChunkId,
): Promise<Omit<CompactResult, 'failed'>> {
  const value = await context.kv.get(partition, chunkKey(pack));
  const stored = value && chunkCodec.decode(value);
  if (!stored || stored.deleting) return { bodies: 0, bytes: 0 };
  const places: Place[] = [];
  for (const member of await membersOf(context, partition, pack)) {
    const place = await findPlace(context, partition, pack, member);
    if (place) places.push(place);
  }
  let [bodies, bytes] = [0, 0];
  for (const batch of batchesOf(places)) {
    const size = batch.reduce((sum, { extent }) => sum + extent.length, 0);
    const { from, content } = await readSpan(context, stored, batch);
    const moved = await inGroups(batch, AT_ONCE, ({ member, extent: { offset, length } }) =>
      moveOne(context, partition, pack, member, content.subarray(offset - from, offset - from + length)),
    );
    bodies += moved.filter(Boolean).length;
    bytes += size;
    await context.clock.sleep((size / BYTES_PER_SECOND) * 1000);
  }
  return { bodies, bytes };
}

function batchesOf(places: readonly Place[]): Place[][] {
  const batches: Place[][] = [];
  let bytes = Infinity;
  for (const place of places) {
    if (bytes + place.extent.length > BATCH_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(place);
    bytes += place.extent.length;
  }
  return batches;
}

/** A version whose body lies in a pack. */
interface Place {
  readonly member: Member;
  readonly stored: Stored;
  readonly segment: Segment;
  readonly extent: Extent;
  readonly state: Parameters<typeof replaceVersion>[0];
  /** What its commit must find unchanged. */
  readonly checks: readonly Check[];
}

/** Undefined: no version names the body there any more, and its reference is garbage. */
async function findPlace(
  context: Context,
  partition: number,
  pack: ChunkId,
  member: Member,
): Promise<Place | undefined> {
  const { bucket, key, sequence } = member.reference;
  const place = keyPlace(bucket, key);
  const { kv } = context;
  const value = await kv.get(partition, place.current);
  const current = value && decodeVersion(value);
  const isCurrent = current?.record.sequence === sequence;
  const older = isCurrent ? undefined : await kv.get(partition, place.version(sequence));
  const stored = isCurrent ? current : older && decodeVersion(older);
  const body = stored && storedBody(stored.record.body);
  const [part, more] = body?.kind === 'inline' ? body.parts : [];
  const segment = part?.owner === member.owner && !more ? part.segments[0] : undefined;
  const extent = segment?.extents[0];
  if (!stored || !segment || extent?.chunk !== pack) return undefined;
  const checks: Check[] = [{ key: isCurrent ? place.current : place.version(sequence), value: stored.bytes }];
  let guard: GuardRecord | undefined;
  if (!isCurrent) {
    const guardBytes: Bytes | undefined = await kv.get(partition, place.guard);
    guard = guardBytes && guardCodec.decode(guardBytes);
    checks.push({ key: place.guard, value: guardBytes ?? null });
  }
  return { member, stored, segment, extent, checks, state: { place, current, guard } };
}

/** All that lies between the first and the last of some bodies: a pack's holes are small beside what a read of its own costs. */
async function readSpan(
  context: Context,
  { record }: StoredChunk,
  places: readonly Place[],
): Promise<{ from: number; content: Buffer }> {
  const from = Math.min(...places.map(({ extent }) => extent.offset));
  const to = Math.max(...places.map(({ extent }) => extent.offset + extent.length));
  const pieces: Uint8Array[] = [];
  for await (const piece of context.chunks.read(record, from, to - from)) pieces.push(Uint8Array.from(piece));
  return { from, content: Buffer.concat(pieces) };
}

/** False: it was deleted meanwhile. */
async function moveOne(
  context: Context,
  partition: number,
  pack: ChunkId,
  member: Member,
  bytes: Uint8Array,
): Promise<boolean> {
  const packed = await context.packs.write(partition, bytes);
  const { bucket, key } = member.reference;
  try {
    const moved = await context.locks.run(`key ${bucket} ${decodeKey(key)}`, () =>
      commitPlan(context, partition, () => planMove(context, partition, pack, member, packed)),
    );
    packed.leave(moved);
    return moved;
  } catch (error) {
    if (error instanceof UnknownOutcome) context.session.doubt();
    else packed.leave(false);
    throw error;
  }
}

async function planMove(
  context: Context,
  partition: number,
  pack: ChunkId,
  member: Member,
  packed: PackedBody,
): Promise<Plan<boolean>> {
  const found = await findPlace(context, partition, pack, member);
  if (!found) return { checks: [], puts: [], deletes: [], result: false };
  const { stored, segment, state, checks } = found;
  const { owner, reference } = member;
  const part: BodyPart = { owner, segments: [{ ...segment, extents: [packed.extent] }] };
  const change = replaceVersion(state, stored, { ...stored.record, body: inlineBody([part]) });
  const entries = await packed.entries(owner, reference);
  const left = garbageCodec.encode({ kind: 'moved', owner, chunk: pack });
  return {
    checks: [...checks, ...entries.checks],
    puts: [...change.puts, ...entries.puts, [garbageKey(newId()), left]],
    deletes: change.deletes,
    result: true,
  };
}
