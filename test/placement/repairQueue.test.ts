import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { DomainMap } from '../../placement/durability/domains.ts';
import { PRIOR_MODEL } from '../../placement/durability/failureModel.ts';
import { daysToLoss, lossWhenProvidersFail } from '../../placement/durability/formulas.ts';
import { Maintenance } from '../../placement/repair/maintenance.ts';
import { formatReason, keepLate, markLate, parseReason } from '../../placement/repair/reasons.ts';
import { mostUrgent } from '../../placement/repair/urgentEntries.ts';
import { Urgencies } from '../../placement/repair/urgency.ts';
import type { ChunkRecord, ProviderInfo, ProviderState } from '../../placement/types.ts';
import { pattern, TestCluster } from '../support/placement.ts';

const LARGE = { data: 10, parity: 6 };

test('reasons say what was counted, and what is not understood counts as damage', () => {
  expect(parseReason(formatReason('lost', -1, 'x'))).toMatchObject({
    kind: 'lost',
    spare: -1,
    recorded: undefined,
  });
  expect(parseReason(formatReason('damage', 12, 'lost: 3 spare'))).toMatchObject({
    kind: 'damage',
    spare: 12,
  });
  expect(parseReason('written with missing shards')).toEqual({
    kind: 'lost',
    late: true,
    spare: undefined,
    recorded: undefined,
  });
  expect(parseReason('shard 3: NotFound')).toMatchObject({ kind: 'lost', spare: undefined });
  for (const text of ['shard 3: WrongBytes', 'shard 3: Corrupt', '', 'lost: many spare']) {
    expect(parseReason(text)).toMatchObject({ kind: 'damage', spare: undefined });
  }
});

test('an entry stays late whatever is found besides', () => {
  const written = 'written with missing shards';
  for (const found of ['shard 3: NotFound', 'shard 3: WrongBytes', formatReason('lost', 5, 'x')]) {
    const joined = keepLate(written, found);
    expect(parseReason(joined)).toEqual({ ...parseReason(found), late: true });
    expect(keepLate(joined, found)).toBe(joined);
    expect(keepLate(found, found)).toBe(found);
  }
  expect(markLate(written)).toBe(written);
});

describe('mostUrgent', () => {
  const states: readonly ProviderState[] = ['active', 'exiting', 'suspended', 'disqualified'];
  const providers = Array.from({ length: 20 }, (_, at): ProviderInfo => {
    const id = `p${at}`;
    const state = at < 14 ? 'active' : states[at % states.length]!;
    return { id, endpoint: id, domain: { region: 'r', site: id, operator: id }, state, capacity: 1, free: 1 };
  });
  const handles = new Map(providers.map((info) => [info.id, { info, transport: undefined as never }]));

  const drawn = fc.array(
    fc.record({
      large: fc.boolean(),
      places: fc.array(fc.option(fc.integer({ min: 0, max: 22 }), { nil: undefined }), {
        minLength: 16,
        maxLength: 16,
      }),
      reason: fc.oneof(
        fc.constant('shard 1: WrongBytes'),
        fc.constant('written with missing shards'),
        fc.integer({ min: -2, max: 6 }).map((spare) => formatReason('lost', spare, 'test')),
      ),
      pending: fc.boolean(),
      due: fc.boolean(),
      gone: fc.boolean(),
    }),
    { maxLength: 40 },
  );

  test('agrees with a sort of everything by days to loss, whatever the limit', async () => {
    await fc.assert(
      fc.asyncProperty(drawn, fc.integer({ min: 1, max: 12 }), async (chunks, limit) => {
        const id = (at: number) => at.toString(16).padStart(32, '0');
        const at = (chunk: string) => chunks[Number.parseInt(chunk, 16)]!;
        const recordOf = (chunk: string): ChunkRecord | undefined => {
          const { large, places, gone } = at(chunk);
          const profile = large ? LARGE : { data: 4, parity: 2 };
          const used = new Set<number>();
          const shards = places.slice(0, profile.data + profile.parity).map((place) => {
            if (place === undefined || used.has(place)) return undefined;
            used.add(place);
            return { provider: `p${place}`, root: new Uint8Array(32) };
          });
          return gone ? undefined : { id: chunk, profile, length: 1, cell: 1, generation: 1, shards };
        };
        const dropped: string[] = [];
        const catalog = {
          get: async (chunk: string) => recordOf(chunk),
          repairEntries: async (after: string | undefined, most: number) =>
            chunks
              .map(({ reason }, index) => ({ id: id(index), reason }))
              .filter((entry) => after === undefined || entry.id > after)
              .slice(0, most),
          dequeueRepair: async (chunk: string) => void dropped.push(chunk),
        };
        const repairAt = ({ data }: { data: number }) => (data === 10 ? 13 : 5);
        const found = await mostUrgent(
          {
            catalog,
            providers: { get: (provider) => handles.get(provider) },
            isPending: (chunk) => at(chunk).pending,
          },
          {
            limit,
            isDue: (chunk) => at(chunk).due,
            domains: new DomainMap(providers),
            urgencies: new Urgencies(PRIOR_MODEL, providers.length),
            repairAt,
          },
          new AbortController().signal,
        );

        const expected = chunks.flatMap(({ reason, pending, due }, index) => {
          const record = recordOf(id(index));
          if (!record || pending || !due) return [];
          const { data, parity } = record.profile;
          const infos = record.shards.flatMap((place) => (place && handles.get(place.provider)?.info) ?? []);
          const staying = infos.filter(({ state }) => state === 'active').length;
          const said = /^lost: (-?\d+)/.exec(reason);
          const healthy = Math.min(staying, said ? data + Number(said[1]) : data + parity - 1);
          const worst = said ? staying - (parity - Number(said[1])) : -1;
          if (worst > repairAt(record.profile)) return [];
          const readable = Math.max(healthy, infos.length - Math.max(0, staying - healthy));
          const risk = lossWhenProvidersFail(20, 7, readable, readable - data);
          return [{ id: id(index), days: daysToLoss(healthy, record.profile, PRIOR_MODEL), risk }];
        });
        expected.sort((a, b) => a.days - b.days || b.risk - a.risk || (a.id < b.id ? -1 : 1));
        expect(found.due).toBe(expected.length);
        expect(found.entries.map((entry) => entry.id)).toEqual(
          expected.slice(0, limit).map((entry) => entry.id),
        );
        expect(dropped).toEqual(
          chunks.flatMap(({ gone, due, pending }, index) => (gone && due && !pending ? [id(index)] : [])),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('drainQueue', () => {
  let cluster: TestCluster;
  beforeEach(async () => {
    cluster = await TestCluster.create(16);
  });
  afterEach(() => cluster.close());

  function maintenance(): Maintenance {
    const { catalog, clock } = cluster;
    return new Maintenance({
      catalog,
      clock,
      providers: cluster,
      choose: chooseProviders,
      isPending: () => false,
    });
  }

  /** Order in which chunks are written to. */
  function recordPuts(): string[] {
    const order: string[] = [];
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

  test('a large profile is repaired when few enough shards are left, and not before; an operator does not wait', async () => {
    const bytes = pattern(200_000);
    const record = await cluster.writeChunk(bytes, cluster.ids, LARGE);
    await cluster.lose(record, 2);
    await cluster.catalog.enqueueRepair(record.id, 'shard 2: NotFound');
    const keeper = maintenance();
    expect(await keeper.drainQueue()).toMatchObject({ examined: 1, deferred: 1, shards: 0 });
    expect(parseReason(cluster.catalog.queue.get(record.id)!)).toEqual({
      kind: 'lost',
      late: false,
      spare: 5,
      recorded: 16,
    });
    // What has been counted is not asked for again.
    const asked = cluster.outcomes.length;
    expect(await keeper.drainQueue()).toMatchObject({ examined: 0 });
    expect(cluster.outcomes).toHaveLength(asked);

    await cluster.lose(record, 7);
    await cluster.lose(record, 11);
    await keeper.scrub();
    expect(await keeper.drainQueue()).toMatchObject({ repaired: 1, shards: 3 });
    expect(await cluster.wrongShards(record.id, bytes)).toEqual([]);
    expect(cluster.catalog.queue.size).toBe(0);

    await cluster.lose(record, 0);
    expect(await keeper.repairAll({ deep: false })).toMatchObject({ repaired: 1, deferred: 0, shards: 1 });
  });

  test('what a provider‘s state takes away brings a deferred chunk back', async () => {
    const bytes = pattern(100_000);
    const record = await cluster.writeChunk(bytes, cluster.ids, LARGE);
    for (let spare = 0; spare < 3; spare++) await cluster.addProvider();
    await cluster.lose(record, 2);
    await cluster.catalog.enqueueRepair(record.id, 'shard 2: NotFound');
    const keeper = maintenance();
    expect(await keeper.drainQueue()).toMatchObject({ deferred: 1 });
    cluster.setState(cluster.ids[3]!, 'suspended');
    expect(await keeper.drainQueue()).toMatchObject({ examined: 0 });
    cluster.setState(cluster.ids[4]!, 'disqualified');
    // What is at the suspended one can be read and is left there.
    expect(await keeper.drainQueue()).toMatchObject({ waiting: 1, shards: 2 });
    expect(await cluster.wrongShards(record.id, bytes)).toEqual([]);
    cluster.setState(cluster.ids[3]!, 'active');
    expect(await keeper.repairAll({ deep: false })).toMatchObject({ healthy: 1, shards: 0 });
    expect(cluster.catalog.queue.size).toBe(0);
  });

  test('the chunk nearest to its loss is first, wherever it stands in the queue', async () => {
    const small = await cluster.writeChunk(pattern(5_000), cluster.ids);
    const large = await cluster.writeChunk(pattern(5_000), cluster.ids, LARGE);
    const worst = await cluster.writeChunk(pattern(5_000), cluster.ids);
    await cluster.lose(small, 0);
    for (const index of [0, 1, 2]) await cluster.lose(large, index);
    for (const index of [4, 5]) await cluster.lose(worst, index);
    await maintenance().scrub();
    const order = recordPuts();
    expect(await maintenance().drainQueue()).toMatchObject({ repaired: 3 });
    // Two are repaired at the same time: 4 of 4+2 and 13 of 10+6 before 5 of 4+2.
    expect(new Set(order.slice(0, 2))).toEqual(new Set([worst.id, large.id]));
    expect(order[2]).toBe(small.id);
  });

  test('lost shards need only a look at what is there; damage needs every byte', async () => {
    const record = await cluster.writeChunk(pattern(900_000));
    const keeper = maintenance();
    await cluster.catalog.enqueueRepair(record.id, 'written with missing shards');
    const shallow = await keeper.drainQueue();
    await cluster.catalog.enqueueRepair(record.id, 'shard 0: WrongBytes');
    const deep = await keeper.drainQueue();
    expect([shallow.healthy, deep.healthy]).toEqual([1, 1]);
    expect(deep.bytes - shallow.bytes).toBeGreaterThan(900_000);
    expect(cluster.catalog.queue.size).toBe(0);
  });

  test('damage that a reader reports while the chunk is repaired is not forgotten', async () => {
    const record = await cluster.writeChunk(pattern(900_000));
    await cluster.lose(record, 0);
    await cluster.flip(record, 5, 3);
    await cluster.catalog.enqueueRepair(record.id, 'shard 0: NotFound');
    const dequeue = cluster.catalog.dequeueRepair.bind(cluster.catalog);
    let reported = false;
    cluster.catalog.dequeueRepair = async (id, reason) => {
      if (!reported) await cluster.catalog.enqueueRepair(id, 'shard 5: WrongBytes');
      reported = true;
      await dequeue(id, reason);
    };
    const keeper = maintenance();
    await keeper.drainQueue();
    expect(cluster.catalog.queue.size).toBe(0);
    expect(await cluster.wrongShards(record.id, pattern(900_000))).toEqual([]);
  });

  test('damage that could not be repaired stays damage in the queue', async () => {
    const record = await cluster.writeChunk(pattern(900_000));
    await cluster.flip(record, 1, 3);
    for (const index of [0, 2]) await cluster.lose(record, index);
    for (const id of cluster.ids) cluster.member(id).weight = 0;
    await cluster.catalog.enqueueRepair(record.id, 'shard 1: WrongBytes');
    const keeper = maintenance();
    await keeper.drainQueue();
    expect(parseReason(cluster.catalog.queue.get(record.id)!).kind).toBe('damage');
  });

  test('shards of one domain are spread as soon as there is room elsewhere', async () => {
    const bytes = pattern(60_000);
    for (const [at, id] of cluster.ids.slice(0, 6).entries()) {
      const member = cluster.member(id);
      const site = at < 4 ? 'crowded' : `s${at}`;
      member.info = { ...member.info, domain: { ...member.info.domain, site } };
    }
    for (const id of cluster.ids.slice(6)) cluster.member(id).weight = 0;
    const record = await cluster.writeChunk(bytes);
    const keeper = maintenance();
    await keeper.scrub();
    expect(cluster.catalog.queue.size).toBe(1);
    // Nowhere to go: the chunk is as well off as it can be.
    expect(await keeper.drainQueue()).toMatchObject({ healthy: 1, shards: 0 });
    expect(cluster.catalog.queue.size).toBe(0);
    for (const id of cluster.ids.slice(6, 9)) cluster.member(id).weight = 1;
    await keeper.scrub();
    expect(await keeper.drainQueue()).toMatchObject({ repaired: 1, shards: 2 });
    const now = cluster.catalog.records.get(record.id)!;
    const sites = now.shards.map((place) => cluster.member(place!.provider).info.domain.site);
    expect(sites.filter((site) => site === 'crowded')).toHaveLength(2);
    expect(await cluster.wrongShards(record.id, bytes)).toEqual([]);
    expect(await cluster.stored()).toEqual(cluster.claimed());
  });

  test('losses and how long they lasted enter the failure model', async () => {
    const record = await cluster.writeChunk(pattern(5_000));
    const keeper = maintenance();
    const before = await keeper.failureModel();
    expect(before).toEqual({ lossRate: 0.02, repairHours: 24 });
    for (const index of [1, 3]) await cluster.lose(record, index);
    await cluster.catalog.enqueueRepair(record.id, 'shard 1: NotFound');
    await keeper.drainQueue();
    await keeper.surveyDurability();
    // 2 losses and 2 prompt repairs beside the 20 each that were assumed.
    expect((await maintenance().failureModel()).lossRate).toBeCloseTo(22 / 1_000, 6);
    expect((await maintenance().failureModel()).repairHours).toBeCloseTo((24 * 20) / 22, 3);
  });
});
