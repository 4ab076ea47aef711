/**
 * Small bodies share a chunk. A body that comes while none of its partition is being written goes at once; those that come
 * meanwhile go together into the next chunk. Nobody waits for company, and the more there is to write, the more share one set of shards. Of two
 * chunks side by side each would have half as many bodies, and their syncs are what small bodies wait for (decision 12).
 */
import type { ChunkId, ChunkWriter, WrittenChunk } from '#placement';
import { chunkCodec, packReferenceCodec } from './codecs.ts';
import type { Context } from './context.ts';
import { chunkKey, refKey, repairKey } from './keys.ts';
import type { Extent, Hex, PackReference } from './model.ts';
import type { Bytes, Check } from '../metadata/types.ts';
import { recordChunks, WITH_MISSING_SHARDS } from './recorded.ts';
import type { Put } from './recorded.ts';
import { EngineError } from './types.ts';

/** Bytes and bodies of a pack. Its references are read as a whole when it has lost some of them. */
const PACK_BYTES_MAX = 4 * 1024 * 1024;
const PACK_BODIES_MAX = 512;

type Parts = Pick<Context, 'kv' | 'chunks' | 'profile' | 'session'>;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly resolve: (body: PackedBody) => void;
  readonly reject: (error: unknown) => void;
}

/** What the visible commit of a packed body takes besides its own entries. */
export interface PackEntries {
  readonly checks: readonly Check[];
  readonly puts: readonly Put[];
}

export class Packs {
  readonly #parts: Parts;
  /** Bodies for the next chunk, of each partition that one is being written of. */
  readonly #waiting = new Map<number, Waiting[]>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Resolves when the bytes are durable in a chunk of the partition. The caller owes it `leave`, once it is known whether the body is named.
   * `bytes` must stay as they are until then.
   */
  write(partition: number, bytes: Uint8Array): Promise<PackedBody> {
    return new Promise((resolve, reject) => {
      const body = { bytes, resolve, reject };
      const waiting = this.#waiting.get(partition);
      if (waiting) waiting.push(body);
      else void this.#writeAll(partition, [body]);
    });
  }

  async #writeAll(partition: number, waiting: Waiting[]): Promise<void> {
    this.#waiting.set(partition, waiting);
    while (waiting.length > 0) await this.#writeNext(partition, waiting);
    this.#waiting.delete(partition);
  }

  async #writeNext(partition: number, waiting: Waiting[]): Promise<void> {
    let bodies: Waiting[] = [];
    try {
      const id = await this.#parts.session.take(partition);
      // Whoever came while the id was fetched goes along.
      bodies = takeSome(waiting);
      const pack = await this.#write(partition, id, bodies);
      let offset = 0;
      for (const { bytes, resolve } of bodies) {
        resolve(new PackedBody(pack, { chunk: id, offset, length: bytes.length }));
        offset += bytes.length;
      }
    } catch (error) {
      const failed = bodies.length > 0 ? bodies : takeSome(waiting);
      for (const { reject } of failed) reject(error);
    }
  }

  async #write(partition: number, id: ChunkId, bodies: readonly Waiting[]): Promise<Pack> {
    const { chunks, profile, session } = this.#parts;
    let writer: ChunkWriter | undefined;
    try {
      const length = bodies.reduce((sum, { bytes }) => sum + bytes.length, 0);
      writer = await chunks.create(id, profile, length);
      for (const { bytes } of bodies) await writer.write(bytes);
      return new Pack(this.#parts, partition, await writer.finish(), bodies.length);
    } catch (error) {
      await writer?.abort();
      session.abandon(id);
      throw error;
    }
  }
}

function takeSome(waiting: Waiting[]): Waiting[] {
  let bytes = 0;
  const over = waiting.findIndex((body, index) => {
    bytes += body.bytes.length;
    return index >= PACK_BODIES_MAX || (index > 0 && bytes > PACK_BYTES_MAX);
  });
  return waiting.splice(0, over === -1 ? waiting.length : over);
}

/**
 * A chunk whose bodies become visible one by one, by commits of their own. The first of these puts its record. Until all have been
 * committed or given up, the session holds the chunk's id, so that reclaim leaves the chunk alone.
 */
class Pack {
  readonly written: WrittenChunk;
  readonly #parts: Parts;
  readonly #partition: number;
  readonly #isShared: boolean;
  readonly #record: Bytes;
  #left: number;
  #isClaimed = false;
  #isNamed = false;

  constructor(parts: Parts, partition: number, written: WrittenChunk, bodies: number) {
    this.#parts = parts;
    this.#partition = partition;
    this.written = written;
    this.#left = bodies;
    this.#isShared = bodies > 1;
    const { record } = written;
    this.#record = chunkCodec.encode({ record, packed: true, touches: 0, deleting: false });
  }

  async entries(owner: Hex, reference: PackReference, isAgain: boolean): Promise<PackEntries> {
    const alive = this.#parts.session.alive();
    if (!this.#isShared) {
      return { checks: [alive], puts: recordChunks([this.written], owner, reference.bucket) };
    }
    const { id } = this.written.record;
    const value = isAgain ? await this.#stored() : this.#expected();
    const puts: Put[] = [[refKey(id, owner), packReferenceCodec.encode(reference)]];
    if (value === null) {
      puts.push([chunkKey(id), this.#record]);
      if (this.written.needsRepair) puts.push([repairKey(id), WITH_MISSING_SHARDS]);
    }
    return { checks: [alive, { key: chunkKey(id), value }], puts };
  }

  /** The first to ask puts the record, and the others take it that this has succeeded: their commits share a batch, as a rule. */
  #expected(): Bytes | null {
    if (this.#isClaimed) return this.#record;
    this.#isClaimed = true;
    return null;
  }

  async #stored(): Promise<Bytes | null> {
    const value = await this.#parts.kv.get(this.#partition, chunkKey(this.written.record.id));
    if (!value) return null;
    if (!chunkCodec.decode(value).deleting) return value;
    throw new EngineError(
      'Unavailable',
      'The chunk of this body is being deleted: this gateway was declared dead',
    );
  }

  leave(isNamed: boolean): void {
    const { session } = this.#parts;
    const { id } = this.written.record;
    this.#isNamed ||= isNamed;
    this.#left--;
    if (this.#left > 0) return;
    if (this.#isNamed) session.settle(id);
    else session.abandon(id);
  }
}

/** One body's place in a chunk that it shares. */
export class PackedBody {
  readonly extent: Extent;
  readonly #pack: Pack;
  #hasAsked = false;

  constructor(pack: Pack, extent: Extent) {
    this.#pack = pack;
    this.extent = extent;
  }

  get survives(): WrittenChunk['survives'] {
    return this.#pack.written.survives;
  }

  /** For the commit that names the body, asked anew on every try. @param place the version that will name it @throws EngineError 'Unavailable' */
  async entries(owner: Hex, place: Omit<PackReference, 'length'>): Promise<PackEntries> {
    const isAgain = this.#hasAsked;
    this.#hasAsked = true;
    return await this.#pack.entries(owner, { ...place, length: this.extent.length }, isAgain);
  }

  /** Once: it is named by a version now, or never will be. Not to be called while that is not known. */
  leave(isNamed: boolean): void {
    this.#pack.leave(isNamed);
  }
}
