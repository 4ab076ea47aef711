import { setImmediate as turn } from 'node:timers/promises';
import { chunkLayout, createHasher } from '#erasure';
import { parseReason } from '../repair/reasons.ts';
import type { ChunkCatalog, ChunkId, ChunkRecord, ProviderId } from '../types.ts';
import { ShardSample, type SealedSample } from './shardSample.ts';

const hasher = createHasher();
const PAGE = 256;
/** Shards that the challenges of an era are drawn from: for one provider, and in all, which bounds the memory (33 to 66 bytes each). */
const SAMPLE_MAX = 1024;
const SAMPLES_MAX = 2 ** 20;
const SAMPLE_MIN = 64;

/** What the chunk records place at one provider. */
export interface Holding {
  readonly shards: number;
  readonly bytes: number;
  /** A uniform sample of its shards, in an order that follows from the beacon. */
  readonly sample: SealedSample;
}

/**
 * One pass over the chunk records: what lies at each of `providers`. Which shards are sampled follows from the beacon, so that nobody
 * could know it before.
 */
export async function takeInventory(
  catalog: ChunkCatalog,
  providers: readonly ProviderId[],
  beacon: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<ProviderId, Holding>> {
  const size = Math.max(SAMPLE_MIN, Math.min(SAMPLE_MAX, Math.floor(SAMPLES_MAX / providers.length)));
  const counts = new Map(providers.map((id) => [id, new Count(size)]));
  const seed = Buffer.from(beacon, 'hex');
  for (let after: string | undefined; ;) {
    signal?.throwIfAborted();
    const page = await catalog.list(after, PAGE);
    const last = page.at(-1)?.id;
    if (last === undefined) break;
    const late = await lateChunks(catalog, after, last);
    for (const record of page) count(record, counts, late.has(record.id) ? undefined : seed);
    after = last;
    // Requests go before the inventory.
    await turn();
  }
  return new Map([...counts].map(([id, one]) => [id, one.holding()]));
}

class Count {
  shards = 0;
  bytes = 0;
  readonly sample: ShardSample;

  constructor(size: number) {
    this.sample = new ShardSample(size);
  }

  holding(): Holding {
    return { shards: this.shards, bytes: this.bytes, sample: this.sample.seal() };
  }
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

/**
 * A provider holds one shard of a chunk, so the chunk's hash is key enough.
 * @param seed undefined: counted, and not sampled
 */
function count(record: ChunkRecord, counts: ReadonlyMap<ProviderId, Count>, seed: Buffer | undefined): void {
  const length = chunkLayout(record.length, record.profile, record.cell).shardLength;
  let key: number | undefined;
  let chunk: Buffer | undefined;
  record.shards.forEach((place, index) => {
    const found = place && counts.get(place.provider);
    if (found === undefined) return;
    found.shards += 1;
    found.bytes += length;
    if (seed === undefined) return;
    chunk ??= Buffer.from(record.id, 'hex');
    key ??= Buffer.from(hasher.hash(Buffer.concat([seed, chunk]))).readUIntBE(0, 6);
    found.sample.add(key, chunk, index, length);
  });
}
