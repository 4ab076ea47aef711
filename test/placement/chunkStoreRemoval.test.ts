import { TransportError, type ChunkRecord, type ShardTransport } from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newChunkId, sampleBytes, wholeOf } from './shards.ts';
import { directoryOf, openTestStore, proxy, writeChunk, type TestStore } from './stores.ts';

type Conduct = 'deaf' | 'hangs' | 'once' | 'endless';

let made: TestStore;
let conduct: Map<number, Conduct>;
/** Calls by the number of the directory. */
let calls: Map<number, number>;
beforeEach(async () => {
  conduct = new Map();
  calls = new Map();
  made = await openTestStore({
    directories: 8,
    limits: { lateMs: 50, stopMs: 200 },
    wrap: (inner, directory) => misbehaving(inner, directory),
  });
});
afterEach(() => made.dispose());

function misbehaving(inner: ShardTransport, directory: number): ShardTransport {
  const behave = async <T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> => {
    calls.set(directory, (calls.get(directory) ?? 0) + 1);
    const now = conduct.get(directory);
    if (now === 'once') conduct.delete(directory);
    if (now === 'deaf' || now === 'once') throw new TransportError('Unavailable', 'no answer');
    if (now === 'hangs') {
      await new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new TransportError('Aborted', 'stopped')));
      });
    }
    return await work();
  };
  return proxy(inner, {
    put: async (name, source, signal) => {
      await inner.put(name, source, signal);
      if (conduct.get(directory) === 'deaf') throw new TransportError('Unavailable', 'the answer got lost');
    },
    list: (after, limit, signal) =>
      behave(signal, async () => {
        if (conduct.get(directory) !== 'endless') return await inner.list(after, limit, signal);
        await new Promise(setImmediate);
        return [{ chunk: after!.slice(0, 32), index: 1, length: 1, storedAt: 0 }];
      }),
    delete: (name, signal) =>
      behave(signal, async () => {
        if (conduct.get(directory) !== 'endless') await inner.delete(name, signal);
      }),
  });
}

function placesOf(record: ChunkRecord): number[] {
  return record.shards.map((place) => directoryOf(made, place!.provider));
}

function unnamedBy(record: ChunkRecord): number {
  return [0, 1, 2, 3, 4, 5, 6, 7].find((directory) => !placesOf(record).includes(directory))!;
}

async function putAt(directory: number, chunk: string): Promise<void> {
  const { transport } = made.providers.all().find(({ info }) => directoryOf(made, info.id) === directory)!;
  await transport.put({ chunk, index: 3 }, wholeOf(sampleBytes(1_000)));
}

describe('a provider that has nothing to do with a chunk', () => {
  test.each(['deaf', 'hangs'] as const)('and is %s does not keep it from ending', async (fault) => {
    const { record } = await writeChunk(made, sampleBytes(10_000));
    conduct.set(unnamedBy(record), fault);
    await made.store.delete(record);
    expect(await made.stored()).toEqual([]);
    expect(calls.get(unnamedBy(record))).toBe(fault === 'deaf' ? 3 : 1);
  });

  test.each(['deaf', 'hangs'] as const)('and is %s does not keep one without a record', async (fault) => {
    const chunk = newChunkId();
    await putAt(2, chunk);
    conduct.set(5, fault);
    await made.store.deleteUnrecorded(chunk);
    expect(await made.stored()).toEqual([]);
  });

  test('may have a shard all the same: one lost answer does not make it an orphan', async () => {
    const { record } = await writeChunk(made, sampleBytes(10_000));
    const directory = unnamedBy(record);
    await putAt(directory, record.id);
    conduct.set(directory, 'once');
    await made.store.delete(record);
    expect(await made.stored()).toEqual([]);
  });
});

test('one that goes on listing shards of a chunk is not followed', async () => {
  const chunk = newChunkId();
  conduct.set(4, 'deaf');
  await expect(putAt(4, chunk)).rejects.toMatchObject({ kind: 'Unavailable' });
  conduct.set(4, 'endless');
  await made.store.deleteUnrecorded(chunk);
  expect(calls.get(4)).toBe(512);
});

describe('among few, a chunk does not end without', () => {
  test('a place that the record names', async () => {
    const { record } = await writeChunk(made, sampleBytes(10_000));
    conduct.set(placesOf(record)[3]!, 'deaf');
    await expect(made.store.delete(record)).rejects.toMatchObject({ kind: 'Unavailable' });
    conduct.clear();
    await made.store.delete(record);
    expect(await made.stored()).toEqual([]);
  });

  test('one at which a write of it is known to have failed', async () => {
    const chunk = newChunkId();
    conduct.set(4, 'deaf');
    await expect(putAt(4, chunk)).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(made.store.deleteUnrecorded(chunk)).rejects.toMatchObject({ kind: 'Unavailable' });
    conduct.clear();
    await made.store.deleteUnrecorded(chunk);
    expect(await made.stored()).toEqual([]);
  });
});
