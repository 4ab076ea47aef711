import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunkLayout, createHasher } from '#erasure';
import { takeInventory } from '../../../placement/network/inventory.ts';
import { ShardSample } from '../../../placement/network/shardSample.ts';
import { seededRandom } from '../../../placement/time.ts';
import type { ChunkCatalog, ChunkRecord, RepairEntry } from '../../../placement/types.ts';

const hasher = createHasher();
const BEACON = 'b'.repeat(64);

function record(number: number, providers: readonly string[], length: number): ChunkRecord {
  const id = Buffer.from(hasher.hash(Buffer.from(`chunk ${number}`)))
    .toString('hex')
    .slice(0, 32);
  const shards = providers.map((provider) =>
    provider === '' ? undefined : { provider, root: new Uint8Array(32) },
  );
  return { id, profile: { data: 2, parity: 1 }, length, cell: 16_384, generation: 1, shards };
}

function catalogOf(records: readonly ChunkRecord[], queue: readonly RepairEntry[] = []): ChunkCatalog {
  const entries = [...queue].sort((a, b) => (a.id < b.id ? -1 : 1));
  const sorted = [...records].sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    list: async (after: string | undefined, limit: number) =>
      sorted.filter(({ id }) => after === undefined || id > after).slice(0, limit),
    repairEntries: async (after: string | undefined, limit: number) =>
      entries.filter(({ id }) => after === undefined || id > after).slice(0, limit),
  } as ChunkCatalog;
}

describe('shard sample', () => {
  test('holds the lowest keys, whatever the order they come in', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(1e9), { maxLength: 400 }),
        fc.integer({ min: 1, max: 70 }),
        (keys, size) => {
          const sample = new ShardSample(size);
          for (const key of keys) {
            const chunk = Buffer.alloc(16);
            chunk.writeUInt32BE(key);
            sample.add(key, chunk, key % 256, key + 1);
          }
          const sealed = sample.seal();
          const held = Array.from({ length: sealed.size }, (_, at) => sealed.at(at));
          const naive = [...keys].sort((a, b) => a - b).slice(0, size);
          expect(held.map(({ length }) => length - 1)).toEqual(naive);
          expect(held.map(({ chunk }) => Number.parseInt(chunk.slice(0, 8), 16))).toEqual(naive);
          expect(held.map(({ index }) => index)).toEqual(naive.map((key) => key % 256));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a fraction of the bytes leads to the shard that holds it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (lengths, fraction) => {
          const sample = new ShardSample(100);
          for (const [at, length] of lengths.entries()) sample.add(at, Buffer.alloc(16), 0, length);
          const sought = fraction * lengths.reduce((sum, length) => sum + length, 0);
          let end = 0;
          const naive = lengths.findIndex((length) => (end += length) > sought);
          expect(sample.seal().placeAt(fraction)).toBe(naive);
        },
      ),
    );
  });
});

describe('inventory', () => {
  test('counts what the chunk records place at each provider', async () => {
    const random = seededRandom(3);
    const names = ['a', 'b', 'c', 'd', ''];
    const records = Array.from({ length: 700 }, (_, i) => {
      const first = Math.floor(random.fraction() * 5);
      const providers = [0, 1, 2].map((step) => names[(first + step) % 5]!);
      return record(i, providers, 1 + Math.floor(random.fraction() * 200_000));
    });
    const inventory = await takeInventory(catalogOf(records), ['a', 'b', 'c', 'x'], BEACON);
    for (const name of ['a', 'b', 'c', 'x']) {
      const mine = records.filter(({ shards }) => shards.some((place) => place?.provider === name));
      const bytes = mine.reduce(
        (sum, { length, profile, cell }) => sum + chunkLayout(length, profile, cell).shardLength,
        0,
      );
      expect(inventory.get(name)).toMatchObject({ shards: mine.length, bytes });
      const { sample } = inventory.get(name)!;
      expect(sample.size).toBe(mine.length);
      for (let at = 0; at < sample.size; at++) {
        const { chunk, index, length } = sample.at(at);
        const found = records.find(({ id }) => id === chunk)!;
        expect(found.shards[index]?.provider).toBe(name);
        expect(length).toBe(chunkLayout(found.length, found.profile, found.cell).shardLength);
      }
    }
    expect(inventory.has('d')).toBe(false);
  });

  test('a chunk that was written without all its shards is counted, and not asked for until it is repaired', async () => {
    const records = Array.from({ length: 900 }, (_, i) => record(i, ['a', 'b', 'c'], 1000));
    const queue = records.flatMap(({ id }, i): RepairEntry[] => {
      if (i % 3 === 0) return [{ id, reason: 'written with missing shards' }];
      return i % 3 === 1 ? [{ id, reason: 'shard 1: NotFound' }] : [];
    });
    const { shards, sample } = (await takeInventory(catalogOf(records, queue), ['a'], BEACON)).get('a')!;
    const late = new Set(queue.filter(({ reason }) => reason.startsWith('written')).map(({ id }) => id));
    const sampled = Array.from({ length: sample.size }, (_, at) => sample.at(at).chunk);
    expect(shards).toBe(900);
    expect(sampled.sort()).toEqual(records.flatMap(({ id }) => (late.has(id) ? [] : [id])).sort());
  });

  test('another beacon leads to another order, the same one to the same', async () => {
    const records = Array.from({ length: 50 }, (_, i) => record(i, ['a', 'b', 'c'], 1000));
    const order = async (beacon: string): Promise<string[]> => {
      const { sample } = (await takeInventory(catalogOf(records), ['a'], beacon)).get('a')!;
      return Array.from({ length: sample.size }, (_, at) => sample.at(at).chunk);
    };
    expect(await order(BEACON)).toEqual(await order(BEACON));
    expect(await order(BEACON)).not.toEqual(await order('c'.repeat(64)));
  });
});
