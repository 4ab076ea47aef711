/** Opens versions and streams their bytes. */
import { freeMemory } from '#placement';
import type { ChunkId, Verification } from '#placement';
import { keysFor } from './body.ts';
import { chunkCodec } from './codecs.ts';
import { checkRead } from './conditions.ts';
import type { Context } from './context.ts';
import { cipherRange, decryptFrames } from './encryption.ts';
import { toEngineError } from './errors.ts';
import { objectInfo } from './info.ts';
import { chunkKey, homeOf } from './keys.ts';
import { lookup } from './lookup.ts';
import type { FoundObject } from './lookup.ts';
import type { BodyPart, Extent, Segment, VersionRecord } from './model.ts';
import { loadParts } from './pages.ts';
import { ReadAhead } from './readAhead.ts';
import { bodyIdOf, extentsOf, lengthOf, segmentsOf, slice, storedBody, summariesOf } from './segments.ts';
import { EngineError } from './types.ts';
import type { CustomerKey, ObjectInfo, OpenedObject, OpenRequest } from './types.ts';

/** An opened version with what a copy needs of it. */
export interface OpenedBody {
  readonly info: ObjectInfo;
  readonly record: VersionRecord;
  readonly parts: readonly BodyPart[];
  close(): void;
}

const TRIES_MAX = 10;
/** Decrypted before any of it is given out; a stripe of large shards, about, which is read as a whole anyway. */
const HELD_BYTES = 1024 * 1024;

/** The version with its body, pinned until `close`. Checks the customer's key and the conditions. @throws see ObjectStore.open */
export async function openBody(context: Context, request: OpenRequest): Promise<OpenedBody> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const pinned = await context.pins.resolving(async () => {
      const found = await lookup(context, request);
      const body = storedBody(found.stored.record.body);
      const id = bodyIdOf(body);
      return { found, body, release: id === undefined ? () => undefined : context.pins.pin(id) };
    });
    const { found, body, release } = pinned;
    const { record } = found.stored;
    try {
      const parts = await loadParts(context, found.partition, body);
      // Deleted between the look and the pin, with reclaim already at its pages: look again.
      if (lengthOf(segmentsOf(parts)) !== record.size) {
        release();
        continue;
      }
      const info = infoOf(request, found, parts);
      checkCustomerKey(record, request.customerKey);
      checkRead(info, request.conditions);
      return { info, record, parts, close: release };
    } catch (error) {
      release();
      throw toEngineError(error);
    }
  }
  throw new EngineError('Unreadable', 'The pages of this version are incomplete');
}

function infoOf(request: OpenRequest, found: FoundObject, parts: readonly BodyPart[]): ObjectInfo {
  const { bucket, key } = request;
  const { versioned, isLatest } = found;
  return objectInfo(found.stored.record, { bucket, key, versioned, isLatest, parts: summariesOf(parts) });
}

/** @throws EngineError 'InvalidRequest' (key missing or not applicable) | 'AccessDenied' (another key) */
function checkCustomerKey(
  { customerKeyMd5 }: { readonly customerKeyMd5?: string },
  customerKey: CustomerKey | undefined,
): void {
  if (customerKeyMd5 === undefined) {
    if (!customerKey) return;
    throw new EngineError('InvalidRequest', 'The encryption parameters are not applicable to this object.');
  }
  if (!customerKey) {
    throw new EngineError(
      'InvalidRequest',
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    );
  }
  if (customerKey.md5 !== customerKeyMd5) {
    throw new EngineError('AccessDenied', 'The customer key is not the one the object was encrypted with');
  }
}

export async function open(context: Context, request: OpenRequest): Promise<OpenedObject> {
  const body = await openBody(context, request);
  const { info, parts } = body;
  return {
    info,
    stream: (start, end, signal) =>
      streamSegments(context, slice(segmentsOf(parts), start, end), request.customerKey, signal),
    release: freeMemory,
    partRange: (number) => partRange(info, parts, number),
    close: () => body.close(),
  };
}

function partRange(
  info: ObjectInfo,
  parts: readonly BodyPart[],
  number: number,
): { start: number; end: number; count: number } {
  const sizes = info.parts ? parts.map((part) => part.summary?.size ?? 0) : [info.size];
  if (!Number.isInteger(number) || number < 1 || number > sizes.length) {
    throw new EngineError('InvalidPartNumber', 'The requested partnumber is not satisfiable', {
      fields: [
        ['PartNumberRequested', String(number)],
        ['ActualPartCount', String(sizes.length)],
      ],
    });
  }
  const start = sizes.slice(0, number - 1).reduce((sum, size) => sum + size, 0);
  return { start, end: start + sizes[number - 1]!, count: sizes.length };
}

/**
 * Plaintext of segments, in order. The next extent's first bytes are fetched while the one before is sent.
 *
 * What decrypts is right, so the leaves are not hashed, too, as long as all goes well. Where a frame does not decrypt, it is read anew with its leaves
 * verified, and so is what follows: that finds and reports the shard that is wrong, and decodes around it. Nothing is given out until the first MiB
 * has decrypted: what cannot be read is best known before that.
 */
export async function* streamSegments(
  context: Context,
  segments: readonly Segment[],
  customerKey: CustomerKey | undefined,
  signal?: AbortSignal,
  verifies: Verification = 'reader',
): AsyncIterable<Uint8Array> {
  const runs = segments.map((segment) =>
    extentsOf(segment, cipherRange(segment.start, segment.end, segment.plainLength)),
  );
  const ahead = new ReadAhead(runs.flat(), (extent) => readExtent(context, extent, signal, verifies));
  let given = 0;
  let extent = 0;
  let held: Uint8Array[] | undefined = [];
  let heldBytes = 0;
  try {
    for (const [index, { keyId, wrapped, body, plainLength, start, end }] of segments.entries()) {
      const keys = keysFor(context, keyId === 'customer' ? customerKey : undefined);
      const dataKey = await keys.unwrap({ keyId, bytes: wrapped }, body);
      const cipher = ahead.run(extent, (extent += runs[index]!.length));
      const range = { plainLength, plainStart: start, plainEnd: end };
      for await (const piece of decryptFrames(dataKey, cipher, range)) {
        if (held) {
          held.push(piece);
          heldBytes += piece.length;
          if (heldBytes < HELD_BYTES) continue;
        }
        const pieces: readonly Uint8Array[] = held ?? [piece];
        held = undefined;
        for (const one of pieces) {
          given += one.length;
          yield one;
        }
      }
    }
    for (const piece of held ?? []) {
      given += piece.length;
      yield piece;
    }
    return;
  } catch (error) {
    const isWrong = error instanceof EngineError && error.kind === 'Unreadable';
    if (!isWrong || verifies === 'leaves') throw toEngineError(error);
  } finally {
    await ahead.close();
  }
  yield* streamSegments(context, slice(segments, given, lengthOf(segments)), customerKey, signal, 'leaves');
}

async function* readExtent(
  context: Context,
  extent: Extent,
  signal: AbortSignal | undefined,
  verifies: Verification,
): AsyncIterable<Uint8Array> {
  const { cache } = context;
  const known = cache.get(extent);
  if (known) {
    yield known;
    return;
  }
  const { chunk, offset, length } = extent;
  const record = await chunkRecord(context, chunk);
  if (!cache.takes(extent)) {
    yield* context.chunks.read(record, offset, length, signal, verifies);
    return;
  }
  // Kept only when it is right.
  const pieces = context.chunks.read(record, offset, length, signal, 'leaves');
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  for await (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.length;
  }
  if (filled === length) cache.put(extent, bytes);
  yield bytes.subarray(0, filled);
}

/** @throws EngineError 'Unreadable' */
async function chunkRecord(
  context: Context,
  id: ChunkId,
): Promise<ReturnType<typeof chunkCodec.decode>['record']> {
  const bytes = await context.kv.get(homeOf(id), chunkKey(id));
  if (!bytes) throw new EngineError('Unreadable', `Chunk ${id} has no record`);
  return chunkCodec.decode(bytes).record;
}
