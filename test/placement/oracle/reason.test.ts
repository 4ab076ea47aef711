import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { percent } from '../../../placement/percent.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import { reasonOf, type Told } from '../../../placement/oracle/reason.ts';

const WHOLE = { availability: 1, integrity: 1, latency: 1, throughput: 1, capacity: 1 };
const PROVEN = { value: 1, broken: false, disqualifying: false, mean: 1, timely: 1, silent: undefined };

/** Of an active provider that nothing is wrong with, but for these fields. */
function told(fields: {
  components?: Partial<Told['components']>;
  integrity?: Partial<Told['integrity']>;
  placementScore?: number;
  cause?: Told['standing']['cause'];
}): Told {
  return {
    provider: { state: 'active', description: { storageClass: 'ssd' } },
    standing: { state: 'active', cause: fields.cause ?? 'good' },
    reputation: { failures: 4, erasBelow: 3, audits: 7 },
    integrity: { ...PROVEN, ...fields.integrity },
    measurement: { p99Ms: 204.8, bytesPerSecond: 12_345_678, locationRefuted: false },
    components: { ...WHOLE, ...fields.components },
    placementScore: fields.placementScore ?? 0.997_5,
    parameters: ORACLE_DEFAULTS,
  } as unknown as Told;
}

test('a score is a percentage, and no part is blamed where all are whole', () => {
  expect(reasonOf(told({}))).toBe('score 99.75 %');
  expect(reasonOf(told({ components: { throughput: undefined } }))).toBe('score 99.75 %');
});

test('the lowest part is named with what it rests on', () => {
  expect(reasonOf(told({ components: { latency: 0.5 } }))).toBe(
    'score 99.75 %; lowest part: latency 50 % (p99 204.8 ms, target 100 ms)',
  );
  expect(reasonOf(told({ components: { latency: 0.5, availability: 0.25 } }))).toBe(
    'score 99.75 %; lowest part: availability 25 %',
  );
});

test('lateness and silence are not called integrity', () => {
  const reason = (integrity: Partial<Told['integrity']>, value: number): string =>
    reasonOf(told({ components: { integrity: value }, integrity }));
  expect(reason({ timely: 0.9 }, 0.9)).toMatch(/timeliness 90 % \(challenges answered in time\)$/);
  expect(reason({ silent: 0.2 }, 1 - 0.2)).toMatch(
    /timeliness 80 % \(20 % of the challenges never answered\)$/,
  );
  expect(reason({ timely: 0.99 }, 0.98)).toMatch(/integrity 98 % \(by signed audits\)$/);
});

test('a value never looks like the bound that it is below', () => {
  expect(reasonOf(told({ cause: 'score', placementScore: 0.949_999 }))).toBe(
    'score 94.9999 % is below 95 % for 3 eras',
  );
  expect(reasonOf(told({ cause: 'integrity', integrity: { mean: 0.96 } }))).toMatch(
    /integrity 96 % is at or below 96 %$/,
  );
});

test('percentages have the digits that they need', () => {
  expect([0, 1, 0.5, 0.997_5, 0.123_456, 0.999_999, 0.000_001].map((share) => percent(share))).toEqual([
    '0 %',
    '100 %',
    '50 %',
    '99.75 %',
    '12.35 %',
    '99.9999 %',
    '0.0001 %',
  ]);
});

test('percentages are near what they show, and never like a bound of two digits that they are not', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.nat(10_000), (a, b) => {
      const [share, bound] = [a / 1e6, b / 1e4];
      fc.pre(share !== bound);
      expect(Math.abs(Number.parseFloat(percent(share, bound)) - share * 100)).toBeLessThanOrEqual(0.005_001);
      expect(percent(share, bound)).not.toBe(percent(bound));
    }),
  );
});
