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
import { checkChunkId } from '../shardName.ts';
import { ShardPlacer } from './shardPlacer.ts';
import { removalOf, removalOfAll, removeAll, type Removal } from './shardRemoval.ts';
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
  ProviderId,
  Providers,
  Random,
  Verification,
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
  readonly #reading: Omit<ChunkReaderContext, 'verifies'>;

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

  async create(id: ChunkId, profile: Profile, length?: number): Promise<ChunkWriter> {
    checkChunkId(id);
    const placer = new ShardPlacer(this.#providers, this.#random, profile, this.#survive);
    const { cell: full, open } = this.#writing;
    const isShort =
      length !== undefined && length <= full * profile.data && stripeBytes(profile, full) <= SHORT_BYTES_MAX;
    const cell = isShort ? full : cellWhen(open.size, full);
    return new ShardedChunkWriter(id, this.#codecOf(profile), placer, { ...this.#writing, cell }, length);
  }

  read(
    chunk: ChunkRecord,
    offset: number,
    length: number,
    signal?: AbortSignal,
    verifies: Verification = 'leaves',
  ): AsyncIterable<Uint8Array> {
    return readChunk({ ...this.#reading, verifies }, chunk, offset, length, signal);
  }

  async delete({ id, shards }: ChunkRecord): Promise<void> {
    await this.#late.cancel(id);
    const named = shards.flatMap((place, index) => {
      const handle = place && this.#providers.get(place.provider);
      return handle ? [removalOf(handle, id, index)] : [];
    });
    const places = new Set(shards.flatMap((place) => place?.provider ?? []));
    const { suspected, others } = this.#unnamed(id, places);
    if (this.#isFew) await this.#remove([...named, ...suspected], others);
    else await this.#remove(named, suspected);
  }

  async deleteUnrecorded(id: ChunkId): Promise<void> {
    checkChunkId(id);
    await this.#late.cancel(id);
    const { suspected, others } = this.#unnamed(id, new Set());
    await this.#remove(suspected, others);
  }

  get #isFew(): boolean {
    return this.#providers.all().length <= ASK_ALL_MAX;
  }

  /** Removals from the providers that a record does not name: where a shard is known to have failed, and from the others. */
  #unnamed(
    id: ChunkId,
    places: ReadonlySet<ProviderId>,
  ): { readonly suspected: readonly Removal[]; readonly others: readonly Removal[] } {
    const strays = new Set(this.#providers.strays(id));
    const handles = this.#providers.all().filter(({ info }) => !places.has(info.id));
    const removals = (isStray: boolean): Removal[] =>
      handles.filter(({ info }) => strays.has(info.id) === isStray).map((handle) => removalOfAll(handle, id));
    return { suspected: removals(true), others: removals(false) };
  }

  /** One that is away and is not known to have anything of the chunk must not keep it from ending: what it may have is an orphan. */
  #remove(required: readonly Removal[], others: readonly Removal[]): Promise<void> {
    const { clock, limits } = this.#writing;
    return removeAll(required, others, clock, limits.stopMs);
  }

  isUploading(chunk: ChunkId): boolean {
    return this.#late.isUploading(chunk);
  }

  close(): Promise<void> {
    return this.#late.close();
  }
}

/**
 * Up to so many providers, the end of a chunk is the end of all its shards, wherever failed writes and repairs may have left some and the provider can
 * be asked. Among more, to ask everyone would be thousands of calls a chunk: those are asked that the record names, and those at which one is known to have
 * failed; what may lie elsewhere is left to the sweep of orphans.
 */
const ASK_ALL_MAX = 64;

/** Memory of a chunk of one stripe that is not cut smaller in a crowd: what an upload has reserved for it, or little more. */
const SHORT_BYTES_MAX = 2 * 1024 * 1024;

const stripeBytes = ({ data, parity }: Profile, cell: number): number => (data + parity) * cell;

/** Chunks being written beyond which new ones get smaller cells. */
const CROWD = 16;

/**
 * Bytes of a new chunk's cells. Two stripes of full cells for each of 64 large uploads would be 192 MiB: in a crowd,
 * chunks are coded in stripes of a quarter, and memory stays within bounds without making anyone wait.
 */
function cellWhen(openWriters: number, cell: number): number {
  return openWriters < CROWD ? cell : Math.max(1, Math.floor(cell / 4 / LEAF_BYTES)) * LEAF_BYTES;
}
