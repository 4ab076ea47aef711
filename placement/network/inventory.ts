import { setImmediate as turn } from 'node:timers/promises';
import { chunkLayout, createHasher } from '#erasure';
import type { ChunkCatalog, ChunkRecord, ProviderId } from '../types.ts';
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
    for (const record of page) count(record, counts, seed);
    after = page.at(-1)?.id;
    if (after === undefined) break;
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

/** A provider holds one shard of a chunk, so the chunk's hash is key enough. */
function count(record: ChunkRecord, counts: ReadonlyMap<ProviderId, Count>, seed: Buffer): void {
  let key: number | undefined;
  let chunk: Buffer | undefined;
  let length = 0;
  record.shards.forEach((place, index) => {
    const found = place && counts.get(place.provider);
    if (found === undefined) return;
    if (chunk === undefined || key === undefined) {
      chunk = Buffer.from(record.id, 'hex');
      key = Buffer.from(hasher.hash(Buffer.concat([seed, chunk]))).readUIntBE(0, 6);
      length = chunkLayout(record.length, record.profile, record.cell).shardLength;
    }
    found.shards += 1;
    found.bytes += length;
    found.sample.add(key, chunk, index, length);
  });
}
