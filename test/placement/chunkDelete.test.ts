import { TransportError, type ChunkRecord, type ShardTransport } from '#placement';
import { afterEach, expect, test } from 'vitest';
import { newChunkId, sampleBytes, wholeOf } from './shards.ts';
import { directoryOf, openTestStore, proxy, writeChunk, type TestStore } from './stores.ts';

/** More than are all asked about every chunk. */
const MANY = 70;

let made: TestStore;
/** Calls of each kind by the number of the directory. */
let asked: { list: number[]; delete: number[] };
afterEach(() => made.dispose());

/** @param change replaces methods of the transports of some directories, by index of the shard */
async function open(
  directories: number,
  change: (transport: ShardTransport, directory: number) => Partial<ShardTransport> = () => ({}),
): Promise<TestStore> {
  asked = { list: [], delete: [] };
  made = await openTestStore({
    directories,
    limits: { lateMs: 50, stopMs: 1_000 },
    wrap: (inner, directory) => {
      const transport = proxy(inner, change(inner, directory));
      return proxy(transport, {
        list: (...call) => {
          asked.list.push(directory);
          return transport.list(...call);
        },
        delete: (...call) => {
          asked.delete.push(directory);
          return transport.delete(...call);
        },
      });
    },
  });
  return made;
}

function directoriesOf(record: ChunkRecord): number[] {
  return record.shards.map((place) => directoryOf(made, place!.provider)).toSorted((a, b) => a - b);
}

test('among many providers, those are asked that the record names', async () => {
  await open(MANY);
  const { record } = await writeChunk(made, sampleBytes(10_000));
  expect(await made.stored()).toHaveLength(6);
  await made.store.delete(record);
  expect(await made.stored()).toEqual([]);
  expect(asked.delete.toSorted((a, b) => a - b)).toEqual(directoriesOf(record));
  expect(asked.list).toEqual([]);
  await made.store.delete(record);
  expect(await made.stored()).toEqual([]);
});

test('… and those at which a write of the chunk has failed, which may have stored all the same', async () => {
  let failing: number | undefined;
  await open(MANY, (transport, directory) => ({
    put: async (...call) => {
      failing ??= directory;
      await transport.put(...call);
      if (directory === failing) throw new TransportError('Unavailable', 'the answer got lost');
    },
  }));
  const { record } = await writeChunk(made, sampleBytes(10_000));
  expect(directoriesOf(record)).not.toContain(failing);
  expect(await made.stored()).toHaveLength(7);
  await made.store.delete(record);
  expect(await made.stored()).toEqual([]);
  expect(asked.list).toEqual([failing, failing]);
});

test('… and the place that a repair could not clear', async () => {
  let deaf = true;
  await open(MANY, (transport) => ({
    delete: async (...call) => {
      if (deaf) throw new TransportError('Timeout', 'no answer');
      await transport.delete(...call);
    },
  }));
  const { record } = await writeChunk(made, sampleBytes(10_000));
  const former = made.providers.get(record.shards[2]!.provider)!;
  await former.transport.delete({ chunk: record.id, index: 2 }).catch(() => undefined);
  deaf = false;
  await made.store.delete({ ...record, shards: record.shards.with(2, undefined) });
  expect(await made.stored()).toEqual([]);
  expect(made.providers.strays(record.id)).toEqual([]);
});

test('a stray out of reach does not hold up the end of a chunk, a recorded place does', async () => {
  let deaf: number | undefined;
  await open(MANY, (transport, directory) => {
    const unless = async <T>(work: () => Promise<T>): Promise<T> => {
      if (directory === deaf) throw new TransportError('Unavailable', 'no answer');
      return await work();
    };
    return {
      put: async (...call) => {
        await transport.put(...call);
        deaf ??= directory;
        await unless(async () => undefined);
      },
      list: (...call) => unless(() => transport.list(...call)),
      delete: (...call) => unless(() => transport.delete(...call)),
    };
  });
  const { record } = await writeChunk(made, sampleBytes(10_000));
  await made.store.delete(record);
  expect(made.providers.strays(record.id)).toHaveLength(1);

  const next = await writeChunk(made, sampleBytes(10_000));
  deaf = directoryOf(made, next.record.shards[0]!.provider);
  await expect(made.store.delete(next.record)).rejects.toMatchObject({ kind: 'Unavailable' });
  deaf = undefined;
  await made.store.delete(next.record);
  // What was left at the first, nobody could remove.
  expect(await made.stored()).toHaveLength(1);
});

test('among few, everyone is asked, whatever is known', async () => {
  await open(8);
  const { record } = await writeChunk(made, sampleBytes(10_000));
  const other = made.providers
    .all()
    .find(({ info }) => !directoriesOf(record).includes(directoryOf(made, info.id)))!;
  const whole = sampleBytes(1_000);
  await other.transport.put({ chunk: record.id, index: 3 }, wholeOf(whole));
  const spared = newChunkId();
  await other.transport.put({ chunk: spared, index: 3 }, wholeOf(whole));
  await made.store.delete(record);
  expect(await made.stored()).toEqual([`${spared}.3`]);
});
