import { copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CELL_BYTES, LEAF_BYTES } from '#erasure';
import { PlacementError, type ChunkRecord, type ShardSlice } from '#placement';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { sampleBytes } from './shards.ts';
import {
  lose,
  openTestStore,
  proxy,
  readAll,
  writeChunk,
  type TestStore,
  type TestStoreOptions,
} from './stores.ts';

const cell = 2 * LEAF_BYTES;
const bytes = sampleBytes(2 * 4 * cell + 3 * cell + 100);

let made: TestStore;
afterEach(() => made.dispose());

async function open(options?: TestStoreOptions): Promise<TestStore> {
  made = await openTestStore({ cell, ...options });
  return made;
}

/** Providers of whom nothing is known: those that have lost shards before are read less, and then no one sees what else they lost. */
async function anew(): Promise<TestStore> {
  await made.dispose();
  return open();
}

/** All ways to choose `count` of six shards. */
function subsets(count: number): number[][] {
  return Array.from({ length: 64 }, (_, bits) =>
    [0, 1, 2, 3, 4, 5].filter((index) => (bits >> index) & 1),
  ).filter((subset) => subset.length === count);
}

async function kindOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PlacementError);
  return (error as PlacementError).kind;
}

/** The chunk gives its bytes, as a whole and in ranges. */
async function isReadable(made: TestStore, record: ChunkRecord): Promise<boolean> {
  const ranges = [
    [0, bytes.length],
    [0, 1],
    [cell - 1, 2],
    [4 * cell - 5, 10],
    [bytes.length - 1, 1],
    [3, 5 * cell],
  ] as const;
  for (const [offset, length] of ranges) {
    const read = await readAll(made, record, offset, length);
    if (read.compare(bytes, offset, offset + length) !== 0) return false;
  }
  return true;
}

describe('lost shards', () => {
  test('any two are decoded around, whatever the range', async () => {
    await open();
    for (const lost of [...subsets(1), ...subsets(2)]) {
      const made = await anew();
      const { record } = await writeChunk(made, bytes);
      await lose(made, record, lost);
      expect(await isReadable(made, record)).toBe(true);
      // Lost parity may go unnoticed while all data is there.
      const isNoticed = made.queued.some(([chunk]) => chunk === record.id);
      expect(isNoticed || lost.every((index) => index >= 4)).toBe(true);
    }
  });

  test('any three make the chunk unreadable, but not what is still there', async () => {
    const made = await open();
    for (const lost of subsets(3)) {
      const { record } = await writeChunk(made, bytes);
      await lose(made, record, lost);
      expect(await kindOf(readAll(made, record))).toBe('ChunkUnreadable');
      const present = [0, 1, 2, 3].find((index) => !lost.includes(index))!;
      const expected = bytes.subarray(present * cell, present * cell + 10);
      expect(await readAll(made, record, present * cell, 10)).toEqual(Buffer.from(expected));
    }
  });

  test('shards that the record does not have, or whose provider is unknown, are decoded around', async () => {
    const made = await open();
    const { record } = await writeChunk(made, bytes);
    const shards = record.shards.map((place, index) => {
      if (index === 0) return undefined;
      return index === 2 ? { ...place!, provider: 'f'.repeat(32) } : place;
    });
    expect(await isReadable(made, { ...record, shards })).toBe(true);
    expect(made.queued.map(([chunk]) => chunk)).toEqual([record.id]);
  });
});

describe('damaged shards', () => {
  type Damage = (path: string, other: string) => Promise<void>;
  const damages: Record<string, Damage> = {
    'one bit flipped': async (path) => {
      const content = await readFile(path);
      content[LEAF_BYTES + 7]! ^= 0x10;
      await writeFile(path, content);
    },
    'all bytes wrong': async (path) => writeFile(path, (await readFile(path)).fill(7, 0, 2 * cell)),
    truncated: (path) => truncate(path, 20_000),
    extended: (path) => writeFile(path, new Uint8Array(1000), { flag: 'a' }),
    empty: (path) => truncate(path, 0),
    'another chunk’s shard': (path, other) => copyFile(other, path),
  };

  test.each(Object.entries(damages))(
    '%s: two of them are decoded around, three give no wrong byte',
    async (_, damage) => {
      await open();
      for (const wrong of [
        [0, 1],
        [1, 3],
        [2, 5],
      ]) {
        const made = await anew();
        const { record: other } = await writeChunk(made, sampleBytes(bytes.length, 99));
        const { record } = await writeChunk(made, bytes);
        for (const index of wrong) await damage(made.path(record, index), made.path(other, index));
        expect(await isReadable(made, record)).toBe(true);
        expect(made.queued.filter(([chunk]) => chunk === record.id)).toHaveLength(1);
      }
      const { record: other } = await writeChunk(made, sampleBytes(bytes.length, 99));
      const { record } = await writeChunk(made, bytes);
      for (const index of [0, 2, 4]) await damage(made.path(record, index), made.path(other, index));
      expect(await kindOf(readAll(made, record))).toBe('ChunkUnreadable');
    },
  );

  test('shards swapped with each other are rejected', async () => {
    const made = await open();
    const { record } = await writeChunk(made, bytes);
    const [first, second] = [await readFile(made.path(record, 0)), await readFile(made.path(record, 1))];
    await writeFile(made.path(record, 0), second);
    await writeFile(made.path(record, 1), first);
    expect(await isReadable(made, record)).toBe(true);
  });

  test('providers that answer with anything at all never make a wrong byte', async () => {
    let forge: (slice: ShardSlice, directory: number) => ShardSlice = (slice) => slice;
    const made = await open({
      wrap: (transport, directory) =>
        proxy(transport, {
          get: async (...call) => forge(await transport.get(...call), directory),
        }),
    });
    const { record } = await writeChunk(made, bytes);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat(5), { maxLength: 4 }),
        fc.record({
          first: fc.integer({ min: -1, max: 1 }),
          cut: fc.integer({ min: -2, max: 2 }),
          flip: fc.nat(1000),
          proof: fc.constantFrom('kept', 'short', 'flipped', 'empty'),
        }),
        async (liars, lie) => {
          forge = ({ first, bytes, proof }, directory) => {
            if (!liars.includes(directory)) return { first, bytes, proof };
            const forged = new Uint8Array(Math.max(0, bytes.length + lie.cut));
            forged.set(bytes.subarray(0, forged.length));
            if (forged.length > 0) forged[lie.flip % forged.length]! ^= 1;
            const proofs = {
              kept: proof,
              short: proof.subarray(1),
              flipped: proof.map((byte) => ~byte),
              empty: new Uint8Array(0),
            };
            return { first: first + lie.first, bytes: forged, proof: proofs[lie.proof] };
          };
          const read = await readAll(made, record).catch((error: unknown) => error);
          const outcome =
            read instanceof Buffer ? Buffer.compare(read, bytes) : (read as PlacementError).kind;
          expect(liars.length <= 2 ? [0] : [0, 'ChunkUnreadable']).toContain(outcome);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('slow and failing providers', () => {
  test('a read that gets no answer is hedged with other shards', async () => {
    const silent = new Set<number>();
    const made = await open({
      wrap: (transport, directory) =>
        proxy(transport, {
          get: (...call) => (silent.has(directory) ? new Promise(() => undefined) : transport.get(...call)),
        }),
    });
    const { record } = await writeChunk(made, bytes);
    silent.add(0).add(3);
    expect(await isReadable(made, record)).toBe(true);
  });

  test('when too few answer, the read ends by its deadline', async () => {
    const made = await open({
      limits: { readMs: 100 },
      wrap: (transport, directory) =>
        proxy(transport, {
          get: (...call) => (directory < 3 ? new Promise(() => undefined) : transport.get(...call)),
        }),
    });
    const { record } = await writeChunk(made, bytes);
    expect(await kindOf(readAll(made, record))).toBe('ChunkUnreadable');
  });

  test('a provider that fails again and again is not asked any more', async () => {
    let calls = 0;
    const made = await open({
      wrap: (transport, directory) =>
        proxy(transport, {
          get: (...call) => {
            if (directory !== 1) return transport.get(...call);
            calls++;
            return Promise.reject(new Error('connection refused'));
          },
        }),
    });
    const { record } = await writeChunk(made, bytes);
    for (let round = 0; round < 60; round++)
      expect(await readAll(made, record, 0, 4 * cell)).toHaveLength(4 * cell);
    // Five failures open the breaker; what little follows are probes.
    expect(calls).toBeLessThan(20);
    expect(made.queued).toEqual([]);
  });

  test('a directory that is removed while running costs no read', async () => {
    const made = await open();
    const { record } = await writeChunk(made, bytes);
    for (const index of [1, 4]) {
      const { endpoint } = made.providers.get(record.shards[index]!.provider)!.info;
      await rm(endpoint, { recursive: true });
    }
    expect(await isReadable(made, record)).toBe(true);
    await made.providers.probe();
    expect(made.providers.all().filter(({ info }) => info.state === 'active')).toHaveLength(4);
    await made.providers.revive();
    expect(made.providers.all().filter(({ info }) => info.state === 'active')).toHaveLength(6);
    expect(await isReadable(made, record)).toBe(true);
  });
});

describe('a reader', () => {
  test('reads one stripe ahead and no more', async () => {
    const asked = new Set<number>();
    const made = await open({
      cell: CELL_BYTES,
      wrap: (transport) =>
        proxy(transport, {
          get: (name, first, ...rest) => {
            asked.add((first * LEAF_BYTES) / CELL_BYTES);
            return transport.get(name, first, ...rest);
          },
        }),
    });
    const { record } = await writeChunk(made, sampleBytes(6 * 4 * CELL_BYTES));
    const pieces = made.store.read(record, 0, record.length)[Symbol.asyncIterator]();
    expect(asked.size).toBe(0);
    await pieces.next();
    for (let turn = 0; turn < 50; turn++) await nextTurn();
    expect([...asked]).toEqual([0, 1]);
    await pieces.return?.();
    for (let turn = 0; turn < 50; turn++) await nextTurn();
    expect([...asked]).toEqual([0, 1]);
  });

  test('stops when its signal is aborted, even while no provider answers', async () => {
    const signals: AbortSignal[] = [];
    const made = await open({
      wrap: (transport) =>
        proxy(transport, {
          get: (_name, _first, _count, signal) => {
            signals.push(signal!);
            return new Promise(() => undefined);
          },
        }),
    });
    const { record } = await writeChunk(made, bytes);
    const abort = new AbortController();
    const pieces = made.store.read(record, 0, record.length, abort.signal)[Symbol.asyncIterator]();
    const next = kindOf(pieces.next());
    await nextTurn();
    abort.abort();
    expect(await next).toBe('Aborted');
    await nextTurn();
    expect(signals.length).toBeGreaterThan(0);
    expect(signals.every((signal) => signal.aborted)).toBe(true);
    const never = made.store.read(record, 0, 1, AbortSignal.abort())[Symbol.asyncIterator]();
    expect(await kindOf(never.next())).toBe('Aborted');
  });
});
