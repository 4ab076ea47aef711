import { utimes } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHasher } from '#erasure';
import { ChunkLocks } from '../../placement/repair/chunkLocks.ts';
import { faulty } from '../../placement/transports/faults.ts';
import { sweepOrphans, type OrphanDeps } from '../../placement/repair/orphans.ts';
import { scrubChunks, type ScrubDeps } from '../../placement/repair/scrub.ts';
import { Throttle } from '../../placement/throttle.ts';
import type { ChunkId, ChunkRecord, Progress } from '../../placement/types.ts';
import { TestCluster, pattern } from '../support/placement.ts';

const DAY_MS = 86_400_000;

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.create(6);
});
afterEach(() => cluster.close());

function scrubDeps(): ScrubDeps {
  const { catalog, clock } = cluster;
  return { catalog, clock, providers: cluster, hasher: createHasher() };
}

function orphanDeps(pending: readonly ChunkId[] = []): OrphanDeps {
  const { catalog, clock } = cluster;
  const isPending = (id: ChunkId) => pending.includes(id);
  return { catalog, clock, providers: cluster, locks: new ChunkLocks(), isPending };
}

async function writeChunks(count: number, length = 70_000): Promise<ChunkRecord[]> {
  const records: ChunkRecord[] = [];
  for (let at = 0; at < count; at++) records.push(await cluster.writeChunk(pattern(length, at)));
  return records;
}

describe('chunks', () => {
  test('everything whole: nothing is queued, every byte is read', async () => {
    await writeChunks(5);
    const report = await scrubChunks(scrubDeps(), 'deep');
    expect(report).toMatchObject({
      chunks: 5,
      healthy: 30,
      missing: 0,
      corrupt: 0,
      enqueued: 0,
      unreadable: [],
    });
    expect(report.bytes).toBe((5 * 70_000 * 6) / 4);
    expect(cluster.catalog.queue.size).toBe(0);
  });

  test('each kind of damage is counted, and its chunk queued', async () => {
    const records = await writeChunks(6);
    await cluster.lose(records[0]!, 3);
    await cluster.flip(records[1]!, 0, 17);
    await cluster.damage(records[2]!, 5, (file) => file.subarray(1));
    for (const index of [0, 1, 2]) await cluster.lose(records[3]!, index);
    const unplaced = records[4]!.shards.with(1, undefined);
    cluster.catalog.records.set(records[4]!.id, { ...records[4]!, shards: unplaced });
    const report = await scrubChunks(scrubDeps(), 'deep');
    expect(report).toMatchObject({
      chunks: 6,
      healthy: 29,
      missing: 4,
      corrupt: 2,
      unplaced: 1,
      enqueued: 5,
    });
    expect(report.unreadable).toEqual([records[3]!.id]);
    expect([...cluster.catalog.queue.keys()].sort()).toEqual(records.slice(0, 5).map(({ id }) => id));
  });

  test('an unreachable provider is not taken for a lost shard', async () => {
    await writeChunks(2);
    const plan = {
      seed: 1,
      rules: [{ operations: ['get'], fault: { kind: 'fail', error: 'Timeout' } }],
    } as const;
    cluster.wrap(cluster.ids[2]!, (inner) => faulty(inner, plan, cluster.clock));
    expect(await scrubChunks(scrubDeps(), 'deep')).toMatchObject({ unreachable: 2, missing: 0, enqueued: 2 });
  });

  test('a chunk deleted while it is examined is nobody‘s loss', async () => {
    const [record] = await writeChunks(1);
    const deps = { ...scrubDeps(), observe: () => cluster.catalog.records.delete(record!.id) };
    await cluster.lose(record!, 0);
    expect(await scrubChunks(deps, 'deep')).toMatchObject({ enqueued: 0, missing: 0 });
  });

  test('aborted, it goes on behind the last page it finished; finished, it begins anew', async () => {
    const records = await writeChunks(80, 4_000);
    await cluster.lose(records[79]!, 0);
    const stop = new AbortController();
    const first = (progress: Progress) => {
      if (progress.done === 50) stop.abort();
    };
    await expect(scrubChunks(scrubDeps(), 'shallow', first, stop.signal)).rejects.toMatchObject({
      kind: 'Aborted',
    });
    expect(cluster.catalog.queue.size).toBe(0);
    const seen: Progress[] = [];
    const rest = await scrubChunks(scrubDeps(), 'shallow', (progress) => seen.push(progress));
    // The first page of 32 was noted.
    expect(rest).toMatchObject({ chunks: 48, missing: 1, enqueued: 1 });
    expect(seen.at(-1)).toMatchObject({ job: 'scrub', done: 48, total: 48 });
    expect(await scrubChunks(scrubDeps(), 'shallow')).toMatchObject({ chunks: 80 });
  });

  test('the throttle lets no more bytes pass than it should', async () => {
    await writeChunks(3);
    const { clock } = cluster;
    const report = await scrubChunks({ ...scrubDeps(), throttle: new Throttle(10_000, clock) }, 'deep');
    const owedMs = (report.bytes / 10_000) * 1000;
    const lastMs = (70_000 / 4 / 10_000) * 1000;
    expect(clock.slept).toBeGreaterThanOrEqual(owedMs - lastMs);
  });
});

describe('orphans', () => {
  const everything = { graceMs: 0, delete: true };

  /** Shards whose record is gone. */
  async function orphaned(length = 5_000): Promise<ChunkRecord> {
    const record = await cluster.writeChunk(pattern(length));
    cluster.catalog.records.delete(record.id);
    return record;
  }

  test('what no record claims is deleted, what one claims stays', async () => {
    await writeChunks(3, 5_000);
    await orphaned();
    cluster.clock.time += 1_000;
    const report = await sweepOrphans(orphanDeps(), everything);
    expect(report).toMatchObject({
      shards: 24,
      orphans: 6,
      bytes: 6 * 1_250,
      deleted: 6,
      young: 0,
      failed: [],
    });
    expect(await cluster.stored()).toEqual(cluster.claimed());
  });

  test('a copy at a provider that the record no longer names is an orphan', async () => {
    const record = await cluster.writeChunk(pattern(5_000));
    const spare = await cluster.addProvider();
    const moved = record.shards.with(2, { ...record.shards[2]!, provider: spare });
    cluster.catalog.records.set(record.id, { ...record, generation: 2, shards: moved });
    cluster.clock.time += 1_000;
    expect(await sweepOrphans(orphanDeps(), everything)).toMatchObject({ shards: 6, orphans: 1, deleted: 1 });
    expect(await cluster.stored()).not.toContain(`${cluster.ids[2]}/${record.id}.2`);
  });

  test('only counted unless deletion is asked for', async () => {
    await orphaned();
    cluster.clock.time += 1_000;
    const report = await sweepOrphans(orphanDeps(), { graceMs: 0, delete: false });
    expect(report).toMatchObject({ orphans: 6, deleted: 0 });
    expect(await cluster.stored()).toHaveLength(6);
  });

  test('young ones are spared until they are older than the grace', async () => {
    const record = await orphaned();
    const options = { graceMs: DAY_MS, delete: true };
    expect(await sweepOrphans(orphanDeps(), options)).toMatchObject({ orphans: 6, young: 6, deleted: 0 });
    const old = new Date(cluster.clock.time - DAY_MS - 1_000);
    await utimes(cluster.file(record, 4), old, old);
    expect(await sweepOrphans(orphanDeps(), options)).toMatchObject({ orphans: 6, young: 5, deleted: 1 });
    expect(await cluster.stored()).toHaveLength(5);
  });

  test('shards of a write under way are spared, however old they look', async () => {
    const record = await orphaned();
    cluster.clock.time += 10 * DAY_MS;
    const report = await sweepOrphans(orphanDeps([record.id]), everything);
    expect(report).toMatchObject({ shards: 6, orphans: 0, deleted: 0 });
    expect(await cluster.stored()).toHaveLength(6);
  });

  test('a shard that a repair is about to record is spared', async () => {
    const record = await orphaned();
    cluster.clock.time += DAY_MS;
    const deps = orphanDeps();
    const report = await deps.locks.run(record.id, () => sweepOrphans(deps, everything));
    expect(report).toMatchObject({ orphans: 0, deleted: 0 });
  });

  test('a record that appears between the judgement and the deletion saves its shards', async () => {
    const record = await orphaned();
    cluster.clock.time += DAY_MS;
    let asked = 0;
    const isPending = () => {
      if (++asked === 2) cluster.catalog.records.set(record.id, record);
      return false;
    };
    expect(await sweepOrphans({ ...orphanDeps(), isPending }, everything)).toMatchObject({ deleted: 0 });
    expect(await cluster.stored()).toEqual(cluster.claimed());
  });

  test('aborted, it goes on where it stopped', async () => {
    await writeChunks(2, 5_000);
    await orphaned();
    cluster.clock.time += 1_000;
    const stop = new AbortController();
    const halfway = ({ done }: Progress) => {
      if (done === 9) stop.abort();
    };
    const stopped = sweepOrphans(orphanDeps(), everything, halfway, stop.signal);
    await expect(stopped).rejects.toMatchObject({ kind: 'Aborted' });
    expect(await sweepOrphans(orphanDeps(), everything)).toMatchObject({ shards: 9, deleted: 3 });
    expect(await cluster.stored()).toEqual(cluster.claimed());
    expect(await sweepOrphans(orphanDeps(), everything)).toMatchObject({ shards: 12, orphans: 0 });
  });

  test('a provider that cannot be asked, or whose list goes in circles, is named, and the others are walked', async () => {
    await orphaned();
    cluster.clock.time += 1_000;
    const plan = {
      seed: 1,
      rules: [{ operations: ['list'], fault: { kind: 'fail', error: 'Unavailable' } }],
    } as const;
    cluster.wrap(cluster.ids[0]!, (inner) => faulty(inner, plan, cluster.clock));
    const { transport } = cluster.member(cluster.ids[1]!);
    const list = transport.list.bind(transport);
    transport.list = (_, limit, signal) => list(undefined, limit, signal);
    const counting = { graceMs: 0, delete: false };
    const report = await sweepOrphans(orphanDeps(), counting);
    expect(report.failed.map(({ provider }) => provider)).toEqual(cluster.ids.slice(0, 2));
    expect(report.orphans).toBe(5);
    transport.list = async () => [{ chunk: '../../etc', index: 0, length: 1, storedAt: 0 }];
    const again = await sweepOrphans(orphanDeps(), everything);
    expect(again.failed.map(({ provider }) => provider)).toEqual(cluster.ids.slice(0, 2));
    expect(again).toMatchObject({ orphans: 4, deleted: 4 });
  });
});
