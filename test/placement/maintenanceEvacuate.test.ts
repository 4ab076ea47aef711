import { rm } from 'node:fs/promises';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { seededRandom, systemClock } from '../../placement/time.ts';
import { createChunkStore, type OpenChunkStore } from '../../placement/chunks/chunkStore.ts';
import { faulty } from '../../placement/transports/faults.ts';
import type { EvacuationReport } from '../../placement/repair/evacuate.ts';
import { providersToEvacuate, Rests } from '../../placement/repair/leavers.ts';
import { Maintenance, type MaintenanceConfig } from '../../placement/repair/maintenance.ts';
import {
  PlacementError,
  type ChunkId,
  type ChunkRecord,
  type Progress,
  type ProviderId,
} from '../../placement/types.ts';
import { pattern, TestCluster } from '../support/placement.ts';

const LENGTH = 70_000;
const DAY_MS = 86_400_000;

let cluster: TestCluster;
let leaving: ProviderId;
let pending: Set<ChunkId>;
let evacuated: EvacuationReport[];
beforeEach(async () => {
  cluster = await TestCluster.create(8);
  leaving = cluster.ids[1]!;
  pending = new Set();
  evacuated = [];
});
afterEach(() => cluster.close());

function maintenance(config: Partial<MaintenanceConfig> = {}): Maintenance {
  const { catalog, clock } = cluster;
  return new Maintenance(
    {
      catalog,
      clock,
      providers: cluster,
      choose: chooseProviders,
      isPending: (id) => pending.has(id),
      onEvacuated: (report) => evacuated.push(report),
    },
    config,
  );
}

/** Chunks spread over all providers, and how many of them are at the leaving one. */
async function writeChunks(count: number): Promise<{ records: ChunkRecord[]; here: number }> {
  const records: ChunkRecord[] = [];
  for (let at = 0; at < count; at++) {
    const places = cluster.ids.map((_, index) => cluster.ids[(index + at) % cluster.ids.length]!);
    records.push(await cluster.writeChunk(pattern(LENGTH, at), places));
  }
  return { records, here: records.filter((record) => isAt(record, leaving)).length };
}

function isAt(record: ChunkRecord, provider: ProviderId): boolean {
  return record.shards.some((place) => place?.provider === provider);
}

async function expectAllWhole(records: readonly ChunkRecord[]): Promise<void> {
  for (const [at, { id }] of records.entries()) {
    expect(await cluster.wrongShards(id, pattern(LENGTH, at))).toEqual([]);
  }
}

async function expectEmptied(): Promise<void> {
  expect([...cluster.catalog.records.values()].filter((record) => isAt(record, leaving))).toEqual([]);
  expect(await maintenance().shardsAt(leaving)).toBe(0);
  expect(await cluster.member(leaving).storage.list(undefined, 1_000)).toEqual([]);
  expect(await cluster.stored()).toEqual(cluster.claimed());
}

describe('evacuate', () => {
  test('every shard is copied from where it lies, and nothing is left there', async () => {
    const { records, here } = await writeChunks(12);
    cluster.setState(leaving, 'exiting');
    const orphan = await cluster.writeChunk(pattern(9_000, 99), cluster.ids);
    cluster.catalog.records.delete(orphan.id);
    for (const index of [0, 2, 3, 4, 5]) await cluster.lose(orphan, index);
    const reads = countReads();
    const seen: Progress[] = [];
    const report = await maintenance().evacuate(leaving, (progress) => seen.push(progress));
    expect(report).toMatchObject({ emptied: true, moved: here, left: 0, orphans: 1, failed: [] });
    expect(report.bytes).toBe((here * LENGTH) / 4);
    expect(report.unlisted).toBeUndefined();
    expect(seen.at(-1)).toMatchObject({ job: 'evacuate', done: here, total: here, etaMs: 0 });
    expect([...reads.keys()]).toEqual([leaving]);
    await expectAllWhole(records);
    await expectEmptied();
    expect(await maintenance().evacuate(leaving)).toMatchObject({ emptied: true, moved: 0 });
  });

  /** Providers that whole ranges were read from. */
  function countReads(): Map<ProviderId, number> {
    const reads = new Map<ProviderId, number>();
    for (const id of cluster.ids) {
      const { transport } = cluster.member(id);
      const get = transport.get.bind(transport);
      transport.get = (...call) => {
        reads.set(id, (reads.get(id) ?? 0) + 1);
        return get(...call);
      };
    }
    return reads;
  }

  test('what is damaged, lost or out of reach there is computed from the others', async () => {
    const { records } = await writeChunks(9);
    cluster.setState(leaving, 'disqualified');
    const here = records.filter((record) => isAt(record, leaving));
    const indexOf = (record: ChunkRecord) => record.shards.findIndex((place) => place?.provider === leaving);
    await cluster.flip(here[0]!, indexOf(here[0]!), 5);
    await cluster.damage(here[1]!, indexOf(here[1]!), (file) => file.subarray(0, 100));
    await cluster.lose(here[2]!, indexOf(here[2]!));
    expect(await maintenance().evacuate(leaving)).toMatchObject({ emptied: true, moved: here.length });
    await expectAllWhole(records);
    await expectEmptied();
  });

  test('a provider that is gone altogether: its shards are computed, and it is said that it could not be listed', async () => {
    const { records, here } = await writeChunks(6);
    cluster.setState(leaving, 'suspended');
    const operations = ['get', 'prove', 'put', 'delete', 'list'] as const;
    const fault = { kind: 'fail', error: 'Unavailable' } as const;
    const plan = { seed: 1, rules: [{ operations, fault }] };
    cluster.wrap(leaving, (inner) => faulty(inner, plan, cluster.clock));
    await rm(cluster.member(leaving).directory, { recursive: true });
    const report = await maintenance().evacuate(leaving);
    expect(report).toMatchObject({ emptied: true, moved: here, unlisted: expect.any(String) });
    await expectAllWhole(records);
  });

  test('without room elsewhere shards stay where they are, readable, and later go', async () => {
    const { records, here } = await writeChunks(5);
    cluster.setState(leaving, 'exiting');
    for (const id of cluster.ids) cluster.member(id).weight = 0;
    const stuck = await maintenance().evacuate(leaving);
    expect(stuck).toMatchObject({ emptied: false, moved: 0, left: here });
    expect(stuck.failed).toHaveLength(here);
    await expectAllWhole(records);
    for (const id of cluster.ids) cluster.member(id).weight = 1;
    expect(await maintenance().evacuate(leaving)).toMatchObject({ emptied: true, moved: here });
    await expectAllWhole(records);
    await expectEmptied();
  });

  test('a write that chose the provider before it left is waited for, and moved too', async () => {
    await writeChunks(4);
    const late = await cluster.writeChunk(pattern(LENGTH, 50), cluster.ids);
    cluster.catalog.records.delete(late.id);
    pending.add(late.id);
    cluster.setState(leaving, 'exiting');
    const sleep = cluster.clock.sleep.bind(cluster.clock);
    let sleeps = 0;
    cluster.clock.sleep = async (ms, signal) => {
      // In the middle of the waiting its record appears; some time later it is settled.
      if (++sleeps === 6) cluster.catalog.records.set(late.id, late);
      if (sleeps === 12) pending.delete(late.id);
      await sleep(ms, signal);
    };
    expect(await maintenance().evacuate(leaving)).toMatchObject({ emptied: true });
    expect(sleeps).toBeGreaterThanOrEqual(12);
    expect(isAt(cluster.catalog.records.get(late.id)!, leaving)).toBe(false);
    expect(await cluster.wrongShards(late.id, pattern(LENGTH, 50))).toEqual([]);
    await expectEmptied();
  });

  test('aborted at any moment and begun again by another process, it loses nothing and ends', async () => {
    const { records, here } = await writeChunks(10);
    cluster.setState(leaving, 'exiting');
    const totals = new Set<number | undefined>();
    let last: Progress | undefined;
    const outcomes: unknown[] = [];
    for (;;) {
      const stop = new AbortController();
      let calls = 0;
      const stopAt = (): void => {
        if (++calls === 3) stop.abort();
      };
      cluster.catalog.beforeCompareAndSet = stopAt;
      cluster.catalog.beforeNote = stopAt;
      const follow = (progress: Progress) => {
        totals.add(progress.total);
        last = progress;
      };
      const ended = await maintenance()
        .evacuate(leaving, follow, stop.signal)
        .catch((error: unknown) => error);
      await expectReadable(records);
      outcomes.push(ended instanceof PlacementError ? ended.kind : (ended as EvacuationReport).emptied);
      if (outcomes.at(-1) !== 'Aborted') break;
    }
    expect(outcomes.pop()).toBe(true);
    expect(outcomes.length).toBeGreaterThan(2);
    expect([...totals]).toEqual([here]);
    expect(last).toMatchObject({ done: here, total: here });
    await expectAllWhole(records);
    await expectEmptied();
  });

  /** At least k shards of each chunk are where its record says. */
  async function expectReadable(records: readonly ChunkRecord[]): Promise<void> {
    for (const [at, { id }] of records.entries()) {
      expect((await cluster.wrongShards(id, pattern(LENGTH, at))).length).toBeLessThanOrEqual(2);
    }
  }

  test('evacuated twice at the same time', async () => {
    const { records, here } = await writeChunks(8);
    cluster.setState(leaving, 'exiting');
    const keeper = maintenance();
    const reports = await Promise.all([keeper.evacuate(leaving), keeper.evacuate(leaving)]);
    expect(reports.every(({ emptied }) => emptied)).toBe(true);
    expect(reports[0].moved + reports[1].moved).toBeGreaterThanOrEqual(here);
    await expectAllWhole(records);
    await expectEmptied();
  });

  test('among writes, deletes, reads and repairs nothing is lost, and nothing is left', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const random = seededRandom(seed);
        const store = createChunkStore({ providers: cluster, clock: systemClock, random });
        const alive = new Map<ChunkId, Uint8Array>();
        const { records } = await writeChunks(8);
        for (const [at, { id }] of records.entries()) alive.set(id, pattern(LENGTH, at));
        leaving = cluster.ids[Math.floor(random.fraction() * 8)]!;
        let over = false;
        const clients = [0, 1].map(async (client) => {
          for (let step = 0; step < 12; step++)
            await act(store, alive, random.fraction(), client * 100 + step);
          over = true;
        });
        cluster.setState(leaving, 'exiting');
        const keeper = maintenance();
        const working = Promise.all([keeper.evacuate(leaving), keeper.repairAll({ deep: false })]);
        await Promise.all(clients);
        await working;
        expect(over).toBe(true);
        expect(await maintenance().evacuate(leaving)).toMatchObject({ emptied: true, left: 0 });
        expect(new Set(cluster.catalog.records.keys())).toEqual(new Set(alive.keys()));
        for (const [id, bytes] of alive) {
          expect(Buffer.compare(await readAll(store, cluster.catalog.records.get(id)!), bytes)).toBe(0);
          expect(await cluster.wrongShards(id, bytes)).toEqual([]);
        }
        expect(await cluster.member(leaving).storage.list(undefined, 1_000)).toEqual([]);
        await store.close();
        for (const record of cluster.catalog.records.values()) await store.delete(record);
        cluster.catalog.records.clear();
        cluster.setState(leaving, 'active');
      }),
      { numRuns: 4 },
    );
  });

  async function act(
    store: OpenChunkStore,
    alive: Map<ChunkId, Uint8Array>,
    chance: number,
    step: number,
  ): Promise<void> {
    const ids = [...alive.keys()];
    const id = ids[Math.floor(chance * 1e6) % ids.length]!;
    if (chance < 0.35) {
      const bytes = pattern(30_000 + step, step);
      const fresh = `ee${step.toString(16).padStart(30, '0')}`;
      pending.add(fresh);
      const writer = await store.create(fresh, { data: 4, parity: 2 });
      await writer.write(bytes);
      const { record } = await writer.finish();
      cluster.catalog.records.set(fresh, record);
      alive.set(fresh, bytes);
      pending.delete(fresh);
    } else if (chance < 0.6) {
      alive.delete(id);
      const record = cluster.catalog.records.get(id);
      cluster.catalog.records.delete(id);
      if (record) await store.delete(record);
    } else {
      const record = cluster.catalog.records.get(id)!;
      const bytes = alive.get(id)!;
      const read = await readAll(store, record).catch((error: unknown) => error);
      // Only a chunk that was deleted meanwhile may refuse.
      if (read instanceof Buffer ? Buffer.compare(read, bytes) !== 0 : alive.has(id)) throw read;
    }
  }

  async function readAll(store: OpenChunkStore, record: ChunkRecord): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    for await (const piece of store.read(record, 0, record.length)) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  }
});

describe('in the background', () => {
  test('exiting providers are emptied, suspended ones after two days, others never', async () => {
    const { records } = await writeChunks(8);
    const [, , suspended] = cluster.ids;
    cluster.setState(leaving, 'exiting');
    cluster.setState(suspended!, 'suspended');
    const deps = { catalog: cluster.catalog, providers: cluster, clock: cluster.clock };
    expect(await providersToEvacuate(deps)).toEqual([leaving]);
    cluster.clock.time += 2 * DAY_MS - 1;
    expect(await providersToEvacuate(deps)).toEqual([leaving]);
    cluster.clock.time += 1;
    expect(await providersToEvacuate(deps)).toEqual([leaving, suspended]);
    const keeper = maintenance({ scrubIntervalMs: 3_650 * DAY_MS });
    keeper.start();
    const done = (): Set<string> => new Set(evacuated.map(({ provider }) => provider));
    // In a clock that waits for nobody the first may be looked at again before the second is done.
    while (done().size < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    await keeper.stop();
    expect(done()).toEqual(new Set([leaving, suspended]));
    expect(evacuated.every(({ emptied }) => emptied)).toBe(true);
    await expectAllWhole(records);
    await expectEmptied();
    cluster.setState(suspended!, 'active');
    expect(await providersToEvacuate(deps)).toEqual([leaving]);
    // Suspended anew, its days begin anew.
    cluster.setState(suspended!, 'suspended');
    expect(await providersToEvacuate(deps)).toEqual([leaving]);
  });

  test('one that was just emptied rests, unless it came back in between', () => {
    const rests = new Rests();
    rests.rest('a', 1_000);
    expect(rests.awake(['a', 'b'], 999)).toEqual(['b']);
    expect(rests.awake(['a', 'b'], 1_000)).toEqual(['a', 'b']);
    rests.rest('a', 5_000);
    expect(rests.awake(['b'], 2_000)).toEqual(['b']);
    expect(rests.awake(['a'], 2_001)).toEqual(['a']);
  });
});
