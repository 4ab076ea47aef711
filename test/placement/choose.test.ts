import { chooseProviders, type Candidate, type ChooseRequest, type DomainLevel } from '#placement';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { badness, candidate, leastBadness, levelsKept } from './chooseOracle.ts';

const arbitraryDomain = fc.tuple(
  fc.constantFrom('r', 's', 't'),
  fc.constantFrom('a', 'b'),
  fc.constantFrom('w', 'x', 'y', 'z'),
);
const arbitraryWeight = fc.oneof(
  { arbitrary: fc.constant(0), weight: 1 },
  { arbitrary: fc.double({ min: 0.01, max: 1e15, noNaN: true }), weight: 9 },
);

const arbitraryCandidates = (unproven: fc.Arbitrary<boolean>): fc.Arbitrary<Candidate[]> =>
  fc
    .array(fc.record({ domain: arbitraryDomain, weight: arbitraryWeight, unproven }), {
      minLength: 2,
      maxLength: 11,
      size: 'max',
    })
    .map((all) => all.map(({ domain, weight, unproven }, id) => candidate(id, domain, weight, unproven)));

/** Providers of other ids than the candidates' but for the first two. */
const arbitraryTaken = fc
  .array(fc.record({ domain: arbitraryDomain, id: fc.constantFrom(0, 1, 20, 21, 22, 23) }), { maxLength: 3 })
  .map((all) => all.map(({ domain, id }) => candidate(id, domain).info));

const arbitraryRequest = (unproven: fc.Arbitrary<boolean>): fc.Arbitrary<ChooseRequest> =>
  fc.record({
    candidates: arbitraryCandidates(unproven),
    count: fc.integer({ min: 1, max: 8 }),
    perDomainMax: fc.integer({ min: 1, max: 3 }),
    taken: fc.oneof(fc.constant([]), arbitraryTaken),
    excluded: fc.oneof(
      fc.constant(new Set<string>()),
      fc.constantFrom(new Set(['p3']), new Set(['p2', 'p5'])),
    ),
    required: fc.oneof(
      fc.constant([]),
      fc.uniqueArray(fc.constantFrom<DomainLevel>('region', 'site', 'operator')),
    ),
    seed: fc.nat(),
  });
const allProven = arbitraryRequest(fc.constant(false));

function eligible({ candidates, taken = [], excluded }: ChooseRequest): Candidate[] {
  const blocked = new Set([...taken.map(({ id }) => id), ...(excluded ?? [])]);
  return candidates.filter(({ info, weight }) => weight > 0 && !blocked.has(info.id));
}

describe('a choice', () => {
  test('is of different eligible candidates, as many as there are up to count', () => {
    fc.assert(
      fc.property(arbitraryRequest(fc.boolean()), (request) => {
        const { chosen } = chooseProviders(request);
        const pool = eligible(request);
        expect(new Set(chosen.map(({ id }) => id)).size).toBe(chosen.length);
        expect(chosen.every((info) => pool.some((one) => one.info === info))).toBe(true);
        expect(chosen).toHaveLength(Math.min(request.count, pool.length));
      }),
    );
  });

  test('goes beyond the domain rule exactly as far as it must, at the required levels first', () => {
    fc.assert(
      fc.property(allProven, (request) => {
        const { taken = [], perDomainMax, required = [] } = request;
        const { chosen, survives } = chooseProviders(request);
        const infos = eligible(request).map(({ info }) => info);
        expect(badness(chosen, taken, perDomainMax, required)).toEqual(
          leastBadness(infos, taken, chosen.length, perDomainMax, required),
        );
        expect(survives).toEqual(levelsKept([...taken, ...chosen], perDomainMax));
      }),
      { numRuns: 400 },
    );
  });

  test('has one at most who is not proven, but where the proven are too few for number or requirement', () => {
    fc.assert(
      fc.property(arbitraryRequest(fc.boolean()), (request) => {
        const { taken = [], perDomainMax, required = [], count } = request;
        const { chosen, survives } = chooseProviders(request);
        const pool = eligible(request);
        const unproven = new Set(pool.flatMap(({ info, unproven }) => (unproven ? [info] : [])));
        const risky = chosen.filter((info) => unproven.has(info)).length;
        const safe = pool.flatMap(({ info }) => (unproven.has(info) ? [] : [info]));
        const allowed = Math.max(1, count - safe.length);
        const breaksWithout = (): boolean =>
          safe.length < count ||
          leastBadness(safe, taken, count, perDomainMax, required)!.slice(0, required.length).includes(1);
        const isNeeded = (): boolean =>
          required.length > 0 &&
          (taken.length > 0 || required.every((level) => survives.includes(level))) &&
          breaksWithout();
        expect(risky <= allowed || isNeeded()).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  test('is the same for the same request, and the seed matters', () => {
    const candidates = Array.from({ length: 20 }, (_, id) => candidate(id, ['r', `s${id}`, `o${id}`]));
    const choose = (seed: number): string =>
      chooseProviders({ candidates, count: 6, perDomainMax: 2, seed })
        .chosen.map(({ id }) => id)
        .join();
    expect(choose(7)).toBe(choose(7));
    expect(new Set(Array.from({ length: 50 }, (_, seed) => choose(seed))).size).toBeGreaterThan(45);
  });

  test('is found by exchange where taking them in order fails', () => {
    // Only {0, 1} keeps the rule; whoever takes the heavy 2 first is stuck.
    const candidates = [
      candidate(0, ['r', 'a', 'w'], 1),
      candidate(1, ['s', 'b', 'x'], 1),
      candidate(2, ['r', 'a', 'x'], 1e9),
    ];
    for (let seed = 0; seed < 50; seed++) {
      const { chosen, survives } = chooseProviders({ candidates, count: 2, perDomainMax: 1, seed });
      expect(chosen.map(({ id }) => id).sort()).toEqual(['p0', 'p1']);
      expect(survives).toEqual(['region', 'site', 'operator']);
    }
  });

  test('spreads over regions by as much as there are regions', () => {
    // Sixteen shards, six in a domain: three regions are enough, two are not, and then each gets half.
    const inRegions = (regions: number): Candidate[] =>
      Array.from({ length: 60 }, (_, id) => candidate(id, [`r${id % regions}`, `s${id}`, `o${id}`]));
    const choose = (regions: number, seed: number) =>
      chooseProviders({ candidates: inRegions(regions), count: 16, perDomainMax: 6, seed });
    for (let seed = 0; seed < 20; seed++) {
      expect(choose(3, seed).survives).toEqual(['region', 'site', 'operator']);
      const { chosen, survives } = choose(2, seed);
      expect(survives).toEqual(['site', 'operator']);
      expect(chosen.filter(({ domain }) => domain.region === 'r0')).toHaveLength(8);
    }
  });
});

describe('those that are not proven', () => {
  const domain = (id: number): readonly [string, string, string] => [`r${id % 4}`, `s${id}`, `o${id}`];
  const share = (proven: number, weight: number, count = 6): number => {
    const candidates = Array.from({ length: proven + 10 }, (_, id) =>
      candidate(id, domain(id), id < proven ? 1 : weight, id >= proven),
    );
    let shards = 0;
    for (let seed = 0; seed < 4000; seed++) {
      const { chosen } = chooseProviders({ candidates, count, perDomainMax: 2, seed });
      shards += chosen.filter(({ id }) => Number(id.slice(1)) >= proven).length;
    }
    return shards / (4000 * count);
  };

  test('get a twentieth of all shards at most, and less where they have less to offer', () => {
    expect(share(40, 100)).toBeGreaterThan(0.04);
    expect(share(40, 100)).toBeLessThan(0.056);
    // 10 · 0.1 of 41 is 2.4 %.
    expect(share(40, 0.1)).toBeGreaterThan(0.018);
    expect(share(40, 0.1)).toBeLessThan(0.031);
    // Groups of providers, too.
    expect(share(90, 100)).toBeGreaterThan(0.04);
    expect(share(90, 100)).toBeLessThan(0.056);
  });

  test('are all there is, to begin with', () => {
    const candidates = Array.from({ length: 6 }, (_, id) => candidate(id, domain(id), 1, true));
    const { chosen, survives } = chooseProviders({ candidates, count: 6, perDomainMax: 2, seed: 1 });
    expect(chosen).toHaveLength(6);
    expect(survives).toEqual(['region', 'site', 'operator']);
  });

  test('help out where the proven cannot keep what is required', () => {
    const candidates = Array.from({ length: 12 }, (_, id) =>
      candidate(id, [id < 8 ? 'r' : `t${id}`, `s${id}`, `o${id}`], 1, id >= 8),
    );
    const request = { candidates, count: 6, perDomainMax: 2, seed: 3 };
    expect(chooseProviders(request).survives).toEqual(['site', 'operator']);
    expect(chooseProviders({ ...request, required: ['region'] }).survives).toContain('region');
  });
});
