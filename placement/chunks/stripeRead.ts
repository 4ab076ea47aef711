import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ErasureCodec } from '#erasure';
import { ShardFetches, type ShardFetchesContext } from './shardFetches.ts';
import { covers, hull, type ByteRange, type StripePart } from './stripeRanges.ts';
import { freeMemory } from '../freeMemory.ts';
import { Wakeup } from '../time.ts';
import { PlacementError, type ChunkRecord } from '../types.ts';

/** A data shard whose rank is below this share of the best is read only when it must be. */
const SLOW_SHARE = 0.1;

export interface StripeReadContext extends ShardFetchesContext {
  readonly codec: ErasureCodec;
  readonly shardLength: number;
  /** Shards that failed earlier in the same read: the last to be asked. */
  readonly suspects: ReadonlySet<number>;
}

/** Bytes of data shards that did not come, each from `start` of its shard on. */
type Decoded = ReadonlyMap<number, { readonly start: number; readonly bytes: Uint8Array }>;

/**
 * Reads a part of some stripes in a row. The data shards are asked for the leaves they have of it; for each that fails, is late or
 * better not asked, as many others as are needed to decode its bytes.
 */
export class StripeRead {
  readonly #context: StripeReadContext;
  readonly #chunk: ChunkRecord;
  readonly #part: StripePart;
  readonly #fetches: ShardFetches;
  readonly #ranks: readonly number[];
  readonly #changed = new Wakeup();
  #decoded: Decoded = new Map();
  #isDecoding = false;
  #isCancelled = false;
  /** The bytes in order, in up to k pieces a stripe. @throws PlacementError 'ChunkUnreadable' | 'Aborted' */
  readonly result: Promise<Uint8Array[]>;

  constructor(chunk: ChunkRecord, part: StripePart, context: StripeReadContext) {
    this.#context = context;
    this.#chunk = chunk;
    this.#part = part;
    this.#fetches = new ShardFetches(chunk, context.shardLength, context, () => this.#onChange());
    this.#ranks = chunk.shards.map((place, index) => {
      if (!place) return -1;
      return context.suspects.has(index) ? -0.5 : context.providers.readRank(place.provider);
    });
    this.result = this.#run();
    this.result.catch(() => undefined);
  }

  /** Frees the memory of what was read: nobody may use the pieces afterwards. */
  release(): void {
    this.#fetches.release();
    for (const { bytes } of this.#decoded.values()) freeMemory(bytes);
  }

  /** The reader has stopped before the end: charges whoever gave wrong bytes. */
  examine(): void {
    this.#fetches.examine();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#changed.notify();
  }

  async #run(): Promise<Uint8Array[]> {
    const { clock } = this.#context;
    try {
      for (;;) {
        if (this.#isCancelled) throw new PlacementError('Aborted', 'the read was ended');
        this.#fetches.expire();
        const missing = this.#missing();
        if (missing.length === 0) return this.#pieces();
        const range = hull(missing);
        const sources = this.#sources(range);
        if (sources.length >= this.#chunk.profile.data) {
          this.#decoded = this.#decode(missing, range);
          return this.#pieces();
        }
        this.#ask(missing);
        if (this.#fetches.pending.size === 0) {
          if (this.#isExhausted(range)) throw this.#unreadable(sources.length);
          continue;
        }
        await this.#changed.wait(clock, this.#nextEventAt() - clock.now());
        // After a pause of this process timers come before answers that are there already.
        if (this.#isAnyLate()) await nextTurn();
      }
    } finally {
      this.#fetches.stop();
    }
  }

  /** The parts of data shards that have not come yet. */
  #missing(): StripePart['shards'] {
    return this.#part.shards.filter((shard) => !this.#fetches.has(shard.index, shard));
  }

  /** Shards whose bytes in the range are here. */
  #sources(range: ByteRange): number[] {
    return [...this.#fetches.slices.keys()].filter((index) => this.#fetches.has(index, range));
  }

  #ask(missing: StripePart['shards']): void {
    const { pending } = this.#fetches;
    const blocked = missing.filter(({ index }) => this.#isBlocked(index));
    for (const shard of missing) {
      if (!blocked.includes(shard) && !pending.has(shard.index)) this.#fetches.fetch(shard.index, shard);
    }
    if (blocked.length === 0) return;
    this.#isDecoding = true;
    const range = hull(blocked);
    const coming = [...pending.values()].filter(
      (fetch) => !this.#isLate(fetch.index) && covers(fetch, range),
    );
    let lacking = this.#chunk.profile.data - this.#sources(range).length - coming.length;
    for (const index of this.#others(range)) {
      if (lacking <= 0) return;
      const own = this.#part.shards.find((shard) => shard.index === index);
      this.#fetches.fetch(index, own ? hull([own, range]) : range);
      if (pending.has(index)) lacking--;
    }
  }

  /** A shard whose bytes will have to be decoded. */
  #isBlocked(index: number): boolean {
    if (this.#fetches.failed.has(index) || this.#isLate(index)) return true;
    return !this.#fetches.pending.has(index) && this.#ranks[index]! <= SLOW_SHARE * Math.max(...this.#ranks);
  }

  #isLate(index: number): boolean {
    const fetch = this.#fetches.pending.get(index);
    return fetch !== undefined && this.#context.clock.now() >= fetch.hedgeAt;
  }

  #isAnyLate(): boolean {
    return [...this.#fetches.pending.keys()].some((index) => this.#isLate(index));
  }

  /** Shards that can still be asked for a range, the best first. */
  #others(range: ByteRange): number[] {
    const { failed, pending } = this.#fetches;
    return this.#chunk.shards
      .map((_, index) => index)
      .filter(
        (index) =>
          this.#chunk.shards[index] &&
          !failed.has(index) &&
          !pending.has(index) &&
          !this.#fetches.has(index, range),
      )
      .sort((a, b) => this.#ranks[b]! - this.#ranks[a]!);
  }

  #isExhausted(range: ByteRange): boolean {
    return this.#others(range).length === 0;
  }

  #decode(missing: StripePart['shards'], range: ByteRange): Decoded {
    const sources = new Set(this.#sources(range));
    const shards = this.#chunk.shards.map((_, index) =>
      sources.has(index) ? this.#fetches.bytes(index, range) : undefined,
    );
    const indexes = missing.map(({ index }) => index);
    const rebuilt = this.#context.codec.reconstruct(shards, indexes);
    return new Map(indexes.map((index, at) => [index, { start: range.start, bytes: rebuilt[at]! }]));
  }

  #pieces(): Uint8Array[] {
    return this.#part.cells.map((cell) => {
      const whole = this.#decoded.get(cell.index);
      if (!whole) return this.#fetches.bytes(cell.index, cell);
      return whole.bytes.subarray(cell.start - whole.start, cell.end - whole.start);
    });
  }

  #nextEventAt(): number {
    const now = this.#context.clock.now();
    let next = Infinity;
    for (const { hedgeAt, endsAt } of this.#fetches.pending.values())
      next = Math.min(next, now < hedgeAt ? hedgeAt : endsAt);
    return next;
  }

  /** While all goes well, only the last answer matters. */
  #onChange(): void {
    const { pending, failed } = this.#fetches;
    if (pending.size === 0 || failed.size > 0 || this.#isDecoding) this.#changed.notify();
  }

  #unreadable(found: number): PlacementError {
    const { id, profile } = this.#chunk;
    const failed = [...this.#fetches.failed].join(', ');
    return new PlacementError(
      'ChunkUnreadable',
      `${profile.data} shards of chunk ${id} are needed and ${found} verify (failed: ${failed || 'none'})`,
    );
  }
}
