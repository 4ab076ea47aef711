import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import { chunkLossPerYear } from '../../../placement/durability/formulas.ts';
import { DomainMap, domainAt, DOMAIN_LEVELS } from '../../../placement/durability/domains.ts';
import { PRIOR_MODEL } from '../../../placement/durability/failureModel.ts';
import {
  lastDurability,
  surveyDurability,
  type DurabilityDeps,
} from '../../../placement/durability/report.ts';
import { stays } from '../../../placement/repair/repairPlan.ts';
import type { ChunkRecord, ProviderInfo, ProviderState } from '../../../placement/types.ts';
import type { Profile } from '#erasure';

const SMALL = { data: 4, parity: 2 };
const LARGE = { data: 10, parity: 6 };

interface Stage extends DurabilityDeps {
  readonly records: ChunkRecord[];
  readonly notes: Map<string, string>;
  listed: number;
}

function provider(at: number, site: string, operator: string, state: ProviderState = 'active'): ProviderInfo {
  const domain = { region: `r${at % 2}`, site, operator };
  return { id: `p${at}`, endpoint: '', domain, state, capacity: 1, free: 1 };
}

function stage(infos: readonly ProviderInfo[]): Stage {
  const handles = infos.map((info) => ({ info, transport: undefined as never }));
  const records: ChunkRecord[] = [];
  const notes = new Map<string, string>();
  const made: Stage = {
    records,
    notes,
    listed: 0,
    profile: SMALL,
    stays,
    providers: { all: () => handles, get: (id) => handles.find(({ info }) => info.id === id) },
    clock: { now: () => 1_000, sleep: async () => undefined },
    catalog: {
      async list(after, limit) {
        made.listed++;
        return records.filter(({ id }) => after === undefined || id > after).slice(0, limit);
      },
      getNote: async (name) => notes.get(name),
      setNote: async (name, value) => void notes.set(name, value),
    },
  };
  return made;
}

function add(
  to: Stage,
  places: readonly (number | undefined)[],
  profile: Profile = SMALL,
  length = 100,
): void {
  const shards = places.map((at) =>
    at === undefined ? undefined : { provider: `p${at}`, root: new Uint8Array(32) },
  );
  const id = to.records.length.toString(16).padStart(32, '0');
  to.records.push({ id, profile, length, cell: 1, generation: 1, shards });
}

const model = async () => PRIOR_MODEL;

describe('survey', () => {
  test('the figures of a profile, and an empty store', async () => {
    const made = stage([]);
    expect(await surveyDurability(made, model)).toMatchObject({
      at: 1_000,
      whole: {
        profile: SMALL,
        chunks: 0,
        bytes: 0,
        anyLoss: 0,
        expectedLossBytes: 0,
        worstDomain: [],
        repairAt: 5,
      },
    });
    const infos = Array.from({ length: 20 }, (_, at) => provider(at, `s${at}`, `o${at}`));
    const two = stage(infos);
    for (let chunk = 0; chunk < 3; chunk++) add(two, [0, 1, 2, 3, 4, 5]);
    add(
      two,
      Array.from({ length: 16 }, (_, at) => at),
      LARGE,
      10_000,
    );
    const { whole } = await surveyDurability(two, model);
    const small = chunkLossPerYear(SMALL, PRIOR_MODEL);
    const large = chunkLossPerYear(LARGE, PRIOR_MODEL);
    expect(whole).toMatchObject({
      profile: LARGE,
      chunks: 4,
      bytes: 10_300,
      lacking: 0,
      unreadable: 0,
      repairAt: 13,
    });
    expect(whole.chunkLoss / ((3 * small + large) / 4)).toBeCloseTo(1, 9);
    expect(whole.anyLoss / (3 * small + large)).toBeCloseTo(1, 3);
    expect(whole.expectedLossBytes / (300 * small + 10_000 * large)).toBeCloseTo(1, 9);
  });

  test('the worst domain of each level, counted by taking each one away', async () => {
    const states: readonly ProviderState[] = [
      'active',
      'active',
      'active',
      'exiting',
      'disqualified',
      'vetting',
    ];
    const drawn = fc.record({
      infos: fc.array(
        fc.record({ site: fc.nat(3), operator: fc.nat(3), state: fc.constantFrom(...states) }),
        { minLength: 10, maxLength: 10 },
      ),
      chunks: fc.array(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 6, maxLength: 6 }), {
        maxLength: 12,
      }),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ infos, chunks }) => {
        const providers = infos.map(({ site, operator, state }, at) =>
          provider(at, `s${site}`, `o${operator}`, state),
        );
        const made = stage(providers);
        for (const places of chunks) add(made, places);
        const { whole } = await surveyDurability(made, model);
        const readable = (places: readonly number[], without: (info: ProviderInfo) => boolean) =>
          places.filter((at) => providers[at]!.state !== 'disqualified' && !without(providers[at]!)).length;
        const broken = chunks.filter((places) => readable(places, () => false) < 4).length;
        expect(whole.unreadable).toBe(broken);
        for (const level of [...DOMAIN_LEVELS, 'provider'] as const) {
          const nameOf = (info: ProviderInfo) =>
            level === 'provider' ? info.id : domainAt(info.domain, level);
          const lossOf = (name: string) =>
            chunks.filter((places) => readable(places, (info) => nameOf(info) === name) < 4).length - broken;
          const worst = Math.max(...providers.map((info) => lossOf(nameOf(info))));
          const found = whole.worstDomain.find((each) => each.level === level);
          expect([found?.chunks ?? 0, found?.bytes ?? 0]).toEqual([worst, worst * 100]);
          expect(found ? lossOf(found.domain) : 0).toBe(worst);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('shards that are missing, leaving or crowded make a chunk one that lacks some', async () => {
    const infos = Array.from({ length: 9 }, (_, at) =>
      provider(at, [0, 2, 4].includes(at) ? 's' : `s${at}`, `o${at}`),
    );
    infos[8] = { ...infos[8]!, state: 'suspended' };
    const made = stage(infos);
    add(made, [0, 1, 2, 3, 5, 6]);
    add(made, [0, 1, 2, 4, 5, 6]);
    add(made, [0, 1, 3, 4, 5, undefined]);
    add(made, [0, 1, 3, 4, 5, 8]);
    add(made, [0, 1, 3, 4, 5, 99]);
    const { whole } = await surveyDurability(made, model);
    expect(whole).toMatchObject({ chunks: 5, lacking: 4, unreadable: 0 });
  });

  test('by bucket, and buckets beyond the bound only in the whole', async () => {
    const infos = Array.from({ length: 6 }, (_, at) => provider(at, `s${at}`, `o${at}`));
    const made = stage(infos);
    for (let chunk = 0; chunk < 1_010; chunk++) add(made, [0, 1, 2, 3, 4, 5]);
    const bucketOf = async (id: string) => {
      const at = Number.parseInt(id, 16);
      if (at === 0) return undefined;
      return at < 4 ? '__proto__' : `b${at}`;
    };
    const report = await surveyDurability({ ...made, bucketOf }, model);
    expect(report.whole.chunks).toBe(1_010);
    expect(report.bucketsLeftOut).toBe(true);
    expect(Object.keys(report.byBucket)).toHaveLength(1_000);
    expect(Object.entries(report.byBucket).find(([name]) => name === '__proto__')![1].chunks).toBe(3);
    expect(await lastDurability(made.catalog)).toEqual(report);
  });

  test('aborted, it goes on where it was saved, and counts every chunk once', async () => {
    const infos = Array.from({ length: 6 }, (_, at) => provider(at, `s${at}`, `o${at}`));
    const made = stage(infos);
    for (let chunk = 0; chunk < 20_000; chunk++) add(made, [0, 1, 2, 3, 4, chunk % 2 ? 5 : undefined]);
    const stop = new AbortController();
    const throttle = {
      async take() {
        if (made.listed === 35) stop.abort(new Error('enough'));
      },
    };
    const deps = { ...made, throttle, bucketOf: async () => 'b' };
    await expect(surveyDurability(deps, model, stop.signal)).rejects.toThrow('enough');
    const before = made.listed;
    let shards = 0;
    const report = await surveyDurability(
      { ...deps, throttle: { take: async () => undefined } },
      async (seen) => {
        shards = seen;
        return PRIOR_MODEL;
      },
    );
    expect(made.listed - before).toBeLessThan(20_000 / 512);
    expect(shards).toBe(110_000);
    expect(report.whole).toMatchObject({ chunks: 20_000, bytes: 2_000_000, lacking: 10_000 });
    expect(report.byBucket['b']).toMatchObject({ chunks: 20_000, lacking: 10_000 });
    expect(report.whole.worstDomain).toContainEqual({
      level: 'region',
      domain: 'r0',
      chunks: 20_000,
      bytes: 2_000_000,
    });
  });
});

describe('DomainMap', () => {
  test('clumped shards: without them every domain keeps to the rule, and with one more of them none would', () => {
    const drawn = fc.record({
      sites: fc.array(fc.nat(4), { minLength: 6, maxLength: 12 }),
      operators: fc.array(fc.nat(4), { minLength: 12, maxLength: 12 }),
    });
    fc.assert(
      fc.property(drawn, ({ sites, operators }) => {
        const infos = sites.map((site, at) => provider(at, `s${site}`, `o${operators[at]}`));
        const map = new DomainMap(infos);
        const places = infos.slice(0, 6).map(({ domain }, index) => ({ index, domain }));
        const levels = DOMAIN_LEVELS.filter((level) => {
          const sizes = Map.groupBy(infos, (info) => domainAt(info.domain, level)).values();
          return [...sizes].reduce((room, group) => room + Math.min(2, group.length), 0) >= 6;
        });
        const broken = (left: typeof places) =>
          levels.some((level) =>
            [...Map.groupBy(left, ({ domain }) => domainAt(domain, level)).values()].some(
              (group) => group.length > 2,
            ),
          );
        const clumped = map.clumped(places, 6, 2);
        expect(broken(places.filter(({ index }) => !clumped.includes(index)))).toBe(false);
        expect(clumped.length > 0).toBe(broken(places));
        expect(new Set(clumped).size).toBe(clumped.length);
      }),
    );
  });
});
