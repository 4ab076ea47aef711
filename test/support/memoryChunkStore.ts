/** ChunkStore in memory, for tests of the rooms above placement. Shows which chunks have bytes, and can be made to fail. */
import { PlacementError } from '#placement';
import type { ChunkId, ChunkRecord, ChunkStore, ChunkWriter, DomainLevel, WrittenChunk } from '#placement';
import type { Profile } from '#erasure';

/** Bytes of a piece that `read` yields. */
const PIECE = 1 << 20;

export class MemoryChunkStore implements ChunkStore {
  /** Bytes at "providers", by chunk, recorded or not. */
  readonly stored = new Map<ChunkId, Uint8Array>();
  /** Chunks read from, in order. */
  readonly reads: ChunkId[] = [];
  /** Error of the next `finish`. */
  failFinish: PlacementError | undefined;
  /** Chunks that `delete` and `deleteUnrecorded` cannot reach. */
  unreachable = false;
  needsRepair = false;
  /** Of chunks that are finished from now on. */
  survives: readonly DomainLevel[] = ['site', 'operator'];

  async create(id: ChunkId, profile: Profile): Promise<ChunkWriter> {
    if (this.stored.has(id)) throw new Error(`Chunk id ${id} is used twice`);
    return new MemoryChunkWriter(this, id, profile);
  }

  async *read(
    chunk: ChunkRecord,
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    this.reads.push(chunk.id);
    const bytes = this.stored.get(chunk.id);
    if (!bytes) throw new PlacementError('ChunkUnreadable', `chunk ${chunk.id} is gone`);
    if (offset + length > bytes.length) throw new RangeError('beyond the chunk');
    for (let at = offset; at < offset + length; at += PIECE) {
      signal?.throwIfAborted();
      // Another turn, as a network would take: the store may change in between.
      await Promise.resolve();
      if (!this.stored.has(chunk.id))
        throw new PlacementError('ChunkUnreadable', `chunk ${chunk.id} is gone`);
      const piece = Uint8Array.from(bytes.subarray(at, Math.min(at + PIECE, offset + length)));
      yield piece;
      // It was good until now.
      piece.fill(0xee);
    }
  }

  async delete(chunk: ChunkRecord): Promise<void> {
    await this.deleteUnrecorded(chunk.id);
  }

  async deleteUnrecorded(id: ChunkId): Promise<void> {
    if (this.unreachable) throw new PlacementError('TooFewProviders', 'a provider does not answer');
    this.stored.delete(id);
  }
}

class MemoryChunkWriter implements ChunkWriter {
  readonly id: ChunkId;
  length = 0;
  readonly #store: MemoryChunkStore;
  readonly #profile: Profile;
  readonly #pieces: Uint8Array[] = [];

  constructor(store: MemoryChunkStore, id: ChunkId, profile: Profile) {
    this.#store = store;
    this.id = id;
    this.#profile = profile;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(Uint8Array.from(bytes));
    this.length += bytes.length;
    // Shards begin to be durable while the chunk is written.
    this.#store.stored.set(this.id, new Uint8Array(0));
  }

  async finish(): Promise<WrittenChunk> {
    const { failFinish } = this.#store;
    if (failFinish) {
      this.#store.failFinish = undefined;
      this.#store.stored.delete(this.id);
      throw failFinish;
    }
    this.#store.stored.set(this.id, Buffer.concat(this.#pieces));
    const { data, parity } = this.#profile;
    const shards = Array.from({ length: data + parity }, (_, i) => ({
      provider: `provider-${i}`,
      root: new Uint8Array(32).fill(i),
    }));
    return {
      record: {
        id: this.id,
        profile: this.#profile,
        length: this.length,
        cell: 65_536,
        generation: 1,
        shards,
      },
      needsRepair: this.#store.needsRepair,
      survives: this.#store.survives,
    };
  }

  async abort(): Promise<void> {
    this.#store.stored.delete(this.id);
  }
}
