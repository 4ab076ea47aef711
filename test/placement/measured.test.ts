import { afterEach, beforeEach, expect, test } from 'vitest';
import { faulty, type FaultPlan } from '../../placement/transports/faults.ts';
import { measured } from '../../placement/transports/measured.ts';
import type { CallOutcome, ChunkRecord } from '../../placement/types.ts';
import { TestCluster, pattern } from '../support/placement.ts';

let cluster: TestCluster;
let record: ChunkRecord;
let told: CallOutcome[];
beforeEach(async () => {
  cluster = await TestCluster.create(6);
  record = await cluster.writeChunk(pattern(9_000));
  told = [];
});
afterEach(() => cluster.close());

function measure(plan: FaultPlan = { seed: 1, rules: [] }) {
  const { clock } = cluster;
  const inner = faulty(cluster.member(cluster.ids[0]!).transport, plan, clock);
  return measured(inner, clock, (outcome) => told.push(outcome));
}

const name = () => ({ chunk: record.id, index: 0 });

test('reads are told with their time and kind of failure; deletes and lists are not', async () => {
  const late = { operations: ['prove'], fault: { kind: 'latency', ms: 250 } } as const;
  const transport = measure({ seed: 1, rules: [late] });
  const slice = await transport.get(name(), 0, 1);
  expect(slice.bytes).toHaveLength(2_250);
  const { first, bytes, proof } = await transport.prove(name(), 0);
  expect({ first, bytes, proof }).toEqual({ first: slice.first, bytes: slice.bytes, proof: slice.proof });
  await transport.list(undefined, 10);
  await transport.delete(name());
  await expect(transport.get(name(), 0, 1)).rejects.toMatchObject({ kind: 'NotFound' });
  expect(told).toEqual([
    { kind: 'read', latencyMs: 0 },
    { kind: 'read', latencyMs: 250 },
    { kind: 'read', latencyMs: 0, failure: 'NotFound' },
  ]);
});

test('writes are told, and reach the transport as they are', async () => {
  const full = { operations: ['put'], nth: [1], fault: { kind: 'fail', error: 'NoSpace' } } as const;
  cluster.wrap(cluster.ids[0]!, () => measure({ seed: 1, rules: [full] }));
  await expect(cluster.writeChunk(pattern(9_000, 2))).rejects.toMatchObject({ kind: 'NoSpace' });
  const bytes = pattern(9_000, 3);
  const { id } = await cluster.writeChunk(bytes);
  expect(await cluster.wrongShards(id, bytes)).toEqual([]);
  expect(told).toEqual([
    { kind: 'write', latencyMs: 0, failure: 'NoSpace' },
    { kind: 'write', latencyMs: 0 },
  ]);
});
