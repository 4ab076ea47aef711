import { setImmediate as nextTurn } from 'node:timers/promises';
import { LEAF_BYTES } from '#erasure';
import {
  PlacementError,
  TransportError,
  type ShardSource,
  type ShardTransport,
  type WriteLimits,
} from '#placement';
import { afterEach, describe, expect, test } from 'vitest';
import { newChunkId, sampleBytes } from './shards.ts';
import {
  directoryOf,
  openTestStore,
  proxy,
  readAll,
  writeChunk,
  type TestStore,
  type TestStoreOptions,
} from './stores.ts';

const profile = { data: 4, parity: 2 };
const cell = LEAF_BYTES;
const stripe = 4 * cell;
/** Short waits, so that a test need not be long; none of them is asserted on. */
const hasty: Partial<WriteLimits> = {
  stallMs: 150,
  patienceMsMin: 50,
  graceMsMin: 50,
  graceMsMax: 50,
  commitMs: 300,
  stopMs: 50,
};

let made: TestStore | undefined;
afterEach(async () => {
  await made?.dispose();
  made = undefined;
});

async function open(options?: TestStoreOptions): Promise<TestStore> {
  made = await openTestStore({ cell, limits: hasty, ...options });
  return made;
}

async function kindOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PlacementError);
  return (error as PlacementError).kind;
}

type Put = ShardTransport['put'];

/** Replaces put on some directories. */
function withPut(
  directories: readonly number[],
  put: (original: Put, ...call: Parameters<Put>) => Promise<void>,
) {
  return (transport: ShardTransport, directory: number): ShardTransport =>
    directories.includes(directory)
      ? proxy(transport, { put: (...call) => put(transport.put.bind(transport), ...call) })
      : transport;
}

/** Takes the call and never answers, but gives up when told to. */
const hang = (_original: Put, ...[, , signal]: Parameters<Put>): Promise<void> =>
  new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(new TransportError('Aborted', 'aborted')));
  });

/** Never answers at all. */
const hangForGood = (): Promise<void> => new Promise(() => undefined);

const refuse = (kind: TransportError['kind']) => (): Promise<void> =>
  Promise.reject(new TransportError(kind, 'refused'));

const sizes = [1, stripe, stripe + 1, 12 * stripe + 5];

describe('a provider that hangs', () => {
  test.each(sizes)('costs a chunk of %i bytes its shard and nothing else', async (size) => {
    const made = await open({ wrap: withPut([2], hang) });
    const bytes = sampleBytes(size);
    const { record, needsRepair } = await writeChunk(made, bytes);
    expect(needsRepair).toBe(true);
    expect(Buffer.compare(await readAll(made, record), bytes)).toBe(0);
  });

  test('two that hang for good leave too few, and what was written is removed', async () => {
    const made = await open({ wrap: withPut([2, 4], hangForGood) });
    for (const size of [1, 12 * stripe])
      expect(await kindOf(writeChunk(made, sampleBytes(size)))).toBe('TooFewProviders');
    expect(await made.stored()).toEqual([]);
  });

  test('is left for another where the shard can still be sent again', async () => {
    const made = await open({ directories: 8, wrap: withPut([0, 1], hang) });
    for (let round = 0; round < 6; round++) {
      const bytes = sampleBytes(1000, round + 1);
      const { record } = await writeChunk(made, bytes);
      expect(Buffer.compare(await readAll(made, record), bytes)).toBe(0);
    }
  });

  test('holds no more than a stripe of the writer, which waits', async () => {
    const gate = Promise.withResolvers<undefined>();
    const made = await open({
      limits: {},
      wrap: withPut([0, 1, 2, 3, 4, 5], async (original, name, source, signal) => {
        async function* cells(): AsyncGenerator<Uint8Array, undefined> {
          await gate.promise;
          yield* source.cells;
        }
        const late: ShardSource = { cells: cells(), seal: () => source.seal() };
        await original(name, late, signal);
      }),
    });
    const bytes = sampleBytes(20 * stripe);
    const writer = await made.store.create(newChunkId(), profile);
    let taken = 0;
    const writing = (async () => {
      for (let at = 0; at < bytes.length; at += cell) {
        await writer.write(bytes.subarray(at, at + cell));
        taken = at + cell;
      }
    })();
    for (let turn = 0; turn < 100; turn++) await nextTurn();
    expect(taken).toBe(2 * stripe);
    gate.resolve(undefined);
    await writing;
    const { record, needsRepair } = await writer.finish();
    expect(needsRepair).toBe(false);
    expect(Buffer.compare(await readAll(made, record), bytes)).toBe(0);
  });
});

describe('a provider that fails', () => {
  test.each(['Unavailable', 'NoSpace', 'Timeout'] as const)(
    'with %s is replaced by another',
    async (kind) => {
      for (const size of [1, stripe, 9 * stripe]) {
        const made = await openTestStore({ cell, directories: 8, wrap: withPut([0, 1], refuse(kind)) });
        // Several at once, so that memory given back too early would be another chunk's.
        const contents = [1, 2, 3, 4].map((seed) => sampleBytes(size, seed));
        const written = await Promise.all(contents.map((bytes) => writeChunk(made, bytes, profile, 10_000)));
        for (const [index, { record, needsRepair, survives }] of written.entries()) {
          expect([needsRepair, survives]).toEqual([false, ['site', 'operator']]);
          const directories = record.shards.map((place) => directoryOf(made, place!.provider));
          expect(directories.toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7]);
          expect(Buffer.compare(await readAll(made, record), contents[index]!)).toBe(0);
          expect(
            Buffer.compare(
              await readAll(made, { ...record, shards: record.shards.with(0, undefined).with(3, undefined) }),
              contents[index]!,
            ),
          ).toBe(0);
        }
        await made.dispose();
      }
    },
  );

  test('has no shard in the record when there is no other', async () => {
    const made = await open({ wrap: withPut([3], refuse('Unavailable')) });
    for (const size of sizes) {
      const { record, needsRepair } = await writeChunk(made, sampleBytes(size));
      expect(needsRepair).toBe(true);
      expect(record.shards.filter((place) => place === undefined)).toHaveLength(1);
    }
  });

  test('in the middle of a long chunk costs it one shard', async () => {
    const made = await open({
      directories: 7,
      wrap: withPut([0, 1, 2, 3, 4, 5, 6], async (original, name, source, signal) => {
        async function* cells(): AsyncGenerator<Uint8Array, undefined> {
          let count = 0;
          for await (const bytes of source.cells) {
            if (name.index === 5 && ++count === 6) throw new Error('broken pipe');
            yield bytes;
          }
        }
        const broken: ShardSource = { cells: cells(), seal: () => source.seal() };
        await original(name, broken, signal);
      }),
    });
    const bytes = sampleBytes(12 * stripe);
    const { record, needsRepair } = await writeChunk(made, bytes);
    expect(needsRepair).toBe(true);
    expect(record.shards.map((place) => place !== undefined)).toEqual([true, true, true, true, true, false]);
    expect(Buffer.compare(await readAll(made, record), bytes)).toBe(0);
  });

  test('two of six: the chunk fails and leaves nothing', async () => {
    const made = await open({ wrap: withPut([3, 5], refuse('Unavailable')) });
    for (const size of sizes)
      expect(await kindOf(writeChunk(made, sampleBytes(size)))).toBe('TooFewProviders');
    expect(await made.stored()).toEqual([]);
  });

  test('for lack of space says so', async () => {
    const made = await open({ wrap: withPut([1, 3, 5], refuse('NoSpace')) });
    expect(await kindOf(writeChunk(made, sampleBytes(1)))).toBe('NoSpace');
    expect(made.providers.candidates()).toHaveLength(3);
    expect(await made.stored()).toEqual([]);
  });
});

describe('fewer providers than shards', () => {
  test('the quorum is enough, with repair', async () => {
    const made = await open({ directories: 5 });
    for (const size of sizes) {
      const bytes = sampleBytes(size);
      const { record, needsRepair } = await writeChunk(made, bytes);
      expect(needsRepair).toBe(true);
      expect(new Set(record.shards.flatMap((place) => place?.provider ?? [])).size).toBe(5);
      expect(Buffer.compare(await readAll(made, record), bytes)).toBe(0);
    }
  });

  test('less than the quorum is refused at once', async () => {
    const made = await open({ directories: 4 });
    expect(await kindOf(made.store.create(newChunkId(), profile))).toBe('TooFewProviders');
  });
});

describe('late shards', () => {
  test('go on in the background and stand in the record', async () => {
    const gate = Promise.withResolvers<undefined>();
    const made = await open({
      wrap: withPut([4], async (original, ...call) => {
        await gate.promise;
        await original(...call);
      }),
    });
    const { record, needsRepair } = await writeChunk(made, sampleBytes(1000));
    expect(needsRepair).toBe(true);
    expect(record.shards.every((place) => place !== undefined)).toBe(true);
    expect(await made.stored()).toHaveLength(5);
    gate.resolve(undefined);
    await expect.poll(() => made.stored()).toHaveLength(6);
  });

  test('are given up by a delete, which leaves none', async () => {
    const made = await open({ wrap: withPut([4], hang) });
    const { record } = await writeChunk(made, sampleBytes(1000));
    await made.store.delete(record);
    expect(await made.stored()).toEqual([]);
  });

  test('are given up when their time is over', async () => {
    const signals: AbortSignal[] = [];
    const made = await open({
      limits: { ...hasty, lateMs: 50 },
      wrap: withPut([4], (original, name, source, signal) => {
        signals.push(signal!);
        return hang(original, name, source, signal);
      }),
    });
    await writeChunk(made, sampleBytes(1000));
    await expect.poll(() => signals.map((signal) => signal.aborted)).toEqual([true]);
  });
});
