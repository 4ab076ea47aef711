import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { faulty } from '../../placement/transports/faults.ts';
import {
  Maintenance,
  type MaintenanceConfig,
  type MaintenanceEvent,
} from '../../placement/repair/maintenance.ts';
import type { ChunkId, ChunkRecord, Progress } from '../../placement/types.ts';
import { TestCluster, pattern } from '../support/placement.ts';

const DAY_MS = 86_400_000;
const LENGTH = 70_000;

let cluster: TestCluster;
let pending: Set<ChunkId>;
let uploading: Set<ChunkId>;
let events: MaintenanceEvent[];
beforeEach(async () => {
  cluster = await TestCluster.create(6);
  pending = new Set();
  uploading = new Set();
  events = [];
});
afterEach(() => cluster.close());

function maintenance(
  config: Partial<MaintenanceConfig> = {},
  holdsLease?: () => Promise<boolean>,
): Maintenance {
  const { catalog, clock } = cluster;
  const isPending = (id: ChunkId) => pending.has(id);
  const isUploading = (id: ChunkId) => uploading.has(id);
  const onEvent = (event: MaintenanceEvent) => events.push(event);
  const deps = {
    catalog,
    clock,
    providers: cluster,
    choose: chooseProviders,
    isPending,
    isUploading,
    onEvent,
  };
  return new Maintenance({ ...deps, ...(holdsLease && { holdsLease }) }, config);
}

async function writeChunks(count: number): Promise<ChunkRecord[]> {
  const records: ChunkRecord[] = [];
  for (let at = 0; at < count; at++) records.push(await cluster.writeChunk(pattern(LENGTH, at)));
  return records;
}

async function expectAllWhole(records: readonly ChunkRecord[]): Promise<void> {
  for (const [at, { id }] of records.entries()) {
    expect(await cluster.wrongShards(id, pattern(LENGTH, at))).toEqual([]);
  }
}

/** Order in which chunks are written to. */
function recordPuts(): ChunkId[] {
  const order: ChunkId[] = [];
  for (const id of cluster.ids) {
    const { transport } = cluster.member(id);
    const put = transport.put.bind(transport);
    transport.put = (name, ...rest) => {
      if (!order.includes(name.chunk)) order.push(name.chunk);
      return put(name, ...rest);
    };
  }
  return order;
}

describe('repairAll', () => {
  test('two provider directories removed: both are revived and everything has its full redundancy again', async () => {
    const records = await writeChunks(12);
    for (const at of [1, 4]) await rm(cluster.member(cluster.ids[at]!).directory, { recursive: true });
    const seen: Progress[] = [];
    const report = await maintenance().repairAll({ deep: false }, (progress) => seen.push(progress));
    expect(report).toMatchObject({
      examined: 12,
      repaired: 12,
      shards: 24,
      healthy: 0,
      unreadable: [],
      failed: [],
    });
    expect(cluster.revived).toBe(1);
    expect(seen.at(-1)).toMatchObject({ job: 'repair', done: 12, total: 12 });
    await expectAllWhole(records);
    expect(await maintenance().repairAll({ deep: true })).toMatchObject({
      examined: 12,
      healthy: 12,
      shards: 0,
    });
  });

  test('the chunk with the least redundancy is repaired first', async () => {
    const records = await writeChunks(6);
    await cluster.lose(records[1]!, 0);
    await cluster.lose(records[4]!, 0);
    await cluster.lose(records[4]!, 5);
    const order = recordPuts();
    expect(await maintenance().repairAll({ deep: false })).toMatchObject({
      healthy: 4,
      repaired: 2,
      shards: 3,
    });
    expect(order).toEqual([records[4]!.id, records[1]!.id]);
  });

  test('unreadable and unplaceable chunks are named and queued; the others are repaired all the same', async () => {
    const records = await writeChunks(3);
    for (const index of [0, 1, 2]) await cluster.lose(records[0]!, index);
    await cluster.lose(records[1]!, 3);
    const report = await maintenance().repairAll({ deep: false });
    expect(report).toMatchObject({ healthy: 1, repaired: 1, unreadable: [records[0]!.id], failed: [] });
    expect([...cluster.catalog.queue.keys()]).toEqual([records[0]!.id]);
    cluster.setState(cluster.ids[5]!, 'exiting');
    const second = await maintenance().repairAll({ deep: false });
    expect(second.failed.map(({ id }) => id).sort()).toEqual([records[1]!.id, records[2]!.id]);
    expect(cluster.catalog.queue.size).toBe(3);
  });

  test('aborted in the middle and started again, it does the rest', async () => {
    const records = await writeChunks(10);
    await rm(cluster.member(cluster.ids[0]!).directory, { recursive: true });
    const stop = new AbortController();
    const halfway = ({ done }: Progress) => {
      if (done === 4) stop.abort();
    };
    const first = maintenance().repairAll({ deep: false }, halfway, stop.signal);
    await expect(first).rejects.toMatchObject({ kind: 'Aborted' });
    const report = await maintenance().repairAll({ deep: false });
    expect(report.healthy).toBeGreaterThanOrEqual(4);
    expect(report.healthy + report.repaired).toBe(10);
    await expectAllWhole(records);
  });

  test('a shallow repair leaves a queue entry whose reason it cannot see, a deep one settles it', async () => {
    const [record] = await writeChunks(1);
    await cluster.flip(record!, 2, 5);
    await cluster.catalog.enqueueRepair(record!.id, 'wrong bytes');
    expect(await maintenance().repairAll({ deep: false })).toMatchObject({ healthy: 1 });
    expect(cluster.catalog.queue.size).toBe(1);
    expect(await maintenance().repairAll({ deep: true })).toMatchObject({ repaired: 1 });
    expect(cluster.catalog.queue.size).toBe(0);
    await expectAllWhole([record!]);
  });
});

describe('drainQueue', () => {
  test('repairs what is queued, to the last byte, and empties the queue', async () => {
    const records = await writeChunks(4);
    await cluster.flip(records[0]!, 1, 9);
    await cluster.lose(records[2]!, 4);
    for (const { id } of records) await cluster.catalog.enqueueRepair(id, 'test');
    const report = await maintenance().drainQueue();
    expect(report).toMatchObject({ examined: 4, healthy: 2, repaired: 2, shards: 2 });
    expect(cluster.catalog.queue.size).toBe(0);
    await expectAllWhole(records);
  });

  test('entries of deleted chunks are dropped, those of writes under way are left alone', async () => {
    const [writing] = await writeChunks(1);
    await cluster.lose(writing!, 0);
    uploading.add(writing!.id);
    await cluster.catalog.enqueueRepair(writing!.id, 'late shards');
    await cluster.catalog.enqueueRepair('dd'.repeat(16), 'deleted since');
    expect(await maintenance().drainQueue()).toMatchObject({ examined: 0 });
    expect([...cluster.catalog.queue.keys()]).toEqual([writing!.id]);
    uploading.clear();
    // Its record has come, whatever is said of its intent.
    pending.add(writing!.id);
    expect(await maintenance().drainQueue()).toMatchObject({ repaired: 1 });
  });

  test('a chunk that cannot be repaired is tried again after a pause that grows', async () => {
    const [record] = await writeChunks(1);
    for (const index of [0, 1, 2]) await cluster.lose(record!, index);
    await cluster.catalog.enqueueRepair(record!.id, 'test');
    const keeper = maintenance();
    const examined: number[] = [];
    for (const passMs of [0, 1, 5_000, 5_000, 5_000]) {
      cluster.clock.time += passMs;
      examined.push((await keeper.drainQueue()).examined);
    }
    expect(examined).toEqual([1, 0, 1, 0, 1]);
    expect(cluster.catalog.queue.size).toBe(1);
  });

  test('aborted and begun again by another process, the queue is finished', async () => {
    const records = await writeChunks(8);
    for (const record of records) {
      await cluster.lose(record, 0);
      await cluster.catalog.enqueueRepair(record.id, 'test');
    }
    const stop = new AbortController();
    const dequeue = cluster.catalog.dequeueRepair.bind(cluster.catalog);
    cluster.catalog.dequeueRepair = async (id) => {
      await dequeue(id);
      if (cluster.catalog.queue.size === 5) stop.abort();
    };
    await expect(maintenance().drainQueue(stop.signal)).rejects.toMatchObject({ kind: 'Aborted' });
    expect(cluster.catalog.queue.size).toBeGreaterThan(0);
    await maintenance().drainQueue();
    expect(cluster.catalog.queue.size).toBe(0);
    await expectAllWhole(records);
  });

  test('an outage is sat out for its grace, then its shards are built elsewhere', async () => {
    const [record] = await writeChunks(1);
    await cluster.addProvider();
    const away = {
      seed: 1,
      rules: [{ operations: ['get', 'prove', 'put'], fault: { kind: 'fail', error: 'Timeout' } }],
    } as const;
    cluster.wrap(cluster.ids[0]!, (inner) => faulty(inner, away, cluster.clock));
    await cluster.catalog.enqueueRepair(record!.id, 'unreachable');
    const keeper = maintenance({ unreachableGraceMs: 60_000 });
    expect(await keeper.drainQueue()).toMatchObject({ waiting: 1, repaired: 0 });
    cluster.clock.time += 61_000;
    expect(await keeper.drainQueue()).toMatchObject({ waiting: 0, repaired: 1 });
    await expectAllWhole([record!]);
  });
});

describe('loops', () => {
  test('scrub finds, the queue repairs, orphans go when they are old; stop ends both', async () => {
    const records = await writeChunks(3);
    await cluster.flip(records[1]!, 3, 12);
    const orphan = await cluster.writeChunk(pattern(9_000));
    cluster.catalog.records.delete(orphan.id);
    cluster.clock.time += 2 * DAY_MS;
    const keeper = maintenance({ scrubIntervalMs: 365 * DAY_MS });
    keeper.start();
    expect(() => keeper.start()).toThrow(/run already/);
    await until(() => events.length >= 2);
    await keeper.stop();
    const kinds = events.map(({ kind }) => kind).sort();
    expect(kinds).toEqual(['repaired', 'scrubbed']);
    await expectAllWhole(records);
    expect(await cluster.stored()).toEqual(cluster.claimed());
    expect(cluster.catalog.queue.size).toBe(0);
    keeper.start();
    await keeper.stop();
  });

  test('without the lease nothing is done; a failure is told and does not end the loop', async () => {
    const [record] = await writeChunks(1);
    await cluster.lose(record!, 0);
    await cluster.catalog.enqueueRepair(record!.id, 'test');
    let asked = 0;
    let granted = false;
    const keeper = maintenance({ scrubIntervalMs: DAY_MS }, async () => {
      asked++;
      if (asked === 3) throw new Error('lease store away');
      return granted;
    });
    const puts = recordPuts();
    keeper.start();
    await until(() => asked >= 8);
    expect(puts).toEqual([]);
    granted = true;
    await until(() => cluster.catalog.queue.size === 0);
    await keeper.stop();
    expect(events.find(({ kind }) => kind === 'failed')).toMatchObject({
      error: new Error('lease store away'),
    });
    await expectAllWhole([record!]);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
