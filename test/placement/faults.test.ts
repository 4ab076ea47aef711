import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createHasher } from '#erasure';
import {
  faulty,
  type Fault,
  type FaultPlan,
  type FaultyTransport,
} from '../../placement/transports/faults.ts';
import type { ChunkRecord } from '../../placement/types.ts';
import { TestCluster, pattern } from '../support/placement.ts';

let cluster: TestCluster;
let record: ChunkRecord;
beforeEach(async () => {
  cluster = await TestCluster.create(6);
  record = await cluster.writeChunk(pattern(200_000));
});
afterEach(() => cluster.close());

function wrap(plan: FaultPlan): FaultyTransport {
  return faulty(cluster.member(cluster.ids[0]!).transport, plan, cluster.clock);
}

function always(fault: Fault, nth?: number[]): FaultPlan {
  return { seed: 3, rules: [{ operations: ['get', 'prove'], fault, ...(nth && { nth }) }] };
}

const name = () => ({ chunk: record.id, index: 0 });

async function verifies(transport: FaultyTransport, leaf: number): Promise<boolean> {
  const { bytes, proof, first } = await transport.get(name(), leaf, 1);
  return first === leaf && createHasher().verify(record.shards[0]!.root, 50_000, leaf, bytes, proof);
}

test('without a rule everything passes', async () => {
  const transport = wrap({ seed: 1, rules: [] });
  expect(await verifies(transport, 0)).toBe(true);
  expect(await transport.list(undefined, 10)).toHaveLength(1);
  expect(transport.injected).toEqual([]);
});

test('the nth call fails, and only that one', async () => {
  const transport = wrap(always({ kind: 'fail', error: 'NotFound' }, [2]));
  expect(await verifies(transport, 0)).toBe(true);
  await expect(verifies(transport, 0)).rejects.toMatchObject({ kind: 'NotFound' });
  expect(await verifies(transport, 0)).toBe(true);
  const [fault] = transport.injected;
  expect(fault).toEqual({ operation: 'get', call: 2, shard: `${record.id}.0`, kind: 'fail' });
});

test.each(['flip', 'truncate', 'empty'] as const)('%s makes leaves that do not verify', async (kind) => {
  expect(await verifies(wrap(always({ kind })), 1)).toBe(false);
});

test('stale answers with leaves served before', async () => {
  const transport = wrap(always({ kind: 'stale' }, [2]));
  const before = await transport.get(name(), 2, 1);
  const stale = await transport.get(name(), 0, 1);
  expect(stale).toEqual({ ...before, first: 0 });
  expect(await verifies(transport, 0)).toBe(true);
});

test('latency passes on the injected clock', async () => {
  const transport = wrap(always({ kind: 'latency', ms: 5_000 }));
  expect(await verifies(transport, 0)).toBe(true);
  expect(cluster.clock.slept).toBe(5_000);
});

test('a black hole ends with the caller‘s signal, or when the transport is closed', async () => {
  const transport = wrap(always({ kind: 'blackhole' }));
  const stop = new AbortController();
  const call = transport.get(name(), 0, 1, stop.signal);
  stop.abort();
  await expect(call).rejects.toMatchObject({ kind: 'Aborted' });
  await expect(transport.get(name(), 0, 1, stop.signal)).rejects.toMatchObject({ kind: 'Aborted' });
  const other = transport.prove(name(), 0).catch((error: unknown) => error);
  await transport.close();
  expect(await other).toMatchObject({ kind: 'Unavailable' });
});

test('a lost answer: done, and reported as not done', async () => {
  const transport = wrap({ seed: 1, rules: [{ operations: ['delete'], fault: { kind: 'lostAnswer' } }] });
  await expect(transport.delete(name())).rejects.toMatchObject({ kind: 'Timeout' });
  await expect(transport.get(name(), 0, 1)).rejects.toMatchObject({ kind: 'NotFound' });
});

describe('drawn faults', () => {
  const plan = (seed: number): FaultPlan => ({
    seed,
    rules: [{ operations: ['get'], fraction: 0.3, fault: { kind: 'fail', error: 'Timeout' } }],
  });

  async function failures(transport: FaultyTransport, leaves: readonly number[]): Promise<boolean[]> {
    const calls = leaves.map((leaf) => transport.get(name(), leaf, 1));
    return (await Promise.allSettled(calls)).map(({ status }) => status === 'rejected');
  }

  test('the same seed gives the same faults, another one gives others', async () => {
    const leaves = Array.from({ length: 200 }, (_, call) => call % 4);
    const first = await failures(wrap(plan(42)), leaves);
    expect(await failures(wrap(plan(42)), leaves)).toEqual(first);
    expect(await failures(wrap(plan(43)), leaves)).not.toEqual(first);
    const share = first.filter(Boolean).length / leaves.length;
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.4);
  });

  test('calls of other shards in between change nothing', async () => {
    const leaves = Array.from({ length: 50 }, () => 0);
    const alone = await failures(wrap(plan(42)), leaves);
    const mixed = wrap(plan(42));
    const found: boolean[] = [];
    for (const leaf of leaves) {
      await mixed.get({ chunk: record.id, index: 5 }, 0, 1).catch(() => undefined);
      found.push(...(await failures(mixed, [leaf])));
    }
    expect(found).toEqual(alone);
  });
});
