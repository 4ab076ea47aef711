import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DomainMap } from '../../placement/durability/domains.ts';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { classify, planRepair, type ShardHealth } from '../../placement/repair/repairPlan.ts';
import type { ChunkRecord, ProviderHandle, ProviderInfo, ProviderState } from '../../placement/types.ts';

const STATES: readonly (ProviderState | undefined)[] = [
  'vetting',
  'active',
  'degraded',
  'suspended',
  'exiting',
  'gone',
  'disqualified',
  undefined,
];

interface Shard {
  readonly health: ShardHealth;
  /** Undefined: the provider is not registered. */
  readonly state: ProviderState | undefined;
  readonly mayReturn: boolean;
}

const shard: fc.Arbitrary<Shard> = fc.record({
  health: fc.constantFrom<ShardHealth>(
    'healthy',
    'healthy',
    'healthy',
    'missing',
    'corrupt',
    'unreachable',
    'undefined',
  ),
  state: fc.oneof({ weight: 3, arbitrary: fc.constant<ProviderState>('active') }, fc.constantFrom(...STATES)),
  mayReturn: fc.boolean(),
});
const chunk = fc
  .record({ data: fc.integer({ min: 1, max: 10 }), parity: fc.integer({ min: 1, max: 6 }) })
  .chain((profile) => {
    const count = profile.data + profile.parity;
    return fc.record({
      profile: fc.constant(profile),
      shards: fc.array(shard, { minLength: count, maxLength: count }),
    });
  });

function info(id: string, state: ProviderState): ProviderInfo {
  const domain = { region: 'r', site: id, operator: id };
  return { id, endpoint: id, domain, state, capacity: 1e9, free: 1e9 };
}

function stage({ profile, shards }: { profile: ChunkRecord['profile']; shards: readonly Shard[] }) {
  const handles = new Map<string, ProviderHandle>();
  for (const [index, { state }] of shards.entries()) {
    if (state) handles.set(`p${index}`, { info: info(`p${index}`, state), transport: undefined as never });
  }
  const record: ChunkRecord = {
    id: 'ab'.repeat(16),
    profile,
    length: 1,
    cell: 1,
    generation: 1,
    shards: shards.map(({ health }, index) =>
      health === 'undefined' ? undefined : { provider: `p${index}`, root: new Uint8Array(32) },
    ),
  };
  const mayReturn = (id: string) => shards[Number(id.slice(1))]!.mayReturn;
  return { record, providers: { get: (id: string) => handles.get(id) }, mayReturn };
}

/** The rules, one shard at a time, in the words of the design. */
function oracle({ profile, shards }: { profile: ChunkRecord['profile']; shards: readonly Shard[] }) {
  const stays = ({ state }: Shard) => state === 'vetting' || state === 'active' || state === 'degraded';
  let readable = 0;
  let redundant = 0;
  let doubted = 0;
  for (const each of shards) {
    if (each.health === 'healthy') readable += 1;
    if (each.health === 'healthy' && stays(each)) redundant += 1;
    if (each.health === 'healthy' && each.state === 'suspended') doubted += 1;
  }
  const rebuild = new Set<number>();
  const wait = new Set<number>();
  for (const [index, each] of shards.entries()) {
    if (each.health === 'healthy' && stays(each)) continue;
    const patient =
      each.health === 'unreachable' &&
      (stays(each) || each.state === 'suspended') &&
      each.mayReturn &&
      redundant > profile.data;
    const rests =
      each.health === 'healthy' && each.state === 'suspended' && redundant + doubted > profile.data;
    if (patient || rests) wait.add(index);
    else rebuild.add(index);
  }
  let action = 'none';
  if (wait.size > 0) action = 'wait';
  if (rebuild.size > 0) action = 'repair';
  if (readable < profile.data) action = 'unreadable';
  return { readable, remaining: redundant - profile.data, rebuild, wait, action };
}

describe('classify', () => {
  test('agrees with the rules spelt out shard by shard', () => {
    fc.assert(
      fc.property(chunk, (drawn) => {
        const { record, providers, mayReturn } = stage(drawn);
        const found = classify(
          record,
          drawn.shards.map(({ health }) => health),
          providers,
          { mayReturn },
        );
        const expected = oracle(drawn);
        expect(new Set(found.lost)).toEqual(expected.rebuild);
        expect(found.lost).toHaveLength(expected.rebuild.size);
        expect(new Set(found.waiting)).toEqual(expected.wait);
        expect(found).toMatchObject({
          readable: expected.readable,
          remaining: expected.remaining,
          action: expected.action,
        });
        expect(found.healthy).toBe(expected.remaining + drawn.profile.data);
      }),
      { numRuns: 500 },
    );
  });

  test('what cannot be read comes before what only has to be moved', () => {
    fc.assert(
      fc.property(chunk, (drawn) => {
        const { record, providers } = stage(drawn);
        const { lost } = classify(
          record,
          drawn.shards.map(({ health }) => health),
          providers,
        );
        const moves = lost.map((index) => drawn.shards[index]!.health === 'healthy');
        expect(moves).toEqual([...moves].sort((a, b) => Number(a) - Number(b)));
      }),
    );
  });

  test('a region that goes dark and comes back sets off no repair where a shard is to spare, however long it stays suspended', () => {
    const profile = { data: 10, parity: 6 };
    const actions = (
      dark: number,
      health: ShardHealth,
      state: ProviderState,
      leaving?: ReadonlySet<string>,
    ) => {
      const shards = Array.from({ length: 16 }, (_, index): Shard => {
        const isDark = index < dark;
        return { health: isDark ? health : 'healthy', state: isDark ? state : 'active', mayReturn: true };
      });
      const { record, providers, mayReturn } = stage({ profile, shards });
      const given = shards.map((each) => each.health);
      const { action, lost, healthy } = classify(record, given, providers, {
        mayReturn,
        ...(leaving && { leaving }),
      });
      return { action, lost: lost.length, healthy };
    };
    // Off, and not judged yet; judged; back, and still suspended; trusted again.
    expect(actions(5, 'unreachable', 'active')).toEqual({ action: 'wait', lost: 0, healthy: 11 });
    expect(actions(5, 'unreachable', 'suspended')).toEqual({ action: 'wait', lost: 0, healthy: 11 });
    expect(actions(5, 'healthy', 'suspended')).toEqual({ action: 'wait', lost: 0, healthy: 11 });
    expect(actions(5, 'healthy', 'active')).toEqual({ action: 'none', lost: 0, healthy: 16 });
    // Without a spare shard nothing out of reach is waited for; what can be read is one.
    expect(actions(6, 'unreachable', 'suspended')).toEqual({ action: 'repair', lost: 6, healthy: 10 });
    expect(actions(6, 'healthy', 'suspended')).toEqual({ action: 'wait', lost: 0, healthy: 10 });
    // After two days its providers are evacuated, one by one.
    expect(actions(5, 'healthy', 'suspended', new Set(['p2']))).toEqual({
      action: 'repair',
      lost: 1,
      healthy: 11,
    });
    // Whoever was sent away is no region that is back.
    expect(actions(5, 'healthy', 'disqualified')).toEqual({ action: 'repair', lost: 5, healthy: 11 });
  });

  test('shards that one domain has too many of count as lost, and so do those at a provider that is to be rid of them', () => {
    const places = ['a', 'a', 'a', 'b', 'c', 'd'];
    const infos = places.map((site, index) => ({
      ...info(`p${index}`, 'active'),
      domain: { region: 'r', site, operator: `o${index}` },
    }));
    const record: ChunkRecord = {
      id: 'ab'.repeat(16),
      profile: { data: 4, parity: 2 },
      length: 1,
      cell: 1,
      generation: 1,
      shards: infos.map(({ id }) => ({ provider: id, root: new Uint8Array(32) })),
    };
    const providers = {
      get: (id: string) => ({ info: infos[Number(id.slice(1))]!, transport: undefined as never }),
    };
    const health = infos.map((): ShardHealth => 'healthy');
    // Six providers of four sites have no room for six shards, two a site: then nothing is clumped.
    expect(classify(record, health, providers, { domains: new DomainMap(infos) }).clumped).toEqual([]);
    const domains = new DomainMap([...infos, info('spare', 'active')]);
    expect(classify(record, health, providers)).toMatchObject({ action: 'none', healthy: 6, clumped: [] });
    const found = classify(record, health, providers, { domains });
    expect(found).toMatchObject({ action: 'spread', healthy: 5, readable: 6, clumped: [2], lost: [] });
    const leaving = new Set(['p1', 'p5']);
    expect(classify(record, health, providers, { domains, leaving })).toMatchObject({
      action: 'repair',
      healthy: 4,
      readable: 6,
      clumped: [],
      lost: [1, 5],
    });
  });
});

describe('planRepair', () => {
  test('has its providers chosen from the very candidates that it is given, so that nothing is prepared anew', () => {
    const infos = Array.from({ length: 9 }, (_, at) => info(`p${at}`, 'active'));
    const handles = new Map(infos.map((each) => [each.id, { info: each, transport: undefined as never }]));
    const candidates = infos.map((each) => ({ info: each, weight: 1 }));
    const shards = infos.slice(0, 6).map(({ id }) => ({ provider: id, root: new Uint8Array(32) }));
    const profile = { data: 4, parity: 2 };
    const record: ChunkRecord = { id: 'ab'.repeat(16), profile, length: 1, cell: 1, generation: 1, shards };
    const health = shards.map((_, index): ShardHealth => (index < 2 ? 'missing' : 'healthy'));
    const asked: unknown[] = [];
    const plan = (onto?: ReadonlySet<string>) =>
      planRepair({
        record,
        health,
        lost: [0, 1],
        providers: { get: (id) => handles.get(id) },
        candidates,
        choose: (request) => {
          asked.push(request.candidates);
          return chooseProviders(request);
        },
        refused: new Set(['p0', 'p1', 'p6']),
        ...(onto && { onto }),
      }).targets.map(({ provider }) => provider.id);
    expect(plan().toSorted()).toEqual(['p7', 'p8']);
    expect(asked[0]).toBe(candidates);
    expect(plan(new Set(['p6', 'p8', 'p3']))).toEqual(['p8']);
  });

  test('never puts two shards of a chunk on one provider, and returns a shard to its place if that is chosen', () => {
    fc.assert(
      fc.property(chunk, fc.integer({ min: 0, max: 6 }), fc.nat(30), (drawn, spares, refusedAt) => {
        const { record, providers } = stage(drawn);
        const health = drawn.shards.map((each) => each.health);
        const { lost } = classify(record, health, providers);
        const infos = [
          ...drawn.shards.flatMap(({ state }, index) => (state ? [info(`p${index}`, state)] : [])),
          ...Array.from({ length: spares }, (_, at) => info(`spare${at}`, 'active')),
        ].filter(({ state }) => state === 'active');
        const refused = new Set([`p${refusedAt}`]);
        const { targets } = planRepair({
          record,
          health,
          lost,
          providers,
          candidates: infos.map((each) => ({ info: each, weight: 1 })),
          choose: chooseProviders,
          refused,
        });
        const staying = record.shards.flatMap((place, index) =>
          place && !lost.includes(index) ? [place.provider] : [],
        );
        const after = [...staying, ...targets.map(({ provider }) => provider.id)];
        expect(new Set(after).size).toBe(after.length);
        expect(targets.every(({ index }) => lost.includes(index))).toBe(true);
        expect(targets.every(({ provider }) => !refused.has(provider.id))).toBe(true);
        const usable = infos.filter(({ id }) => !staying.includes(id) && !refused.has(id));
        expect(targets).toHaveLength(Math.min(lost.length, usable.length));
        for (const { index, provider, clear, destroys } of targets) {
          const home = record.shards[index]?.provider === provider.id;
          expect(destroys).toBe(home && health[index] === 'corrupt');
          expect(clear).toBe(destroys || !home);
          const homeChosen = targets.some((other) => other.provider.id === record.shards[index]?.provider);
          expect(home).toBe(homeChosen);
        }
      }),
    );
  });
});
