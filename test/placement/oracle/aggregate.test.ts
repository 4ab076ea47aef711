import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { committeeMedian, outliers, quantile, type Vote } from '../../../placement/oracle/aggregate.ts';
import { groupWeights, independentGroups } from '../../../placement/oracle/groups.ts';

const MAX = 1 / 7;
const one = (value: number): Vote => ({ value, size: 1 });
const monitor = (id: string, operator: string, networkPrefix: string, asn?: number) => ({
  id,
  operator,
  networkPrefix,
  asn,
});

describe('independent groups', () => {
  const since = (id: string, marksSince: number, ...marks: [string, string, number?]) => ({
    ...monitor(id, ...marks),
    marksSince,
  });

  test('sharing an operator, a prefix or the founder’s ASN makes one, and so does a chain of operators and prefixes', () => {
    const groups = independentGroups([
      monitor('a', 'north', '10.0.0.0/24', 1),
      monitor('b', 'north', '10.0.1.0/24'),
      monitor('c', 'east', '10.0.1.0/24', 2),
      monitor('d', 'south', '10.0.2.0/24', 1),
      monitor('e', 'west', '10.0.3.0/24', 3),
      monitor('f', 'mid', '10.0.4.0/24'),
    ]);
    expect(groups).toEqual([
      { name: 'east+north+south', monitors: ['a', 'b', 'c', 'd'] },
      { name: 'mid', monitors: ['f'] },
      { name: 'west', monitors: ['e'] },
    ]);
  });

  test('do not reach for the ASNs of those who join them: what strangers share is its founder’s alone', () => {
    const hosters = [16_509, 24_940, 16_276, 14_061, 15_169, 8075];
    const first = since('first', 0, 'first', '203.0.113.0/24', 3320);
    const liars = hosters.map((asn, i) => since(`liar${i}`, 10 + i, 'liar', `192.0.${i}.0/24`, asn));
    const honest = hosters.map((asn, i) => since(`honest${i}`, 100, `op${i}`, `198.51.${i}.0/24`, asn));
    const groups = independentGroups([first, ...liars, ...honest]);
    expect(groups).toHaveLength(7);
    // By the rules that older logs were decided by, one liar after another drew in the hoster's customers.
    expect(independentGroups([first, ...liars, ...honest], { rules: 1 })).toHaveLength(2);
    expect(independentGroups([first, ...liars, ...honest], {})).toHaveLength(2);
  });

  test('are not merged by a newcomer who claims the marks of several: it joins the earliest', () => {
    const groups = independentGroups([
      since('a', 1, 'claims', '10.0.1.0/24', 3),
      since('b', 0.1, 'north', '10.0.0.0/24', 1),
      since('c', 0.3, 'east', '10.0.1.0/24', 2),
      since('d', 0.2, 'south', '10.0.2.0/24', 3),
    ]);
    expect(groups).toEqual([
      { name: 'claims+south', monitors: ['d', 'a'] },
      { name: 'east', monitors: ['c'] },
      { name: 'north', monitors: ['b'] },
    ]);
    const borrowed = [since('a', 0, 'north', '1'), since('b', 1, 'east', '2'), since('c', 2, 'east', '1')];
    expect(independentGroups(borrowed)).toEqual([
      { name: 'east', monitors: ['b'] },
      { name: 'north', monitors: ['a', 'c'] },
    ]);
  });

  test('of those that were there before are the same whoever comes; each newcomer is with one it is tied to', () => {
    const marks = fc.record({
      operator: fc.constantFrom('p', 'q', 'r', 's', 't'),
      networkPrefix: fc.constantFrom('1', '2', '3', '4', '5', '6'),
      asn: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(marks, { minLength: 1, maxLength: 12 }), (list) => {
        const monitors = list.map((each, at) => ({
          ...each,
          id: String.fromCharCode(97 + ((at * 5) % 13)),
          marksSince: at,
        }));
        const tied = (a: (typeof monitors)[0], b: (typeof monitors)[0]): boolean =>
          a.operator === b.operator || a.networkPrefix === b.networkPrefix;
        const sharesAsn = (a: (typeof monitors)[0], b: (typeof monitors)[0]): boolean =>
          a.asn !== undefined && a.asn === b.asn;
        const groups = independentGroups(monitors.toReversed());
        expect(groups).toEqual(independentGroups(monitors));
        expect(new Set(groups.map(({ name }) => name)).size).toBe(groups.length);
        const last = monitors.at(-1)!;
        const membersOf = (among: ReturnType<typeof independentGroups>): string[] =>
          among
            .map((group) => group.monitors.filter((id) => id !== last.id).join(''))
            .filter((names) => names !== '')
            .sort();
        expect(membersOf(groups)).toEqual(membersOf(independentGroups(monitors.slice(0, -1))));
        const others = groups.find((group) => group.monitors.includes(last.id))!.monitors;
        const founders = new Set(groups.map((group) => group.monitors[0]));
        const isTied = monitors
          .slice(0, -1)
          .some((other) => tied(other, last) || (founders.has(other.id) && sharesAsn(other, last)));
        expect(others.length > 1).toBe(isTied);
      }),
    );
  });

  test('weigh by their monitors, none more than a seventh where there are seven', () => {
    expect(groupWeights([100, 1, 1, 1, 1, 1, 1], MAX)).toEqual(Array.from({ length: 7 }, () => 1 / 7));
    const weights = groupWeights([...Array.from({ length: 20 }, () => 1), 100], MAX);
    expect(weights.at(-1)).toBeCloseTo(1 / 7, 12);
    expect(weights[0]).toBeCloseTo(6 / 7 / 20, 12);
    expect(groupWeights([9, 1, 1], MAX)).toEqual([1 / 3, 1 / 3, 1 / 3]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 40 }), (sizes) => {
        const weights = groupWeights(sizes, MAX);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 9);
        expect(Math.max(...weights)).toBeLessThanOrEqual(Math.max(MAX, 1 / sizes.length) + 1e-9);
      }),
    );
  });
});

describe('the committee', () => {
  test('takes the middle value, or the mean of the two middle ones', () => {
    expect(committeeMedian([], MAX)).toBeUndefined();
    expect(committeeMedian([one(5)], MAX)).toBe(5);
    expect(committeeMedian([3, 1, 2].map(one), MAX)).toBe(2);
    expect(committeeMedian([4, 1, 2, 3].map(one), MAX)).toBe(2.5);
  });

  test('two of seven change nothing where five agree', () => {
    for (const lie of [0, 1e9]) {
      expect(committeeMedian([1, 1, 1, 1, 1, lie, lie].map(one), MAX)).toBe(1);
    }
  });

  test('no minority of the weight moves the median out of the range of the others', () => {
    const votes = fc.array(
      fc.record({ value: fc.double({ min: 0, max: 1, noNaN: true }), size: fc.integer({ min: 1, max: 9 }) }),
      { minLength: 3, maxLength: 15 },
    );
    fc.assert(
      fc.property(votes, fc.nat(), fc.constantFrom(-1e6, 0, 0.5, 1e6), (all, order, lie) => {
        const weights = groupWeights(
          all.map(({ size }) => size),
          MAX,
        );
        let held = 0;
        const liars = new Set<number>();
        for (let i = 0; i < all.length; i++) {
          const index = (i * 7 + order) % all.length;
          if (liars.has(index) || held + weights[index]! >= 0.5 - 1e-6) continue;
          held += weights[index]!;
          liars.add(index);
        }
        const honest = all.filter((_, index) => !liars.has(index)).map(({ value }) => value);
        const said = all.map((vote, index) => (liars.has(index) ? { ...vote, value: lie } : vote));
        const median = committeeMedian(said, MAX)!;
        expect(median).toBeGreaterThanOrEqual(Math.min(...honest));
        expect(median).toBeLessThanOrEqual(Math.max(...honest));
      }),
    );
  });

  test('drops what lies more than 3 MAD off, and keeps near values however much they agree', () => {
    expect(outliers([20, 20, 20, 20, 20, 2000, 0].map(one), MAX, 1)).toEqual(new Set([5, 6]));
    expect(outliers([20, 20, 20, 20, 20, 25, 16].map(one), MAX, 1).size).toBe(0);
    expect(outliers([1, 1, 1, 1, 2, 3, 1].map(one), MAX, 1).size).toBe(0);
  });

  test('never drops more than a third: less than a third cannot move what is left out of the honest range', () => {
    const values = fc.array(fc.double({ min: 1, max: 1000, noNaN: true }), { minLength: 7, maxLength: 15 });
    fc.assert(
      fc.property(values, fc.double({ min: 1, max: 1000, noNaN: true }), (honest, lie) => {
        const liars = Math.ceil(honest.length / 2) - 1;
        const votes = [...honest, ...Array.from({ length: liars }, () => lie)].map(one);
        const dropped = outliers(votes, MAX, 1);
        expect(dropped.size / votes.length).toBeLessThanOrEqual(1 / 3 + 1e-9);
        // Their p50 looks honest, so that they are kept; what they say of p99 is a lie.
        const p99 = votes.map((vote, index) => (index < honest.length ? one(vote.value * 2) : one(1e9)));
        const median = committeeMedian(
          p99.filter((_, index) => !dropped.has(index)),
          MAX,
        )!;
        expect(median).toBeLessThanOrEqual(2 * Math.max(...honest));
      }),
    );
  });

  test('quantiles are by nearest rank', () => {
    expect(quantile([], 0.5)).toBeUndefined();
    expect(quantile([3, 1, 2], 0.05)).toBe(1);
    expect(quantile([3, 1, 2], 0.5)).toBe(2);
    expect(
      quantile(
        Array.from({ length: 100 }, (_, i) => i + 1),
        0.05,
      ),
    ).toBe(5);
  });
});
