import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHasher } from '#erasure';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { faulty } from '../../placement/transports/faults.ts';
import { repairChunk } from '../../placement/repair/repair.ts';
import type { ChunkRecord } from '../../placement/types.ts';
import { CELL, TestCluster, pattern } from '../support/placement.ts';

const BYTES = pattern(17 * 4 * CELL + 99);

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.create(7);
});
afterEach(() => cluster.close());

function repair(record: ChunkRecord, signal?: AbortSignal) {
  const { catalog, clock } = cluster;
  const deps = { providers: cluster, catalog, clock, hasher: createHasher(), choose: chooseProviders };
  return repairChunk(record, deps, { depth: 'deep' }, signal);
}

/** A chunk of which shard 0 must move to the seventh provider. */
async function chunkToMove(): Promise<ChunkRecord> {
  const record = await cluster.writeChunk(BYTES);
  cluster.setState(record.shards[0]!.provider, 'exiting');
  await cluster.lose(record, 0);
  return record;
}

async function deleteChunk(record: ChunkRecord): Promise<void> {
  cluster.catalog.records.delete(record.id);
  for (const index of record.shards.keys()) await cluster.lose(record, index);
}

test('the record is deleted while shards are written elsewhere: no orphan is left', async () => {
  const record = await chunkToMove();
  cluster.catalog.beforeCompareAndSet = () => deleteChunk(record);
  expect(await repair(record)).toMatchObject({ result: 'superseded', shards: 0 });
  expect(await cluster.stored()).toEqual([]);
});

test('the chunk is deleted just before a shard rewritten in its place becomes durable: no orphan is left', async () => {
  const record = await cluster.writeChunk(BYTES);
  cluster.member(cluster.ids[6]!).weight = 0;
  await cluster.lose(record, 3);
  const { transport } = cluster.member(record.shards[3]!.provider);
  const put = transport.put.bind(transport);
  transport.put = async (name, source, signal) => {
    const cells = deleteAfter(source.cells, record);
    await put(name, { cells, seal: () => source.seal() }, signal);
  };
  expect(await repair(record)).toMatchObject({ result: 'superseded', shards: 0 });
  expect(await cluster.stored()).toEqual([]);
});

async function* deleteAfter(cells: AsyncIterable<Uint8Array>, record: ChunkRecord) {
  yield* cells;
  await deleteChunk(record);
}

test('another repair of the same shards wins: what it recorded is kept', async () => {
  const record = await chunkToMove();
  cluster.catalog.beforeCompareAndSet = async () => {
    cluster.catalog.beforeCompareAndSet = undefined;
    expect(await repair(record)).toMatchObject({ result: 'repaired' });
  };
  expect(await repair(record)).toMatchObject({ result: 'superseded', shards: 0 });
  expect(await cluster.wrongShards(record.id, BYTES)).toEqual([]);
  expect(await cluster.stored()).toEqual(cluster.claimed());
});

test('another repair that chose another provider wins: ours is given up, its shard is kept', async () => {
  const record = await chunkToMove();
  cluster.catalog.beforeCompareAndSet = async () => {
    cluster.catalog.beforeCompareAndSet = undefined;
    const other = await cluster.addProvider();
    cluster.member(cluster.ids[6]!).weight = 0;
    expect(await repair(record)).toMatchObject({ result: 'repaired' });
    expect(cluster.catalog.records.get(record.id)!.shards[0]!.provider).toBe(other);
  };
  expect(await repair(record)).toMatchObject({ result: 'superseded' });
  expect(await cluster.wrongShards(record.id, BYTES)).toEqual([]);
  expect(await cluster.stored()).toEqual(cluster.claimed());
});

test('the outcome of the compare-and-set is lost, but it was applied: the repair goes on', async () => {
  const record = await chunkToMove();
  cluster.catalog.afterCompareAndSet = () => {
    throw new Error('unknown outcome');
  };
  expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 1 });
  expect(await cluster.wrongShards(record.id, BYTES)).toEqual([]);
});

test('the outcome of the compare-and-set is lost, and it was not applied yet: the new shard is kept', async () => {
  const record = await chunkToMove();
  cluster.catalog.beforeCompareAndSet = () => {
    throw new Error('unknown outcome');
  };
  await expect(repair(record)).rejects.toThrow('unknown outcome');
  expect(await cluster.stored()).toContain(`${cluster.ids[6]}/${record.id}.0`);
  cluster.catalog.beforeCompareAndSet = undefined;
  expect(await repair(record)).toMatchObject({ result: 'repaired' });
  expect(await cluster.wrongShards(record.id, BYTES)).toEqual([]);
});

test('a put that is reported as failed though it was done: the chunk is repaired, the copy is no claimed one', async () => {
  const record = await chunkToMove();
  const last = await cluster.addProvider();
  const plan = { seed: 1, rules: [{ operations: ['put'], fault: { kind: 'lostAnswer' } }] } as const;
  cluster.wrap(cluster.ids[6]!, (inner) => faulty(inner, plan, cluster.clock));
  expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 1 });
  expect(cluster.catalog.records.get(record.id)!.shards[0]!.provider).toBe(last);
  expect(await cluster.wrongShards(record.id, BYTES)).toEqual([]);
});

test.each([1, 2, 5, 8])('aborted at read %i, then run again: whole, and nothing left over', async (nth) => {
  const record = await cluster.writeChunk(BYTES);
  await cluster.lose(record, 1);
  await cluster.lose(record, 4);
  const stop = new AbortController();
  let reads = 0;
  for (const id of cluster.ids) {
    const { transport } = cluster.member(id);
    const get = transport.get.bind(transport);
    transport.get = async (...call) => {
      if (++reads === nth) stop.abort(new Error('enough'));
      return get(...call);
    };
  }
  await expect(repair(record, stop.signal)).rejects.toMatchObject({ kind: 'Aborted' });
  expect(await cluster.stored()).toEqual(cluster.claimed().filter((name) => !/\.[14]$/.test(name)));
  expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 2 });
  expect(await cluster.wrongShards(record.id, BYTES)).toEqual([]);
});
