import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { createChunkStore, type OpenChunkStore } from '../../placement/chunks/chunkStore.ts';
import { takeInventory } from '../../placement/network/inventory.ts';
import { Maintenance } from '../../placement/repair/maintenance.ts';
import { keepLate, parseReason } from '../../placement/repair/reasons.ts';
import { seededRandom, systemClock } from '../../placement/time.ts';
import {
  TransportError,
  type ChunkId,
  type ChunkRecord,
  type ProviderId,
  type ShardTransport,
} from '../../placement/types.ts';
import { pattern, TestCluster } from '../support/placement.ts';
import { newChunkId } from './shards.ts';
import { proxy } from './stores.ts';

const PROFILE = { data: 4, parity: 2 };
/** So large that a loss or two is no reason for a repair. */
const LAZY = { data: 10, parity: 6 };
const WRITTEN_LATE = 'written with missing shards';
const BEACON = 'b'.repeat(64);

let cluster: TestCluster;
let store: OpenChunkStore | undefined;
afterEach(async () => {
  await store?.close();
  store = undefined;
  await cluster.close();
});

function maintenance(): Maintenance {
  const { catalog, clock } = cluster;
  return new Maintenance({
    catalog,
    clock,
    providers: cluster,
    choose: chooseProviders,
    isPending: () => false,
    isUploading: (id) => store?.isUploading(id) ?? false,
  });
}

/** A record as a crash leaves it: some shards that it places never came to be there. */
async function crashed(
  bytes: Uint8Array,
  missing: readonly number[],
  profile = PROFILE,
): Promise<ChunkRecord> {
  const record = await cluster.writeChunk(bytes, cluster.ids, profile);
  for (const index of missing) await cluster.lose(record, index);
  await cluster.catalog.enqueueRepair(record.id, WRITTEN_LATE);
  return record;
}

/** What monitors could be sent to ask for, as `${provider}/${chunk}.${index}`. */
async function sampled(): Promise<string[]> {
  const inventory = await takeInventory(cluster.catalog, cluster.ids, BEACON);
  return [...inventory].flatMap(([provider, { sample }]) =>
    Array.from({ length: sample.size }, (_, at) => {
      const { chunk, index } = sample.at(at);
      return `${provider}/${chunk}.${index}`;
    }),
  );
}

/** Nobody is asked for what is not there. */
async function expectHonestSample(): Promise<void> {
  const stored = new Set(await cluster.stored());
  for (const name of await sampled()) expect(stored).toContain(name);
}

describe('after a crash between a record and its last shards', () => {
  beforeEach(async () => {
    cluster = await TestCluster.create(18);
  });

  test.each([
    ['small', PROFILE, [1]],
    ['lazily repaired', LAZY, [2]],
    ['lazily repaired', LAZY, [3, 15]],
  ] as const)(
    'what a %s chunk lacks is rebuilt at once, and never asked for before',
    async (_, profile, lost) => {
      const bytes = pattern(100_000);
      const record = await crashed(bytes, lost, profile);
      const other = await cluster.writeChunk(pattern(50_000, 2), cluster.ids, profile);
      await expectHonestSample();
      // Readers and scrubs find it, too, and give reasons of their own.
      const reader = createChunkStore({
        providers: cluster,
        catalog: cluster.catalog,
        clock: systemClock,
        random: seededRandom(1),
      });
      for await (const piece of reader.read(record, 0, bytes.length)) expect(piece.length).toBeGreaterThan(0);
      await reader.close();
      await expectHonestSample();
      const keeper = maintenance();
      await keeper.scrub();
      expect(parseReason(cluster.catalog.queue.get(record.id)!)).toMatchObject({ kind: 'lost', late: true });
      await expectHonestSample();

      expect(await keeper.drainQueue()).toMatchObject({ repaired: 1, deferred: 0, shards: lost.length });
      expect(cluster.catalog.queue.size).toBe(0);
      expect(await cluster.wrongShards(record.id, bytes)).toEqual([]);
      await expectHonestSample();
      const names = await sampled();
      for (const { id } of [record, other])
        expect(names.filter((name) => name.includes(id))).toHaveLength(profile.data + profile.parity);
    },
  );

  test('an operator‘s repair settles it as well', async () => {
    const bytes = pattern(100_000);
    const record = await crashed(bytes, [2], LAZY);
    expect(await maintenance().repairAll({ deep: false })).toMatchObject({ repaired: 1 });
    expect(cluster.catalog.queue.size).toBe(0);
    expect(await cluster.wrongShards(record.id, bytes)).toEqual([]);
  });

  test('what came to be there after all is found to be', async () => {
    const record = await crashed(pattern(100_000), [], LAZY);
    expect(await sampled()).toEqual([]);
    expect(await maintenance().drainQueue()).toMatchObject({ healthy: 1 });
    expect(cluster.catalog.queue.size).toBe(0);
    expect(await sampled()).toHaveLength(16);
    expect(cluster.catalog.records.get(record.id)).toBe(record);
  });

  test('a shard that the record does not place accuses nobody: its repair may be put off', async () => {
    const record = await cluster.writeChunk(pattern(100_000), cluster.ids.with(4, undefined as never), LAZY);
    await cluster.catalog.enqueueRepair(record.id, WRITTEN_LATE);
    expect(await maintenance().drainQueue()).toMatchObject({ deferred: 1 });
    expect(parseReason(cluster.catalog.queue.get(record.id)!)).toMatchObject({ kind: 'lost', late: false });
    expect(await sampled()).toHaveLength(15);
    await expectHonestSample();
  });

  test('where no provider can take it, its place leaves the record', async () => {
    const record = await crashed(pattern(100_000), [2], LAZY);
    for (const id of cluster.ids) cluster.member(id).weight = 0;
    await maintenance().drainQueue();
    const now = cluster.catalog.records.get(record.id)!;
    expect(now.generation).toBe(2);
    expect(now.shards).toEqual(record.shards.with(2, undefined));
    expect(parseReason(cluster.catalog.queue.get(record.id)!).late).toBe(false);
    expect(await sampled()).toHaveLength(15);
    await expectHonestSample();
  });

  test('an answer that the record has changed or gone takes nothing out of it', async () => {
    const record = await crashed(pattern(100_000), [2], LAZY);
    for (const id of cluster.ids) cluster.member(id).weight = 0;
    cluster.catalog.beforeCompareAndSet = () => void cluster.catalog.records.delete(record.id);
    expect(await maintenance().drainQueue()).toMatchObject({ superseded: 1 });
    expect(cluster.catalog.records.size).toBe(0);
  });

  test('of a provider that does not answer either, it is not waited for and not asked for', async () => {
    const bytes = pattern(100_000);
    const record = await crashed(bytes, [2], LAZY);
    const silent = record.shards[2]!.provider;
    const fail = (): Promise<never> => Promise.reject(new TransportError('Unavailable', 'no answer'));
    cluster.wrap(silent, (inner) => proxy(inner, { get: fail, prove: fail, put: fail, delete: fail }));
    for (const id of cluster.ids) cluster.member(id).weight = 0;
    const keeper = maintenance();
    await keeper.drainQueue();
    // It may be there: nothing is taken out of the record, and nobody is asked.
    expect(cluster.catalog.records.get(record.id)).toBe(record);
    expect(parseReason(cluster.catalog.queue.get(record.id)!).late).toBe(true);
    expect(await sampled()).toEqual([]);
    for (const id of cluster.ids) cluster.member(id).weight = 1;
    keeper.repairSoon(record.id);
    expect(await keeper.drainQueue()).toMatchObject({ repaired: 1 });
    expect(await cluster.wrongShards(record.id, bytes)).toEqual([]);
    await expectHonestSample();
  });
});

describe('a late upload', () => {
  let slow: ProviderId;
  let failed: ChunkId[];
  let put: { fail(error: Error): void; pass(): void };

  beforeEach(async () => {
    cluster = await TestCluster.create(6);
    slow = cluster.ids[3]!;
    failed = [];
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    promise.catch(() => undefined);
    put = { fail: reject, pass: () => resolve(undefined) };
    cluster.wrap(slow, (inner) =>
      proxy(inner, {
        put: async (name, source, signal) => {
          const stopped = Promise.withResolvers<never>();
          stopped.promise.catch(() => undefined);
          signal?.addEventListener('abort', () =>
            stopped.reject(new TransportError('Aborted', 'told to stop')),
          );
          await Promise.race([promise, stopped.promise]);
          await inner.put(name, source, signal);
        },
      }),
    );
  });

  /** Writes a chunk and records it as the gateway does; its shard at the slow provider is late. */
  async function writeLate(lateMs = 60_000): Promise<ChunkRecord> {
    store = createChunkStore({
      providers: cluster,
      catalog: cluster.catalog,
      clock: systemClock,
      random: seededRandom(1),
      limits: { graceMsMin: 20, graceMsMax: 20, lateMs },
      onLateFailed: (chunk) => failed.push(chunk),
    });
    const writer = await store.create(newChunkId(), PROFILE);
    await writer.write(pattern(50_000));
    const { record, needsRepair } = await writer.finish();
    expect([needsRepair, record.shards.every((place) => place)]).toEqual([true, true]);
    cluster.catalog.records.set(record.id, record);
    await cluster.catalog.enqueueRepair(record.id, WRITTEN_LATE, keepLate);
    return record;
  }

  test('is left alone while it goes on, and is a shard like others when it has come through', async () => {
    const { id } = await writeLate();
    expect(store!.isUploading(id)).toBe(true);
    expect(await maintenance().drainQueue()).toMatchObject({ examined: 0 });
    expect(await sampled()).toEqual([]);
    // An operator's repair waits for it.
    const repairing = maintenance().repairAll({ deep: true });
    put.pass();
    expect(await repairing).toMatchObject({ examined: 1, healthy: 1, shards: 0 });
    expect(store!.isUploading(id)).toBe(false);
    expect(cluster.catalog.queue.size).toBe(0);
    expect(await sampled()).toHaveLength(6);
    expect(failed).toEqual([]);
  });

  test('that fails is told of at once, and its place is filled or cleared', async () => {
    const { id } = await writeLate();
    put.fail(new TransportError('Unavailable', 'the line went dead'));
    await expect.poll(() => failed).toEqual([id]);
    expect(store!.isUploading(id)).toBe(false);
    expect(cluster.catalog.queue.get(id)).toMatch(/^late; shard \d: Unavailable$/);
    await expectHonestSample();
    cluster.member(slow).transport = cluster.member(slow).storage;
    expect(await maintenance().drainQueue()).toMatchObject({ repaired: 1, shards: 1 });
    expect(cluster.catalog.queue.size).toBe(0);
    expect(await sampled()).toHaveLength(6);
    await expectHonestSample();
  });

  test('whose time is over is removed where it may lie, before it is told of', async () => {
    const deletes: string[] = [];
    cluster.wrap(slow, (inner: ShardTransport) =>
      proxy(inner, {
        delete: async (name, signal) => {
          deletes.push(name.chunk);
          expect(failed).toEqual([]);
          expect(store!.isUploading(name.chunk)).toBe(true);
          await inner.delete(name, signal);
        },
      }),
    );
    const { id } = await writeLate(50);
    await expect.poll(() => failed).toEqual([id]);
    expect(deletes).toEqual([id]);
    expect(cluster.catalog.queue.get(id)).toMatch(/^late; shard \d: Timeout$/);
  });

  test('that ends with its chunk, or with the process, is no failure', async () => {
    const record = await writeLate();
    cluster.catalog.records.delete(record.id);
    await store!.delete(record);
    expect(store!.isUploading(record.id)).toBe(false);
    const next = await writeLate();
    await store!.close();
    expect(failed).toEqual([]);
    expect(cluster.catalog.queue.get(next.id)).toBe(WRITTEN_LATE);
  });
});
