import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  divide,
  emittedAfter,
  geometricShares,
  ICN_EXAMPLE,
  PPM,
} from '../../../placement/ledger/emission.ts';
import { LEDGER_DEFAULTS } from '../../../placement/ledger/parameters.ts';

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

describe('the month table of the example', () => {
  const shares = ICN_EXAMPLE.monthSharesPpm;

  test('has the figures that are known, and sums to the whole', () => {
    expect(shares).toHaveLength(60);
    expect(shares.slice(0, 3)).toEqual([184_000, 150_144, 122_518]);
    expect(sum(shares)).toBe(1_000_000);
    expect(sum(shares.slice(0, 12)) / PPM).toBeCloseTo(0.913, 3);
    expect(ICN_EXAMPLE.supply).toBe(700_000_000n);
  });

  test('falls from month to month, but for what rounding leaves to the last', () => {
    for (let month = 1; month < 59; month++) expect(shares[month]).toBeLessThanOrEqual(shares[month - 1]!);
    expect(shares[59]).toBe(30);
  });

  test('every geometric table sums to the whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 1000 }), (months, ratio) => {
        const table = geometricShares(months, [ratio, 1000]);
        expect(table).toHaveLength(months);
        expect(sum(table)).toBe(PPM);
      }),
      { numRuns: 50 },
    );
  });
});

describe('what was emitted by a moment', () => {
  const table = { monthMs: 1000, emission: { cap: 720_000n, monthSharesPpm: [500_000, 300_000, 200_000] } };

  test.each([
    [-5, 0n],
    [0, 0n],
    [1, 360n],
    [500, 180_000n],
    [1000, 360_000n],
    [1500, 468_000n],
    [2000, 576_000n],
    [3000, 720_000n],
    [1e12, 720_000n],
  ])('after %d ms: %d', (elapsed, emitted) => expect(emittedAfter(table, elapsed)).toBe(emitted));

  test('the first month of the defaults is 18.4 % of the pool', () => {
    const { cap } = LEDGER_DEFAULTS.emission;
    expect(cap).toBe(70_000_000_000_000_000n);
    expect(emittedAfter(LEDGER_DEFAULTS, LEDGER_DEFAULTS.monthMs)).toBe((cap * 184n) / 1000n);
  });

  test('never falls, and never passes the cap', () => {
    const elapsed = fc.integer({ min: 0, max: 5000 });
    fc.assert(
      fc.property(elapsed, elapsed, fc.bigInt({ min: 0n, max: 10n ** 20n }), (one, other, cap) => {
        const with_ = { ...table, emission: { ...table.emission, cap } };
        const [early, late] = [Math.min(one, other), Math.max(one, other)];
        expect(emittedAfter(with_, early)).toBeLessThanOrEqual(emittedAfter(with_, late));
        expect(emittedAfter(with_, late)).toBeLessThanOrEqual(cap);
      }),
    );
  });
});

test('a budget is divided by weight, rounded down, and nothing is lost', () => {
  expect(divide(100n, [1, 1, 1])).toEqual({ parts: [33n, 33n, 33n], rest: 1n });
  expect(divide(100n, [3, 1])).toEqual({ parts: [75n, 25n], rest: 0n });
  expect(divide(100n, [0, 0])).toEqual({ parts: [0n, 0n], rest: 100n });
  fc.assert(
    fc.property(fc.bigInt({ min: 0n }), fc.array(fc.integer({ min: 0, max: PPM })), (budget, weights) => {
      const { parts, rest } = divide(budget, weights);
      expect(parts.reduce((total, part) => total + part, 0n) + rest).toBe(budget);
      expect(rest).toBeGreaterThanOrEqual(0n);
    }),
  );
});
