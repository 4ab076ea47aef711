import { chooseProviders, type Candidate, type ProviderInfo } from '#placement';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

function candidate(id: number, site: string, operator: string, weight = 1): Candidate {
  const info: ProviderInfo = {
    id: `p${id}`,
    endpoint: `/p${id}`,
    domain: { region: 'r', site, operator },
    state: 'active',
    capacity: 1,
    free: 1,
  };
  return { info, weight };
}

const arbitraryCandidates = fc
  .array(
    fc.record({
      site: fc.constantFrom('a', 'b', 'c', 'd'),
      operator: fc.constantFrom('w', 'x', 'y', 'z'),
      weight: fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 1e15, noNaN: true })),
    }),
    { maxLength: 12 },
  )
  .map((all) => all.map(({ site, operator, weight }, id) => candidate(id, site, operator, weight)));

const arbitraryRequest = fc.record({
  candidates: arbitraryCandidates,
  count: fc.integer({ min: 1, max: 8 }),
  perDomainMax: fc.integer({ min: 1, max: 3 }),
  taken: arbitraryCandidates.map((all) => all.slice(0, 3).map(({ info }) => info)),
  seed: fc.nat(),
});

function keepsRule(infos: readonly ProviderInfo[], max: number): boolean {
  const sites = Map.groupBy(infos, ({ domain }) => domain.site);
  const operators = Map.groupBy(infos, ({ domain }) => domain.operator);
  return [...sites.values(), ...operators.values()].every((group) => group.length <= max);
}

/** The obvious way: every subset is tried. */
function someSetKeepsRule(
  eligible: readonly ProviderInfo[],
  taken: readonly ProviderInfo[],
  count: number,
  max: number,
): boolean {
  for (let subset = 0; subset < 1 << eligible.length; subset++) {
    const chosen = eligible.filter((_, index) => (subset >> index) & 1);
    if (chosen.length === count && keepsRule([...taken, ...chosen], max)) return true;
  }
  return false;
}

test('chooses different eligible candidates, as many as there are up to count', () => {
  fc.assert(
    fc.property(arbitraryRequest, (request) => {
      const { chosen } = chooseProviders(request);
      const taken = new Set(request.taken.map(({ id }) => id));
      const eligible = request.candidates.filter(({ info, weight }) => weight > 0 && !taken.has(info.id));
      expect(new Set(chosen.map(({ id }) => id)).size).toBe(chosen.length);
      expect(chosen.every((info) => eligible.some((one) => one.info === info))).toBe(true);
      expect(chosen).toHaveLength(Math.min(request.count, eligible.length));
    }),
  );
});

test('keeps the domain rule exactly when some set of candidates does', () => {
  fc.assert(
    fc.property(arbitraryRequest, (request) => {
      const { candidates, taken, perDomainMax } = request;
      const { chosen, domainRuleKept } = chooseProviders(request);
      const ids = new Set(taken.map(({ id }) => id));
      const eligible = candidates
        .filter(({ info, weight }) => weight > 0 && !ids.has(info.id))
        .map(({ info }) => info);
      expect(domainRuleKept).toBe(someSetKeepsRule(eligible, taken, chosen.length, perDomainMax));
      expect(domainRuleKept).toBe(keepsRule([...taken, ...chosen], perDomainMax));
    }),
    { numRuns: 300 },
  );
});

test('the same request gives the same answer, and the seed matters', () => {
  const candidates = Array.from({ length: 20 }, (_, id) => candidate(id, `s${id}`, `o${id}`));
  const choose = (seed: number): string =>
    chooseProviders({ candidates, count: 6, perDomainMax: 2, seed })
      .chosen.map(({ id }) => id)
      .join();
  expect(choose(7)).toBe(choose(7));
  expect(new Set(Array.from({ length: 50 }, (_, seed) => choose(seed))).size).toBeGreaterThan(45);
});

test('finds the set by exchange where taking them in order fails', () => {
  // Only {0, 1} keeps the rule; whoever takes the heavy 2 first is stuck.
  const candidates = [candidate(0, 'a', 'w', 1), candidate(1, 'b', 'x', 1), candidate(2, 'a', 'x', 1e9)];
  for (let seed = 0; seed < 50; seed++) {
    const { chosen, domainRuleKept } = chooseProviders({ candidates, count: 2, perDomainMax: 1, seed });
    expect(chosen.map(({ id }) => id).sort()).toEqual(['p0', 'p1']);
    expect(domainRuleKept).toBe(true);
  }
});

test('breaks the rule by as little as possible', () => {
  const candidates = ['a', 'a', 'a', 'a', 'b', 'b'].map((site, id) => candidate(id, site, `o${id}`));
  for (let seed = 0; seed < 20; seed++) {
    const { chosen, domainRuleKept } = chooseProviders({ candidates, count: 4, perDomainMax: 1, seed });
    expect(domainRuleKept).toBe(false);
    expect(chosen.filter(({ domain }) => domain.site === 'a')).toHaveLength(2);
  }
});

test('heavier candidates are chosen more often, light ones still sometimes', () => {
  const candidates = Array.from({ length: 12 }, (_, id) => candidate(id, `s${id}`, `o${id}`, id < 6 ? 1 : 3));
  const times = Array.from({ length: 12 }, () => 0);
  for (let seed = 0; seed < 2000; seed++) {
    for (const { id } of chooseProviders({ candidates, count: 4, perDomainMax: 1, seed }).chosen) {
      times[Number(id.slice(1))]! += 1;
    }
  }
  for (const light of times.slice(0, 6)) {
    expect(light).toBeGreaterThan(20);
    for (const heavy of times.slice(6)) expect(heavy).toBeGreaterThan(2 * light);
  }
});
