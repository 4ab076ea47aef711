import {
  LEAF_BYTES,
  CELL_BYTES,
  createCodec,
  createHasher,
  type ErasureCodec,
  type Hasher,
  type Profile,
} from '#erasure';
import { readChunk, type ChunkReaderContext } from './chunkReader.ts';
import { ShardedChunkWriter, type ChunkWriterContext } from './chunkWriter.ts';
import { DamageReports } from './damageReports.ts';
import { LateWrites } from './lateWrites.ts';
import { READ_LIMITS, type ReadLimits } from './readLimits.ts';
import { checkChunkId, storedName } from '../shardName.ts';
import { ShardPlacer } from './shardPlacer.ts';
import { StripePool } from './stripeMemory.ts';
import { WRITE_LIMITS, type WriteLimits } from './writeLimits.ts';
import type {
  ChunkCatalog,
  ChunkId,
  ChunkRecord,
  ChunkStore,
  ChunkWriter,
  Clock,
  DomainLevel,
  ProviderHandle,
  ProviderId,
  Providers,
  Random,
} from '../types.ts';

export interface ChunkStoreOptions {
  readonly providers: Providers;
  readonly clock: Clock;
  readonly random: Random;
  /** Where damage that readers find is queued for repair. */
  readonly catalog?: Pick<ChunkCatalog, 'enqueueRepair'>;
  readonly codecOf?: (profile: Profile) => ErasureCodec;
  readonly hasher?: Hasher;
  /** Bytes of a cell in a full stripe; a multiple of LEAF_BYTES. */
  readonly cell?: number;
  readonly limits?: Partial<WriteLimits & ReadLimits>;
  /** Levels of which every chunk must survive the loss of any one domain; without, chunks are written as well as can be. */
  readonly survive?: readonly DomainLevel[];
  /**
   * Told when a shard that its chunk's record places has failed after all, and no upload of the chunk is under way any more. The chunk is in
   * the repair queue then, for a repair to see to at once. Must not throw.
   */
  readonly onLateFailed?: (chunk: ChunkId) => void;
}

/** The store's work in the background ends with `close`. */
export interface OpenChunkStore extends ChunkStore {
  /** Whether this process may still bring a shard to, or take one from, where the chunk's record places it: repair has to wait. */
  isUploading(chunk: ChunkId): boolean;
  /** Ends shards that are still on their way. The providers stay open. */
  close(): Promise<void>;
}

export function createChunkStore(options: ChunkStoreOptions): OpenChunkStore {
  return new ShardedChunkStore(options);
}

class ShardedChunkStore implements OpenChunkStore {
  readonly #providers: Providers;
  readonly #random: Random;
  readonly #codecOf: (profile: Profile) => ErasureCodec;
  readonly #survive: readonly DomainLevel[];
  readonly #late: LateWrites;
  readonly #writing: ChunkWriterContext;
  readonly #reading: ChunkReaderContext;

  constructor(options: ChunkStoreOptions) {
    const { providers, clock, random, catalog, cell = CELL_BYTES, survive = [] } = options;
    const { hasher = createHasher(), codecOf = createCodec, onLateFailed } = options;
    const limits = { ...WRITE_LIMITS, ...READ_LIMITS, ...options.limits };
    this.#providers = providers;
    this.#random = random;
    this.#survive = survive;
    this.#codecOf = codecOf;
    const damage = new DamageReports(clock, catalog);
    this.#late = new LateWrites(clock, limits, {
      failed: (...failure) => damage.lateFailed(...failure),
      ended: (chunk) => onLateFailed?.(chunk),
    });
    this.#writing = {
      providers,
      clock,
      hasher,
      pool: new StripePool(),
      late: this.#late,
      limits,
      cell,
      open: new Set(),
    };
    this.#reading = { providers, clock, hasher, codecOf, damage, limits };
  }

  async create(id: ChunkId, profile: Profile): Promise<ChunkWriter> {
    checkChunkId(id);
    const placer = new ShardPlacer(this.#providers, this.#random, profile, this.#survive);
    const cell = cellWhen(this.#writing.open.size, this.#writing.cell);
    return new ShardedChunkWriter(id, this.#codecOf(profile), placer, { ...this.#writing, cell });
  }

  read(chunk: ChunkRecord, offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return readChunk(this.#reading, chunk, offset, length, signal);
  }

  async delete(chunk: ChunkRecord): Promise<void> {
    await this.#late.cancel(chunk.id);
    const all = this.#providers.all();
    if (all.length <= ASK_ALL_MAX) {
      await settleAll(all.map((handle) => removeFrom(handle, chunk)));
      return;
    }
    const places = chunk.shards.flatMap((place) => place?.provider ?? []);
    const others = this.#providers.strays(chunk.id).filter((id) => !places.includes(id));
    const remove = (ids: readonly ProviderId[]): Promise<void>[] =>
      ids
        .flatMap((id) => this.#providers.get(id) ?? [])
        .map(async (handle) => await removeFrom(handle, chunk));
    // A stray that cannot be reached does not hold up the end of the chunk.
    const strays = Promise.allSettled(remove(others));
    await settleAll(remove(places));
    await strays;
  }

  async deleteUnrecorded(id: ChunkId): Promise<void> {
    checkChunkId(id);
    await this.#late.cancel(id);
    await settleAll(this.#providers.all().map((handle) => removeShards(handle, id)));
  }

  isUploading(chunk: ChunkId): boolean {
    return this.#late.isUploading(chunk);
  }

  close(): Promise<void> {
    return this.#late.close();
  }
}

/**
 * Up to so many providers, the end of a chunk is the end of all its shards, wherever failed writes and repairs may have left some. Among
 * more, to ask everyone would be thousands of calls a chunk: those are asked that the record names, and those at which one is known to have
 * failed; what may lie elsewhere is left to the sweep of orphans.
 */
const ASK_ALL_MAX = 64;

/** Chunks being written beyond which new ones get smaller cells. */
const CROWD = 8;

/**
 * Bytes of a new chunk's cells. Two stripes of full cells for each of 64 large uploads would be 192 MiB: in a crowd,
 * chunks are coded in stripes of a quarter, and memory stays within bounds without making anyone wait.
 */
function cellWhen(openWriters: number, cell: number): number {
  return openWriters < CROWD ? cell : Math.max(LEAF_BYTES, cell / 4);
}

/** Removes what a provider has of a chunk. */
async function removeFrom(handle: ProviderHandle, { id, shards }: ChunkRecord): Promise<void> {
  const index = shards.findIndex((place) => place?.provider === handle.info.id);
  if (index >= 0) await handle.transport.delete({ chunk: id, index });
  else await removeShards(handle, id);
}

/** Removes all shards of a chunk that a provider has: a failed write or repair may have left one that no record names. */
async function removeShards({ transport }: ProviderHandle, chunk: ChunkId): Promise<void> {
  // All names of the chunk begin with its identifier, so they are the next after it. Mostly there is none.
  for (let after: string = chunk; ;) {
    const [next] = await transport.list(after, 1);
    if (next?.chunk !== chunk) return;
    await transport.delete(next);
    after = storedName(next);
  }
}

/** Rejects with the first failure, but not before all have ended. */
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}
