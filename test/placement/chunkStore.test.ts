import { CELL_BYTES, LEAF_BYTES } from '#erasure';
import { PlacementError } from '#placement';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { newChunkId, sampleBytes } from './shards.ts';
import {
  openTestStore,
  proxy,
  readAll,
  writeChunk,
  type TestStore,
  type TestStoreOptions,
} from './stores.ts';

let made: TestStore;
afterEach(() => made.dispose());

async function open(options?: TestStoreOptions): Promise<TestStore> {
  made = await openTestStore(options);
  return made;
}

async function errorOf(work: Promise<unknown>): Promise<PlacementError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PlacementError);
  return error as PlacementError;
}

describe('a chunk that was written', () => {
  /** Two leaves, so that stripes are short. */
  const cell = 2 * LEAF_BYTES;
  const stripe = 4 * cell;
  const marks = [1, 4, LEAF_BYTES, 4 * LEAF_BYTES, cell, stripe, 2 * stripe, 5 * stripe];
  const sizes = [...new Set(marks.flatMap((mark) => [mark - 1, mark, mark + 1]))].filter((size) => size > 0);

  test.each(sizes)('of %i bytes is read back, whole and in ranges', async (size) => {
    const made = await open({ cell });
    const bytes = sampleBytes(size);
    const { record, needsRepair, survives } = await writeChunk(made, bytes, undefined, 33_333);
    expect([needsRepair, survives]).toEqual([false, ['site', 'operator']]);
    expect(record).toMatchObject({ length: size, generation: 1, cell });
    expect(new Set(record.shards.map((place) => place!.provider)).size).toBe(6);
    expect(Buffer.compare(await readAll(made, record), bytes)).toBe(0);
    expect(await readAll(made, record, size - 1, 1)).toEqual(Buffer.from(bytes.subarray(size - 1)));
    expect(await readAll(made, record, 0, 0)).toHaveLength(0);
    expect(made.queued).toEqual([]);
  });

  test('is read back in any range, with any piece size, in any profile', async () => {
    const made = await open({ cell, directories: 8 });
    const sample = sampleBytes(6 * stripe);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(
          { data: 4, parity: 2 },
          { data: 1, parity: 1 },
          { data: 3, parity: 4 },
          { data: 5, parity: 3 },
        ),
        fc.integer({ min: 1, max: sample.length }),
        fc.integer({ min: 1000, max: 400_000 }),
        fc.array(fc.tuple(fc.nat(1_000_000), fc.nat(1_000_000)), { minLength: 3, maxLength: 6 }),
        async (profile, size, piece, ranges) => {
          const bytes = sample.subarray(0, size);
          const { record } = await writeChunk(made, bytes, profile, piece);
          for (const [a, b] of ranges) {
            const offset = a % size;
            const length = b % (size - offset + 1);
            const expected = bytes.subarray(offset, offset + length);
            expect(Buffer.compare(await readAll(made, record, offset, length), expected)).toBe(0);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('with the usual cells is read back, in pieces of at most a stripe', async () => {
    const made = await open();
    const bytes = sampleBytes(2 * 4 * CELL_BYTES + 12_345);
    const { record } = await writeChunk(made, bytes);
    const pieces: number[] = [];
    for await (const piece of made.store.read(record, 0, record.length)) pieces.push(piece.length);
    expect(Math.max(...pieces)).toBeLessThanOrEqual(4 * CELL_BYTES);
    expect(Buffer.compare(await readAll(made, record), bytes)).toBe(0);
  });

  test('refuses ranges outside of it', async () => {
    const made = await open();
    const { record } = await writeChunk(made, sampleBytes(1000));
    for (const [offset, length] of [
      [0, 1001],
      [1000, 1],
      [-1, 2],
      [0, -1],
      [0.5, 1],
    ] as const) {
      await expect(readAll(made, record, offset, length)).rejects.toThrow(RangeError);
    }
  });

  test('asks only for the leaves that a range needs', async () => {
    const asked: string[] = [];
    const made = await open({
      wrap: (transport) =>
        proxy(transport, {
          get: (name, first, count, signal) => {
            asked.push(`${name.index}:${first}+${count}`);
            return transport.get(name, first, count, signal);
          },
        }),
    });
    const { record } = await writeChunk(made, sampleBytes(3 * 4 * CELL_BYTES));
    const secondStripe = 4 * CELL_BYTES;
    await readAll(made, record, secondStripe + CELL_BYTES + 2 * LEAF_BYTES + 5, LEAF_BYTES);
    expect(asked).toEqual([`1:${CELL_BYTES / LEAF_BYTES + 2}+2`]);
  });
});

describe('writing', () => {
  test('copies what it is given, and memory of earlier stripes is not mixed up', async () => {
    const made = await open({ cell: LEAF_BYTES });
    const contents = Array.from({ length: 8 }, (_, seed) => sampleBytes(20 * LEAF_BYTES + seed, seed + 1));
    const written = await Promise.all(contents.map((bytes) => writeChunk(made, bytes, undefined, 50_000)));
    for (const [index, { record }] of written.entries()) {
      expect(Buffer.compare(await readAll(made, record), contents[index]!)).toBe(0);
    }
  });

  test('counts the bytes taken', async () => {
    const made = await open();
    const writer = await made.store.create(newChunkId(), { data: 4, parity: 2 });
    await writer.write(sampleBytes(10));
    await writer.write(sampleBytes(0));
    await writer.write(sampleBytes(5));
    expect(writer.length).toBe(15);
    await writer.abort();
  });

  test('a chunk of no bytes is refused', async () => {
    const made = await open();
    const writer = await made.store.create(newChunkId(), { data: 4, parity: 2 });
    await expect(writer.finish()).rejects.toThrow(RangeError);
    await writer.abort();
  });

  test('an abort leaves no shard, whenever it comes', async () => {
    const made = await open({ cell: LEAF_BYTES });
    for (const size of [1, 3 * LEAF_BYTES, 4 * LEAF_BYTES, 9 * LEAF_BYTES]) {
      const writer = await made.store.create(newChunkId(), { data: 4, parity: 2 });
      await writer.write(sampleBytes(size));
      await writer.abort();
      await writer.abort();
      expect((await errorOf(writer.write(sampleBytes(1)))).kind).toBe('Aborted');
      expect((await errorOf(writer.finish())).kind).toBe('Aborted');
    }
    const whileFinishing = await made.store.create(newChunkId(), { data: 4, parity: 2 });
    await whileFinishing.write(sampleBytes(9 * LEAF_BYTES));
    const finish = errorOf(whileFinishing.finish());
    await whileFinishing.abort();
    expect((await finish).kind).toBe('Aborted');

    const afterwards = await made.store.create(newChunkId(), { data: 4, parity: 2 });
    await afterwards.write(sampleBytes(9 * LEAF_BYTES));
    await afterwards.finish();
    await afterwards.abort();
    expect(await made.stored()).toEqual([]);
  });
});

describe('deleting', () => {
  test('removes every shard, and is idempotent', async () => {
    const made = await open();
    const [kept, gone] = [
      await writeChunk(made, sampleBytes(1000)),
      await writeChunk(made, sampleBytes(1000)),
    ];
    await made.store.delete(gone.record);
    await made.store.delete(gone.record);
    expect((await made.stored()).sort()).toEqual(
      [0, 1, 2, 3, 4, 5].map((index) => `${kept.record.id}.${index}`),
    );
    expect((await errorOf(readAll(made, gone.record))).kind).toBe('ChunkUnreadable');
  });

  test('removes shards where no record knows of them', async () => {
    const made = await open({ directories: 9 });
    const { record } = await writeChunk(made, sampleBytes(1000));
    const onlySome = {
      ...record,
      shards: record.shards.map((place, index) => (index < 2 ? place : undefined)),
    };
    await made.store.delete(onlySome);
    expect(await made.stored()).toEqual([]);

    const other = await writeChunk(made, sampleBytes(1000));
    await writeChunk(made, sampleBytes(1000));
    await made.store.deleteUnrecorded(other.record.id);
    await made.store.deleteUnrecorded(other.record.id);
    const left = await made.stored();
    expect(left).toHaveLength(6);
    expect(left.some((name) => name.startsWith(other.record.id))).toBe(false);
  });

  test('rejects when a provider could not be asked, having asked the others', async () => {
    const made = await open({
      wrap: (transport, directory) =>
        directory === 2
          ? proxy(transport, { delete: () => Promise.reject(new Error('no answer')) })
          : transport,
    });
    const { record } = await writeChunk(made, sampleBytes(1000));
    await expect(made.store.delete(record)).rejects.toThrow('no answer');
    expect(await made.stored()).toHaveLength(1);
  });
});
