import { setImmediate as turn } from 'node:timers/promises';
import { chunkLayout, createHasher } from '#erasure';
import { parseReason } from '../repair/reasons.ts';
import type { ChunkCatalog, ChunkId, ChunkRecord, ProviderId } from '../types.ts';
import { keyOf, type Canaries } from './canaries.ts';
import { ShardSample, type SealedSample } from './shardSample.ts';

const hasher = createHasher();
const PAGE = 256;
/** Shards that the challenges of an era are drawn from: for one provider, and in all, which bounds the memory (34 to 68 bytes each). */
const SAMPLE_MAX = 1024;
const SAMPLES_MAX = 2 ** 20;
const SAMPLE_MIN = 64;
/** A canary's place in the sample is drawn by the digest of its shard's chunk, at this distance from the shard's. */
const CANARY_KEY = 13;

/** What the chunk records place at one provider. */
export interface Holding {
  readonly shards: number;
  readonly bytes: number;
  /** A uniform sample of its shards and of the canaries among them, in an order that follows from the seed. Empty where it holds nothing. */
  readonly sample: SealedSample;
}

/**
 * One pass over the chunk records: what lies at each of `providers`. Which shards are sampled follows from the seed, so that nobody
 * could know it before.
 * @param seed hex: of the beacon, and of a secret, for whoever could tell where a shard stands in the sample could tell that a canary does not
 * @param canaries mixed into the samples
 */
export async function takeInventory(
  catalog: ChunkCatalog,
  providers: readonly ProviderId[],
  seed: string,
  canaries?: Canaries,
  signal?: AbortSignal,
): Promise<ReadonlyMap<ProviderId, Holding>> {
  const size = Math.max(SAMPLE_MIN, Math.min(SAMPLE_MAX, Math.floor(SAMPLES_MAX / providers.length)));
  const counts = new Map(providers.map((id) => [id, new Count(size, canaries)]));
  const seedBytes = Buffer.from(seed, 'hex');
  for (let after: string | undefined; ;) {
    signal?.throwIfAborted();
    const page = await catalog.list(after, PAGE);
    const last = page.at(-1)?.id;
    if (last === undefined) break;
    const late = await lateChunks(catalog, after, last);
    for (const record of page) count(record, counts, late.has(record.id) ? undefined : seedBytes, canaries);
    after = last;
    // Requests go before the inventory.
    await turn();
  }
  return new Map([...counts].map(([id, one]) => [id, one.holding()]));
}

class Count {
  shards = 0;
  bytes = 0;
  readonly #canaries: Canaries | undefined;
  readonly #sample: ShardSample;
  #hasCanary = false;
  /** Of the shards with no canary beside them, the first to get one: where there are few, it has one. */
  #nearest: { readonly key: number; readonly shard: Countable } | undefined;

  constructor(size: number, canaries: Canaries | undefined) {
    this.#canaries = canaries;
    this.#sample = new ShardSample(size);
  }

  add(shard: Countable): void {
    const { chunk, digest, canaryDigest, index, length } = shard;
    this.#sample.add(keyOf(digest, index), chunk, index, length);
    if (this.#canaries === undefined || canaryDigest === undefined) return;
    const key = keyOf(canaryDigest, index);
    if (this.#canaries.standsBeside(key)) this.#addCanary(shard);
    else if (!this.#hasCanary && key < (this.#nearest?.key ?? Infinity)) {
      this.#nearest = { key, shard };
    }
  }

  holding(): Holding {
    if (!this.#hasCanary && this.#nearest) this.#addCanary(this.#nearest.shard);
    return { shards: this.shards, bytes: this.bytes, sample: this.#sample.seal() };
  }

  #addCanary({ chunk, digest, index, length }: Countable): void {
    this.#hasCanary = true;
    // Nobody knows where a shard stands in the sample, so this is as good a place as any.
    this.#sample.add(keyOf(digest, index + CANARY_KEY), chunk, index, length, true);
  }
}

interface Countable {
  readonly chunk: Buffer;
  /** Decides the place in the sample. */
  readonly digest: Buffer;
  readonly canaryDigest: Buffer | undefined;
  readonly index: number;
  readonly length: number;
}

/**
 * Those in (after, last] of which a shard may never have become durable where the record places it: it cannot be asked for. Read after the
 * records, because both become visible at once.
 */
async function lateChunks(
  catalog: ChunkCatalog,
  after: ChunkId | undefined,
  last: ChunkId,
): Promise<ReadonlySet<ChunkId>> {
  const late = new Set<ChunkId>();
  for (let from = after; ;) {
    const entries = await catalog.repairEntries(from, PAGE);
    for (const { id, reason } of entries) {
      if (id <= last && parseReason(reason).late) late.add(id);
    }
    from = entries.at(-1)?.id;
    if (from === undefined || from >= last) return late;
  }
}

/** @param seed undefined: counted, and not sampled */
function count(
  record: ChunkRecord,
  counts: ReadonlyMap<ProviderId, Count>,
  seed: Buffer | undefined,
  canaries: Canaries | undefined,
): void {
  const length = chunkLayout(record.length, record.profile, record.cell).shardLength;
  let chunk: Pick<Countable, 'chunk' | 'digest' | 'canaryDigest'> | undefined;
  record.shards.forEach((place, index) => {
    const holder = place && counts.get(place.provider);
    if (holder === undefined) return;
    holder.shards += 1;
    holder.bytes += length;
    if (seed === undefined) return;
    chunk ??= digested(record.id, seed, canaries);
    holder.add({ ...chunk, index, length });
  });
}

function digested(
  id: ChunkId,
  seed: Buffer,
  canaries: Canaries | undefined,
): Pick<Countable, 'chunk' | 'digest' | 'canaryDigest'> {
  const chunk = Buffer.from(id, 'hex');
  const digest = Buffer.from(hasher.hash(Buffer.concat([seed, chunk])));
  return { chunk, digest, canaryDigest: canaries?.digestOf(chunk) };
}
