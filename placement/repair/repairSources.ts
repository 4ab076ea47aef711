import { createCodec, type ErasureCodec } from '#erasure';
import { RANGE_LEAVES, leafCount, readVerified, type ExamineDeps } from './repairExamine.ts';
import type { ShardHealth } from './repairPlan.ts';
import { PlacementError, type ChunkRecord } from '../types.ts';

/** Sources in order of trust. Damaged shards still have right leaves, and every leaf is verified: they serve where nothing better does. */
const TRUST = ['healthy', 'corrupt', 'unreachable'] as const satisfies readonly ShardHealth[];

type Slices = (Uint8Array | undefined)[];

/**
 * The bytes of wanted shards, range by range, copied from where they lie or computed from k others. A source that fails is
 * replaced for the range at hand and marked in `health`.
 */
export class RepairSources {
  /** Bytes read from providers and verified. */
  bytesRead = 0;
  /** Ranges of each shard that have been read and verified. */
  readonly #verified: Set<number>[];
  readonly #record: ChunkRecord;
  readonly #health: ShardHealth[];
  readonly #deps: ExamineDeps;
  readonly #codec: ErasureCodec;

  /** @param health one entry for each shard; changed when a source turns out worse than it says */
  constructor(record: ChunkRecord, health: ShardHealth[], deps: ExamineDeps) {
    this.#record = record;
    this.#verified = record.shards.map(() => new Set());
    this.#health = health;
    this.#deps = deps;
    this.#codec = createCodec(record.profile);
  }

  /**
   * Every range of the wanted shards, in their order, one range ahead of the consumer.
   * @param without shards that must not serve as sources
   * @throws PlacementError 'ChunkUnreadable' at a range of which fewer than k shards verify; 'Aborted'
   */
  async *ranges(
    wanted: readonly number[],
    without: readonly number[],
    signal: AbortSignal,
  ): AsyncGenerator<readonly Uint8Array[], void, void> {
    const leaves = leafCount(this.#record);
    const start = (first: number) => {
      const range = this.#range(wanted, without, first, Math.min(RANGE_LEAVES, leaves - first), signal);
      // Awaited below unless the consumer stops first; then its failure concerns nobody.
      range.catch(() => undefined);
      return range;
    };
    let next = start(0);
    for (let first = 0; first < leaves; first += RANGE_LEAVES) {
      const range = await next;
      if (first + RANGE_LEAVES < leaves) next = start(first + RANGE_LEAVES);
      yield range;
    }
  }

  /** Shards of which every byte has been read and verified. */
  whole(): number[] {
    const ranges = Math.ceil(leafCount(this.#record) / RANGE_LEAVES);
    return this.#verified.flatMap((verified, index) => (verified.size === ranges ? [index] : []));
  }

  async #range(
    wanted: readonly number[],
    without: readonly number[],
    first: number,
    count: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    const slices: Slices = this.#record.shards.map(() => undefined);
    const tried = new Set(without);
    for (;;) {
      if (wanted.every((index) => slices[index])) return wanted.map((index) => slices[index]!);
      const have = slices.filter((slice) => slice).length;
      if (have >= this.#record.profile.data) return this.#codec.reconstruct(slices, wanted);
      const sources = this.#nextSources(wanted, slices, tried);
      if (sources.length === 0) {
        const needed = this.#record.profile.data;
        throw new PlacementError(
          'ChunkUnreadable',
          `chunk ${this.#record.id}: ${have} of the ${needed} shards that are needed verify at leaf ${first}`,
        );
      }
      await Promise.all(
        sources.map(async (index) => {
          tried.add(index);
          slices[index] = await this.#read(index, first, count, signal);
        }),
      );
    }
  }

  async #read(index: number, first: number, count: number, signal: AbortSignal) {
    const read = await readVerified(this.#record, index, first, count, this.#deps, { signal });
    if (read.bytes) {
      this.bytesRead += read.bytes.length;
      this.#verified[index]!.add(first);
    }
    // A right leaf does not heal a shard that was found damaged.
    else if (this.#health[index] === 'healthy') this.#health[index] = read.health;
    return read.bytes;
  }

  /** The wanted shards themselves while all of them can be read (a move); otherwise as many of the best as are lacking. */
  #nextSources(wanted: readonly number[], slices: Slices, tried: ReadonlySet<number>): number[] {
    const untried = this.#record.shards.flatMap((place, index) =>
      place && !tried.has(index) ? [index] : [],
    );
    const absent = wanted.filter((index) => !slices[index]);
    if (absent.every((index) => this.#health[index] === 'healthy' && untried.includes(index))) return absent;
    const lacking = this.#record.profile.data - slices.filter((slice) => slice).length;
    // Asked once for each: a provider whose breaker is open lets a call through now and then, and asking is what uses it up.
    const ranks = new Map(
      untried.map((index) => [index, this.#deps.providers.readRank(this.#record.shards[index]!.provider)]),
    );
    return TRUST.flatMap((trust) =>
      untried.filter((index) => this.#health[index] === trust).sort((a, b) => ranks.get(b)! - ranks.get(a)!),
    ).slice(0, lacking);
  }
}
