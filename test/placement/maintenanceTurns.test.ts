import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import type { EvacuationReport } from '../../placement/repair/evacuate.ts';
import { Maintenance } from '../../placement/repair/maintenance.ts';
import { Turns } from '../../placement/repair/turns.ts';
import { TransportError, type ChunkId, type ProviderId, type StoredShard } from '../../placement/types.ts';
import { pattern, TestCluster } from '../support/placement.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

let cluster: TestCluster;
let evacuated: EvacuationReport[];
let isPending: (chunk: ChunkId) => boolean;
beforeEach(async () => {
  cluster = await TestCluster.create(12);
  evacuated = [];
  isPending = () => false;
});
afterEach(() => cluster.close());

function maintenance(): Maintenance {
  const { catalog, clock } = cluster;
  const onEvacuated = (report: EvacuationReport): void => void evacuated.push(report);
  const deps = { catalog, clock, providers: cluster, choose: chooseProviders, onEvacuated };
  return new Maintenance(
    { ...deps, isPending: (chunk) => isPending(chunk) },
    { scrubIntervalMs: 3_650 * DAY_MS },
  );
}

function named(chunk: bigint): StoredShard {
  return { chunk: chunk.toString(16).padStart(32, '0'), index: 0, length: 1, storedAt: 0 };
}

function makeEndless(id: ProviderId, canDelete: boolean): () => number {
  let pages = 0;
  const { transport } = cluster.member(id);
  transport.list = async (after, limit) => {
    pages++;
    const from = BigInt(`0x${after?.split('.')[0] ?? '0'}`);
    return Array.from({ length: limit }, (_, at) => named(from + BigInt(at + 1)));
  };
  transport.delete = async () => {
    if (!canDelete) throw new TransportError('Unavailable', 'the provider refuses');
  };
  return () => pages;
}

describe('evacuation of a provider that lists', () => {
  test.each([true, false])(
    'without end, deleting: %s: emptied after one bounded sweep',
    async (canDelete) => {
      const record = await cluster.writeChunk(pattern(70_000));
      const leaving = cluster.ids[1]!;
      cluster.setState(leaving, 'exiting');
      const pages = makeEndless(leaving, canDelete);
      const keeper = maintenance();
      const report = await keeper.evacuate(leaving);
      expect(report).toMatchObject({ emptied: true, moved: 1, left: 0 });
      expect(report.unlisted).toMatch(canDelete ? /goes on after 10001 shards/ : /refuses/);
      expect(pages()).toBe(40);
      expect(keeper.isEmptied(leaving)).toBe(true);
      expect(await cluster.wrongShards(record.id, pattern(70_000))).toEqual([]);
    },
  );

  test('chunks that are yet to come, for ever: it is waited for no longer than a day', async () => {
    const leaving = cluster.ids[1]!;
    cluster.setState(leaving, 'exiting');
    let sweeps = 0;
    cluster.member(leaving).transport.list = async (after) => {
      if (after !== undefined) return [];
      sweeps++;
      cluster.clock.time += HOUR_MS;
      return [named(7n)];
    };
    isPending = () => true;
    const report = await maintenance().evacuate(leaving);
    expect(report).toMatchObject({ emptied: true, left: 0 });
    expect(report.unlisted).toMatch(/writes under way/);
    expect(sweeps).toBe(25);
  });
});

test('four leavers that hang do not keep a fifth from its turn', async () => {
  const leaving = cluster.ids.slice(0, 5);
  for (const id of leaving) cluster.setState(id, 'exiting');
  let hanging = 0;
  for (const id of leaving.slice(0, 4)) {
    cluster.member(id).transport.list = (_after, _limit, signal) => {
      hanging++;
      return new Promise((_resolve, reject) => {
        signal!.addEventListener('abort', () => reject(new TransportError('Aborted', 'stopped')));
      });
    };
  }
  const keeper = maintenance();
  keeper.start();
  while (!evacuated.some(({ provider }) => provider === leaving[4])) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await keeper.stop();
  expect(hanging).toBeGreaterThanOrEqual(4);
  expect(evacuated.every(({ provider }) => provider === leaving[4])).toBe(true);
});

describe('turns', () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  let turns: Turns;
  let told: string[];
  beforeEach(() => {
    turns = new Turns();
    told = [];
  });

  function begin(provider: string, now: number): void {
    void turns.begin(provider, now, (signal) => {
      signal.addEventListener('abort', () => told.push(provider));
      return Promise.resolve();
    });
  }

  test('four at a time; nobody gives way before the time, or when nobody waits', () => {
    const four = ids.slice(0, 4);
    expect(turns.next(ids, ids, 0)).toEqual(four);
    for (const id of four) begin(id, 0);
    expect(turns.next(ids, ids, HOUR_MS / 2 - 1)).toEqual([]);
    expect(turns.next(four, four, 100 * HOUR_MS)).toEqual([]);
    expect(told).toEqual([]);
  });

  test('as many give way as wait, though they do not end', () => {
    for (const id of ids.slice(0, 4)) begin(id, 0);
    expect(turns.next(ids, ids, HOUR_MS / 2)).toEqual(['e', 'f']);
    expect(told).toEqual(['a', 'b']);
    for (const id of ['e', 'f']) begin(id, HOUR_MS / 2);
    // 'a' and 'b' still hang: they are not begun a second time.
    expect(turns.next(ids, ids, HOUR_MS)).toEqual([]);
  });

  test('one that moves shards goes on for six hours', () => {
    for (const id of ids.slice(0, 4)) begin(id, 0);
    for (const id of ids.slice(0, 4)) turns.moved(id, 6 * HOUR_MS - 1);
    expect(turns.next(ids, ids, 6 * HOUR_MS - 1)).toEqual([]);
    expect(turns.next(ids, ids, 6 * HOUR_MS)).toEqual(['e', 'f']);
  });

  test('who had a turn waits behind those who had none', () => {
    for (const [at, id] of ids.slice(0, 4).entries()) {
      begin(id, 0);
      turns.ended(id, 10 - at);
    }
    expect(turns.next(ids, ids, 20)).toEqual(['e', 'f', 'd', 'c']);
    // Who need not leave any more, and later has to, is new.
    turns.next(ids.slice(1), ids.slice(1), 30);
    expect(turns.next(ids, ids, 40)).toEqual(['a', 'e', 'f', 'd']);
  });
});
