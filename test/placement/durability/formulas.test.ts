import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  anyLoss,
  chunkLossPerYear,
  daysToLoss,
  lossWhenProvidersFail,
  meanYearsToLoss,
  nines,
  repairThreshold,
  repairTrafficPerYear,
} from '../../../placement/durability/formulas.ts';
import { seededRandom } from '../../../placement/time.ts';

const CALM = { lossRate: 0.02, repairHours: 24 };
const ROUGH = { lossRate: 0.1, repairHours: 72 };
const YEAR_HOURS = 8_760;

/** Solves A·x = b by elimination with pivots: the obvious way to the expected time of absorption. */
function solve(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, at) => [...row, right[at]!]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let at = column; at < size; at++) {
      if (Math.abs(rows[at]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = at;
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let at = 0; at < size; at++) {
      if (at === column) continue;
      const factor = rows[at]![column]! / rows[column]![column]!;
      for (let c = column; c <= size; c++) rows[at]![c]! -= factor * rows[column]![c]!;
    }
  }
  return rows.map((row, at) => row[size]! / row[at]!);
}

/** The chain as a generator matrix over the states k…n: −Q·t = 1. */
function absorption(k: number, n: number, repairAt: number, lossRate: number, repairRate: number): number {
  const states = n - k + 1;
  const matrix = Array.from({ length: states }, () => Array.from({ length: states }, () => 0));
  for (let healthy = k; healthy <= n; healthy++) {
    const row = matrix[healthy - k]!;
    row[healthy - k]! += healthy * lossRate;
    if (healthy > k) row[healthy - k - 1]! -= healthy * lossRate;
    if (healthy <= repairAt) {
      row[healthy - k]! += repairRate;
      row[n - k]! -= repairRate;
    }
  }
  return solve(
    matrix,
    matrix.map(() => 1),
  ).at(-1)!;
}

describe('loss of a chunk', () => {
  test.each([
    [10, 6, 15, 3e-20, 1.6e-12],
    [10, 6, 13, 1.5e-14, 3.7e-9],
    [16, 8, 20, 1e-16, 3.6e-10],
    [17, 3, 19, 4e-10, 6e-6],
  ])('%i+%i, repaired at %i: the table of the design', (data, parity, repairAt, calm, rough) => {
    const profile = { data, parity };
    const relative = (found: number, stated: number) => Math.abs(found / stated - 1);
    // Stated to one or two digits.
    expect(relative(chunkLossPerYear(profile, CALM, repairAt), calm)).toBeLessThan(0.08);
    expect(relative(chunkLossPerYear(profile, ROUGH, repairAt), rough)).toBeLessThan(0.08);
  });

  test('agrees with the chain solved as linear equations', () => {
    const drawn = fc.record({
      data: fc.integer({ min: 1, max: 8 }),
      parity: fc.integer({ min: 1, max: 4 }),
      at: fc.integer({ min: -1, max: 3 }),
      lossRate: fc.double({ min: 0.2, max: 5, noNaN: true }),
      repairRate: fc.double({ min: 0.5, max: 20, noNaN: true }),
    });
    fc.assert(
      fc.property(drawn, ({ data, parity, at, lossRate, repairRate }) => {
        const repairAt = data + Math.min(at, parity - 1);
        const model = { lossRate, repairHours: YEAR_HOURS / repairRate };
        const found = meanYearsToLoss({ data, parity }, model, repairAt);
        const exact = absorption(data, data + parity, repairAt, lossRate, repairRate);
        expect(Math.abs(found / exact - 1)).toBeLessThan(1e-6);
      }),
      { numRuns: 200 },
    );
  });

  test('is the product of the design where repair is much faster than loss', () => {
    for (const [data, parity, repairAt] of [
      [4, 2, 5],
      [10, 6, 13],
      [17, 3, 19],
    ] as const) {
      const n = data + parity;
      const repairRate = YEAR_HOURS / CALM.repairHours;
      let years = 0;
      for (let i = repairAt + 1; i <= n; i++) years += 1 / (i * CALM.lossRate);
      for (let i = data; i <= repairAt; i++) years *= repairRate / (i * CALM.lossRate);
      const exact = meanYearsToLoss({ data, parity }, CALM, repairAt);
      expect(Math.abs(exact / years - 1)).toBeLessThan(0.02);
    }
  });

  test('agrees with chunks that live and die by chance', () => {
    const random = seededRandom(7);
    const [data, parity, repairAt, lossRate, repairRate] = [2, 2, 3, 1, 4];
    const runs = 20_000;
    let years = 0;
    for (let run = 0; run < runs; run++) {
      for (let healthy = data + parity; healthy >= data;) {
        const losing = healthy * lossRate;
        const leaving = losing + (healthy <= repairAt ? repairRate : 0);
        years -= Math.log(1 - random.fraction()) / leaving;
        healthy = random.fraction() * leaving < losing ? healthy - 1 : data + parity;
      }
    }
    const model = { lossRate, repairHours: YEAR_HOURS / repairRate };
    // Exponential: the mean of 20,000 has a standard error of 0.7 %.
    expect(Math.abs(years / runs / meanYearsToLoss({ data, parity }, model, repairAt) - 1)).toBeLessThan(
      0.03,
    );
  });

  test('any of many chunks, nines, and a model that makes no sense', () => {
    expect(anyLoss(1e-15, 7e8)).toBeCloseTo(7e-7, 12);
    expect(anyLoss(0.5, 2)).toBeCloseTo(0.75, 12);
    expect([anyLoss(1, 0), anyLoss(1, 3)]).toEqual([0, 1]);
    expect([nines(1e-11), nines(1), nines(0)]).toEqual([11, 0, Infinity]);
    expect(() => meanYearsToLoss({ data: 4, parity: 2 }, { lossRate: 0, repairHours: 1 }, 5)).toThrow(
      RangeError,
    );
  });
});

describe('when to repair', () => {
  test('the smallest number of healthy shards that meets the target; at once where none does', () => {
    const profile = fc.record({
      data: fc.integer({ min: 1, max: 20 }),
      parity: fc.integer({ min: 1, max: 10 }),
    });
    const model = fc.record({
      lossRate: fc.double({ min: 0.001, max: 1, noNaN: true }),
      repairHours: fc.double({ min: 1, max: 500, noNaN: true }),
    });
    fc.assert(
      fc.property(profile, model, ({ data, parity }, found) => {
        const last = data + parity - 1;
        const enough = Array.from({ length: parity - 1 }, (_, at) => data + 1 + at).filter(
          (at) => chunkLossPerYear({ data, parity }, found, at) <= 1e-12,
        );
        expect(repairThreshold({ data, parity }, found)).toBe(enough[0] ?? last);
      }),
      { numRuns: 300 },
    );
  });

  test('small profiles at once, large ones later, and sooner when things get worse', () => {
    expect(repairThreshold({ data: 4, parity: 2 }, CALM)).toBe(5);
    expect(repairThreshold({ data: 10, parity: 6 }, CALM)).toBe(13);
    expect(repairThreshold({ data: 10, parity: 6 }, ROUGH)).toBe(15);
    expect(repairThreshold({ data: 3, parity: 1 }, CALM)).toBe(3);
  });

  test('days to loss: the sum of the waits, none below k', () => {
    const profile = { data: 4, parity: 2 };
    expect(daysToLoss(6, profile, CALM)).toBeCloseTo(365 * 50 * (1 / 6 + 1 / 5 + 1 / 4), 6);
    expect(daysToLoss(4, profile, CALM)).toBeCloseTo((365 * 50) / 4, 6);
    expect(daysToLoss(3, profile, CALM)).toBe(0);
  });

  test('lazier repair moves fewer bytes, and eager repair the bytes of k reads and a write for each loss', () => {
    const profile = { data: 10, parity: 6 };
    const eager = repairTrafficPerYear(profile, 0.02, 15);
    // 16 shards of a tenth each are lost at 2 % a year; 11 shards' bytes for each.
    expect(Math.abs(eager / (0.02 * 1.6 * 11) - 1)).toBeLessThan(0.05);
    expect(repairTrafficPerYear(profile, 0.02, 13)).toBeLessThan(eager / 2);
  });
});

test('the chance that a third of the providers takes a chunk with it, counted out', () => {
  const providers = 9;
  for (const [failed, shards, spare] of [
    [3, 6, 2],
    [3, 6, 1],
    [4, 5, 0],
    [2, 9, 1],
    [3, 4, 3],
  ] as const) {
    let all = 0;
    let lost = 0;
    for (let set = 0; set < 2 ** providers; set++) {
      const bits = Array.from({ length: providers }, (_, at) => (set >> at) & 1);
      if (bits.reduce((sum, bit) => sum + bit, 0) !== failed) continue;
      all++;
      if (bits.slice(0, shards).reduce((sum, bit) => sum + bit, 0) > spare) lost++;
    }
    expect(lossWhenProvidersFail(providers, failed, shards, spare)).toBeCloseTo(lost / all, 12);
  }
  expect(lossWhenProvidersFail(9, 3, 4, -1)).toBe(1);
});
