import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChunkLocks } from '../../placement/repair/chunkLocks.ts';
import { sweepOrphans, sweepProvider, type OrphanDeps } from '../../placement/repair/orphans.ts';
import { sweepBounds } from '../../placement/repair/sweepBounds.ts';
import { TransportError, type StoredShard } from '../../placement/types.ts';
import { pattern, TestCluster } from '../support/placement.ts';

const everything = { graceMs: 0, delete: true };

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.create(6);
});
afterEach(() => cluster.close());

function deps(): OrphanDeps {
  const { catalog, clock } = cluster;
  return { catalog, clock, providers: cluster, locks: new ChunkLocks(), isPending: () => false };
}

/** Lists shard after shard for ever, in order, and refuses to delete any. */
function makeEndless(id: string, passMs = 0): { readonly listed: () => number; readonly afters: string[] } {
  let listed = 0;
  const afters: string[] = [];
  const { transport } = cluster.member(id);
  transport.list = async (after, limit) => {
    cluster.clock.time += passMs;
    afters.push(after ?? '');
    const from = BigInt(`0x${after?.split('.')[0] ?? '0'}`);
    listed += limit;
    return Array.from({ length: limit }, (_, at) => named(from + BigInt(at + 1)));
  };
  transport.delete = async () => {
    throw new TransportError('Unavailable', 'the provider refuses');
  };
  return { listed: () => listed, afters };
}

function named(chunk: bigint): StoredShard {
  return { chunk: chunk.toString(16).padStart(32, '0'), index: 0, length: 1, storedAt: 0 };
}

async function orphaned(): Promise<void> {
  const record = await cluster.writeChunk(pattern(5_000));
  cluster.catalog.records.delete(record.id);
  cluster.clock.time += 1_000;
}

describe('a provider that lists without end', () => {
  test('costs a bounded number of names, keeps no failures, and the others are swept', async () => {
    await orphaned();
    const hostile = makeEndless(cluster.ids[0]!);
    const report = await sweepOrphans(deps(), everything);
    expect(hostile.listed()).toBeLessThan(11_000);
    expect(report).toMatchObject({ deleted: 5, cut: 1, failures: 10_001 });
    expect(report.failed).toHaveLength(10);
    expect(new Set(report.failed.map(({ provider }) => provider))).toEqual(new Set([cluster.ids[0]]));
  });

  test('the next sweep goes on there behind what it has seen', async () => {
    const hostile = makeEndless(cluster.ids[0]!);
    await sweepOrphans(deps(), everything);
    const before = hostile.afters.length;
    await sweepOrphans(deps(), everything);
    expect(hostile.afters[before]).toBe(`${10_000n.toString(16).padStart(32, '0')}.0`);
  });

  test('slowly, it costs a bounded time', async () => {
    await orphaned();
    const hostile = makeEndless(cluster.ids[0]!, 20_000);
    const report = await sweepOrphans(deps(), everything);
    expect(hostile.afters).toHaveLength(15);
    expect(report).toMatchObject({ deleted: 5, cut: 1 });
  });

  test('a sweep that is broken off there begins with the others', async () => {
    await orphaned();
    const hostile = makeEndless(cluster.ids[0]!);
    const stop = new AbortController();
    const first = sweepOrphans(deps(), everything, () => stop.abort(), stop.signal);
    await expect(first).rejects.toMatchObject({ kind: 'Aborted' });
    const others: number[] = [];
    const rest = new AbortController();
    const second = sweepOrphans(
      deps(),
      everything,
      ({ done }) => {
        others.push(done);
        if (others.length === 6) rest.abort();
      },
      rest.signal,
    );
    await expect(second).rejects.toMatchObject({ kind: 'Aborted' });
    expect(others).toEqual([1, 2, 3, 4, 5, 261]);
    expect(hostile.afters.slice(0, 2)).toEqual(['', `${256n.toString(16).padStart(32, '0')}.0`]);
    expect(await cluster.member(cluster.ids[5]!).storage.list(undefined, 10)).toEqual([]);
  });
});

test('a clock that is put forward cuts nobody short', async () => {
  await orphaned();
  for (const id of cluster.ids) {
    const { transport } = cluster.member(id);
    const list = transport.list.bind(transport);
    transport.list = async (...call) => {
      cluster.clock.time += 86_400_000;
      return await list(...call);
    };
  }
  expect(await sweepOrphans(deps(), everything)).toMatchObject({ deleted: 6, cut: 0, failures: 0 });
});

test('bounds are what records and the last heartbeat speak of, and some more; only records give time', () => {
  expect(sweepBounds(0, undefined)).toEqual({ names: 10_000, timeMs: 300_000 });
  expect(sweepBounds(1_000, 2_000)).toEqual({ names: 13_000, timeMs: 305_000 });
  expect(sweepBounds(0, Number.NaN)).toEqual(sweepBounds(0, -5));
});

test('what the bounds leave of an honest list is swept by the next ones', async () => {
  for (let at = 0; at < 3; at++) await orphaned();
  const handle = cluster.get(cluster.ids[2]!)!;
  const bounds = { names: 2, timeMs: 1_000 };
  expect(await sweepProvider(deps(), handle, everything, bounds)).toMatchObject({ deleted: 2, cut: 1 });
  expect(await sweepProvider(deps(), handle, everything, bounds)).toMatchObject({ deleted: 1, cut: 0 });
});
