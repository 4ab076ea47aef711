import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { DomainMap } from '../../placement/durability/domains.ts';
import { Maintenance } from '../../placement/repair/maintenance.ts';
import { Fills } from '../../placement/repair/rebalancePlan.ts';
import type { ChunkId, ChunkRecord, Progress, ProviderInfo } from '../../placement/types.ts';
import { pattern, TestCluster } from '../support/placement.ts';

describe('Fills.plan', () => {
  const drawn = fc.record({
    used: fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 8, maxLength: 12 }),
    sites: fc.integer({ min: 3, max: 8 }),
    closed: fc.nat(11),
  });

  test('moves only to a provider that is emptier by more than the gap, and never into a fuller domain', () => {
    fc.assert(
      fc.property(drawn, ({ used, sites, closed }) => {
        const infos = used.map((percent, at): ProviderInfo => {
          const domain = { region: 'r', site: `s${at % sites}`, operator: `o${at}` };
          return {
            id: `p${at}`,
            endpoint: '',
            domain,
            state: 'active',
            capacity: 1_000,
            free: 1_000 - percent * 10,
          };
        });
        const handles = infos.map((info) => ({ info, transport: undefined as never }));
        const candidates = infos.filter((_, at) => at !== closed).map((info) => ({ info, weight: 1 }));
        const domains = new DomainMap(infos);
        const shards = infos.slice(0, 6).map(({ id }) => ({ provider: id, root: new Uint8Array(32) }));
        const profile = { data: 4, parity: 2 };
        let record: ChunkRecord = { id: 'ab'.repeat(16), profile, length: 1, cell: 1, generation: 1, shards };
        const fills = new Fills(handles, candidates);
        const now = new Map(infos.map(({ id }, at) => [id, used[at]! * 10]));
        const clumps = (of: ChunkRecord) =>
          domains.clumped(
            of.shards.map((place, index) => ({
              index,
              domain: infos[Number(place!.provider.slice(1))]!.domain,
            })),
            6,
            2,
          ).length;
        for (let moves = 0; ; moves++) {
          expect(moves).toBeLessThan(100);
          const move = fills.plan(record, 10, domains);
          if (!move) break;
          expect(record.shards[move.index]!.provider).toBe(move.from);
          expect(record.shards.some((place) => place!.provider === move.to)).toBe(false);
          expect(move.to).not.toBe(`p${closed}`);
          expect(now.get(move.from)! - (now.get(move.to)! + 10)).toBeGreaterThan(200);
          const next = record.shards.with(move.index, { ...record.shards[move.index]!, provider: move.to });
          expect(clumps({ ...record, shards: next })).toBeLessThanOrEqual(clumps(record));
          record = { ...record, shards: next };
          now.set(move.from, now.get(move.from)! - 10);
          now.set(move.to, now.get(move.to)! + 10);
          fills.moved(move, 10);
        }
      }),
    );
  });
});

describe('rebalance', () => {
  let cluster: TestCluster;
  let uploading: Set<ChunkId>;
  beforeEach(async () => {
    cluster = await TestCluster.create(7);
    uploading = new Set();
  });
  afterEach(() => cluster.close());

  function maintenance(): Maintenance {
    const { catalog, clock } = cluster;
    const deps = { catalog, clock, providers: cluster, choose: chooseProviders };
    return new Maintenance({ ...deps, isPending: () => false, isUploading: (id) => uploading.has(id) });
  }

  function fill(at: number, capacity: number, free: number): void {
    const member = cluster.member(cluster.ids[at]!);
    member.info = { ...member.info, capacity, free };
  }

  test('shards go from the fullest provider to the emptiest until they are 20 points apart', async () => {
    const records: ChunkRecord[] = [];
    for (let at = 0; at < 20; at++) records.push(await cluster.writeChunk(pattern(4_000, at)));
    // 1,000 bytes a shard; the seventh provider is new.
    for (let at = 0; at < 6; at++) fill(at, 100_000, 50_000);
    fill(0, 100_000, 10_000);
    fill(6, 20_000, 20_000);
    uploading.add(records[0]!.id);
    const seen: Progress[] = [];
    const report = await maintenance().rebalance((progress) => seen.push(progress));
    expect(report).toMatchObject({ chunks: 20, failed: 0, spread: 0, gapBefore: 0.9 });
    expect(report.moved).toBeGreaterThan(5);
    expect(report.bytes).toBe(report.moved * 1_000);
    expect(seen.at(-1)).toMatchObject({ job: 'rebalance', done: 20, total: 20, bytes: report.bytes });
    const held = (id: string) =>
      [...cluster.catalog.records.values()].filter((record) =>
        record.shards.some((place) => place!.provider === id),
      ).length;
    expect(held(cluster.ids[6]!)).toBe(report.moved);
    // Nobody is made fuller than those who gave.
    expect(report.moved / 20).toBeLessThanOrEqual(0.9);
    for (const [at, { id }] of records.entries()) {
      expect(await cluster.wrongShards(id, pattern(4_000, at))).toEqual([]);
    }
    expect(cluster.catalog.records.get(records[0]!.id)).toBe(records[0]);
    expect(await cluster.stored()).toEqual(cluster.claimed());
  });

  test('what lies well stays where it is', async () => {
    for (let at = 0; at < 5; at++) await cluster.writeChunk(pattern(4_000, at));
    for (let at = 0; at < 7; at++) fill(at, 100_000, 50_000 + at * 3_000);
    const before = new Map(cluster.catalog.records);
    expect(await maintenance().rebalance()).toMatchObject({ chunks: 5, moved: 0, spread: 0 });
    expect(cluster.catalog.records).toEqual(before);
  });

  test('shards that crowd one domain are spread, and aborted it goes on where it stopped', async () => {
    for (let spare = 0; spare < 2; spare++) await cluster.addProvider();
    for (const id of cluster.ids.slice(0, 4)) {
      const member = cluster.member(id);
      member.info = { ...member.info, domain: { ...member.info.domain, operator: 'one' } };
    }
    const records: ChunkRecord[] = [];
    for (let at = 0; at < 6; at++) records.push(await cluster.writeChunk(pattern(4_000, at)));
    const stop = new AbortController();
    let moves = 0;
    cluster.catalog.afterCompareAndSet = () => {
      if (++moves === 2) stop.abort();
    };
    await expect(maintenance().rebalance(undefined, stop.signal)).rejects.toMatchObject({ kind: 'Aborted' });
    await maintenance().rebalance();
    for (const [at, { id }] of records.entries()) {
      const now = cluster.catalog.records.get(id)!;
      const operators = now.shards.map((place) => cluster.member(place!.provider).info.domain.operator);
      expect(operators.filter((operator) => operator === 'one')).toHaveLength(2);
      expect(await cluster.wrongShards(id, pattern(4_000, at))).toEqual([]);
    }
  });
});
