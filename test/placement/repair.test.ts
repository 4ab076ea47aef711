import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LEAF_BYTES, createHasher } from '#erasure';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { faulty } from '../../placement/transports/faults.ts';
import { repairChunk, type RepairDeps, type RepairOptions } from '../../placement/repair/repair.ts';
import type { ChunkRecord } from '../../placement/types.ts';
import { CELL, TestCluster, pattern } from '../support/placement.ts';

/** 21 stripes and a short one: two ranges of leaves in every shard, the last leaf short. */
const BYTES = pattern(21 * 4 * CELL + 12_345);

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.create(6);
});
afterEach(() => cluster.close());

function deps(): RepairDeps {
  const { catalog, clock } = cluster;
  return { providers: cluster, catalog, clock, hasher: createHasher(), choose: chooseProviders };
}

function repair(record: ChunkRecord, options: RepairOptions = { depth: 'deep' }, signal?: AbortSignal) {
  return repairChunk(record, deps(), options, signal);
}

async function expectWhole(record: ChunkRecord): Promise<void> {
  expect(await cluster.wrongShards(record.id, BYTES)).toEqual([]);
  expect(await repair(cluster.catalog.records.get(record.id)!)).toMatchObject({
    result: 'healthy',
    verified: true,
  });
}

const PAIRS = Array.from({ length: 6 }, (_, a) => a).flatMap((a) =>
  Array.from({ length: 5 - a }, (_, b): [number, number] => [a, a + 1 + b]),
);

describe('lost and damaged shards', () => {
  test.each(PAIRS)(
    'shards %i and %i lost: rebuilt where they were, without a change of the record',
    async (a, b) => {
      const record = await cluster.writeChunk(BYTES);
      await cluster.lose(record, a);
      await cluster.lose(record, b);
      const outcome = await repair(record, { depth: 'shallow' });
      // The four others were its sources, so a shallow repair has seen every byte.
      expect(outcome).toMatchObject({ result: 'repaired', shards: 2, verified: true });
      expect(cluster.catalog.records.get(record.id)).toBe(record);
      await expectWhole(record);
    },
  );

  const damages: [string, (file: Buffer) => Buffer][] = [
    ['one flipped bit in the first leaf', (file) => file.fill(file[77]! ^ 1, 77, 78)],
    ['one flipped bit in the middle', (file) => file.fill(file[150_000]! ^ 1, 150_000, 150_001)],
    ['truncated', (file) => file.subarray(0, 100_000)],
    ['empty', () => Buffer.alloc(0)],
    ['extended', (file) => Buffer.concat([file, Buffer.alloc(500)])],
    ['zeroed', (file) => Buffer.alloc(file.length)],
  ];
  test.each(damages)('%s: found, and replaced in its place', async (_, change) => {
    const record = await cluster.writeChunk(BYTES);
    await cluster.damage(record, 1, change);
    await cluster.damage(record, 5, change);
    expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 2 });
    await expectWhole(record);
  });

  test('two shards swapped by their providers are both found and replaced', async () => {
    const record = await cluster.writeChunk(BYTES);
    let first: Buffer = Buffer.alloc(0);
    await cluster.damage(record, 0, (file) => (first = file));
    await cluster.damage(record, 3, (third) => {
      const wanted = first;
      first = third;
      return wanted;
    });
    await cluster.damage(record, 0, () => first);
    expect(await repair(record, { depth: 'shallow' })).toMatchObject({ result: 'repaired', shards: 2 });
    expect(cluster.outcomes.filter(({ outcome }) => outcome.failure === 'WrongBytes').length).toBeGreaterThan(
      0,
    );
    await expectWhole(record);
  });

  test('a shallow look does not see a flip in the middle; sources found damaged on the way are repaired too', async () => {
    const record = await cluster.writeChunk(BYTES);
    await cluster.flip(record, 2, 20_000);
    expect(await repair(record, { depth: 'shallow' })).toMatchObject({ result: 'healthy', verified: false });
    await cluster.lose(record, 0);
    expect(await repair(record, { depth: 'shallow' })).toMatchObject({ result: 'repaired', shards: 2 });
    await expectWhole(record);
  });

  test('a shard that never became durable is built and gets its place and root', async () => {
    const providers = cluster.ids;
    const record = await cluster.writeChunk(BYTES, providers.with(4, undefined as never));
    expect(record.shards[4]).toBeUndefined();
    expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 1 });
    const now = cluster.catalog.records.get(record.id)!;
    expect(now.generation).toBe(2);
    expect(now.shards[4]?.provider).toBe(providers[4]);
    await expectWhole(record);
  });

  test.each([1, 100, LEAF_BYTES * 4, LEAF_BYTES * 4 + 1])('a chunk of %i bytes', async (length) => {
    const bytes = pattern(length);
    const record = await cluster.writeChunk(bytes);
    await cluster.lose(record, 0);
    await cluster.flip(record, 5, 0);
    expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 2 });
    expect(await cluster.wrongShards(record.id, bytes)).toEqual([]);
  });
});

describe('too much lost', () => {
  test('three of six lost: unreadable, and nothing is deleted or written', async () => {
    const record = await cluster.writeChunk(BYTES);
    for (const index of [0, 2, 4]) await cluster.lose(record, index);
    const before = await cluster.stored();
    expect(await repair(record)).toMatchObject({ result: 'unreadable', shards: 0 });
    expect(await cluster.stored()).toEqual(before);
    expect(cluster.catalog.records.get(record.id)).toBe(record);
  });

  test('three of six damaged in one and the same leaf: unreadable, and no right leaf is given up', async () => {
    const record = await cluster.writeChunk(BYTES);
    for (const index of [1, 3, 5]) await cluster.flip(record, index, 40_000);
    const before = await cluster.stored();
    expect(await repair(record)).toMatchObject({ result: 'unreadable', shards: 0 });
    expect(await cluster.stored()).toEqual(before);
  });

  test('three of six damaged in different ranges: their right leaves suffice, one after the other', async () => {
    const record = await cluster.writeChunk(BYTES);
    await cluster.flip(record, 1, 0);
    await cluster.flip(record, 3, 17 * LEAF_BYTES);
    await cluster.flip(record, 5, 20 * LEAF_BYTES);
    // Shards 3 and 5 are both wrong in the last range, where 1 is right.
    expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 3 });
    await expectWhole(record);
  });
});

describe('providers', () => {
  test('a provider gone for good: its shard goes to a spare one', async () => {
    const record = await cluster.writeChunk(BYTES);
    const gone = record.shards[2]!.provider;
    const spare = await cluster.addProvider();
    await cluster.member(gone).transport.close();
    cluster.members.delete(gone);
    expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 1 });
    expect(cluster.catalog.records.get(record.id)!.shards[2]!.provider).toBe(spare);
    await expectWhole(record);
  });

  test('a provider gone for good and no spare one: incomplete, and it says why', async () => {
    const record = await cluster.writeChunk(BYTES);
    cluster.setState(record.shards[2]!.provider, 'gone');
    await rm(cluster.member(record.shards[2]!.provider).directory, { recursive: true });
    const outcome = await repair(record);
    expect(outcome).toMatchObject({ result: 'incomplete', shards: 0 });
    expect(outcome.reason).toMatch(/shard 2: no provider is free/);
  });

  test('shards leave an exiting provider by being copied, not computed, and the old copies are deleted', async () => {
    const record = await cluster.writeChunk(BYTES);
    const leaving = record.shards[0]!.provider;
    const spare = await cluster.addProvider();
    cluster.setState(leaving, 'exiting');
    const outcome = await repair(record, { depth: 'shallow' });
    expect(outcome).toMatchObject({ result: 'repaired', shards: 1 });
    // One shard and the six looks at the last leaves.
    expect(outcome.bytes).toBeLessThan(BYTES.length / 4 + 7 * LEAF_BYTES);
    expect(cluster.catalog.records.get(record.id)!.shards[0]!.provider).toBe(spare);
    expect(await cluster.stored()).toEqual(cluster.claimed());
    await expectWhole(record);
  });

  test('more than m shards are moved at once: readers of the former record keep their copies', async () => {
    const record = await cluster.writeChunk(BYTES);
    for (const index of [0, 1, 2]) {
      cluster.setState(record.shards[index]!.provider, 'exiting');
      await cluster.addProvider();
    }
    const before = await cluster.stored();
    expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 3 });
    expect(await cluster.stored()).toEqual(expect.arrayContaining(before));
    await expectWhole(record);
  });

  test('a target that is full, and one that fails midway, are passed over', async () => {
    const record = await cluster.writeChunk(BYTES);
    await cluster.lose(record, 0);
    await cluster.lose(record, 1);
    const spares = [await cluster.addProvider(), await cluster.addProvider()];
    for (const [index, error] of [
      [0, 'NoSpace'],
      [1, 'Unavailable'],
    ] as const) {
      const plan = { seed: 1, rules: [{ operations: ['put'], fault: { kind: 'fail', error } }] } as const;
      cluster.wrap(record.shards[index]!.provider, (inner) => faulty(inner, plan, cluster.clock));
    }
    expect(await repair(record)).toMatchObject({ result: 'repaired', shards: 2 });
    const now = cluster.catalog.records.get(record.id)!;
    expect([now.shards[0]!.provider, now.shards[1]!.provider].sort()).toEqual(spares.sort());
    expect(await cluster.stored()).toEqual(cluster.claimed());
    await expectWhole(record);
  });

  test('what an earlier, damaged copy under the same name at a new provider says is not believed', async () => {
    const record = await cluster.writeChunk(BYTES);
    const [home] = cluster.ids;
    const spare = await cluster.addProvider();
    cluster.setState(home!, 'exiting');
    expect(await repair(record)).toMatchObject({ result: 'repaired' });
    const moved = cluster.catalog.records.get(record.id)!;
    await cluster.flip(moved, 0, 3);
    // The record as it was: the spare provider holds a damaged shard that nothing refers to.
    cluster.catalog.records.set(record.id, record);
    await cluster.lose(record, 0);
    expect(await repair(record)).toMatchObject({ result: 'repaired' });
    expect(cluster.catalog.records.get(record.id)!.shards[0]!.provider).toBe(spare);
    await expectWhole(record);
  });

  test('an unreachable provider is waited for while one more loss would be survived, and no longer', async () => {
    const record = await cluster.writeChunk(BYTES);
    for (let spare = 0; spare < 2; spare++) await cluster.addProvider();
    const away = {
      seed: 1,
      rules: [{ operations: ['get', 'prove', 'put'], fault: { kind: 'fail', error: 'Timeout' } }],
    } as const;
    cluster.wrap(record.shards[3]!.provider, (inner) => faulty(inner, away, cluster.clock));
    const options = { depth: 'deep', mayReturn: () => true } as const;
    expect(await repair(record, options)).toMatchObject({ result: 'waiting', shards: 0 });
    cluster.wrap(record.shards[4]!.provider, (inner) => faulty(inner, away, cluster.clock));
    expect(await repair(record, options)).toMatchObject({ result: 'repaired', shards: 2 });
    await expectWhole(record);
  });
});

describe('sources that fail', () => {
  const faults = ['flip', 'truncate', 'empty', 'stale', 'fail'] as const;
  test.each(faults)(
    'a source that answers with %s now and then never spoils a rebuilt shard',
    async (kind) => {
      const record = await cluster.writeChunk(BYTES);
      await cluster.lose(record, 0);
      const fault = kind === 'fail' ? ({ kind, error: 'Unavailable' } as const) : ({ kind } as const);
      const plan = { seed: 7, rules: [{ operations: ['get'], nth: [2], fault }] } as const;
      const source = cluster.wrap(record.shards[1]!.provider, (inner) => faulty(inner, plan, cluster.clock));
      await repair(record);
      expect(source.injected.map((injected) => injected.kind)).toEqual([kind]);
      source.setPlan({ seed: 7, rules: [] });
      await repair(cluster.catalog.records.get(record.id)!);
      await expectWhole(record);
    },
  );

  test('too few sources while shards are being written: nothing is left behind', async () => {
    const record = await cluster.writeChunk(BYTES);
    await cluster.lose(record, 0);
    await cluster.lose(record, 1);
    const plan = { seed: 1, rules: [{ operations: ['get'], nth: [2], fault: { kind: 'flip' } }] } as const;
    cluster.wrap(record.shards[5]!.provider, (inner) => faulty(inner, plan, cluster.clock));
    const before = await cluster.stored();
    expect(await repair(record, { depth: 'shallow' })).toMatchObject({ result: 'unreadable', shards: 0 });
    expect(await cluster.stored()).toEqual(before);
  });

  test('a recorded root that the computed shard does not have: nothing is written', async () => {
    const record = await cluster.writeChunk(BYTES);
    await cluster.lose(record, 5);
    const places = record.shards.with(5, { ...record.shards[5]!, root: new Uint8Array(32).fill(9) });
    const wrong = { ...record, shards: places };
    cluster.catalog.records.set(record.id, wrong);
    const before = await cluster.stored();
    const outcome = await repair(wrong);
    expect(outcome).toMatchObject({ result: 'incomplete', shards: 0 });
    expect(outcome.reason).toMatch(/recorded root/);
    expect(await cluster.stored()).toEqual(before);
  });
});
