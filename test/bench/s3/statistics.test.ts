import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { comparisonOf, verdict } from '../../../bench/s3/comparison.ts';
import { figuresOf } from '../../../bench/s3/measure.ts';
import type { Result, Sample } from '../../../bench/s3/measure.ts';
import { quantile, ratioOf } from '../../../bench/s3/statistics.ts';
import { targetOf } from '../../../bench/s3/targets.ts';

describe('quantile', () => {
  test('is the nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, at) => at + 1);
    expect([0, 0.01, 0.5, 0.99, 0.995, 1].map((share) => quantile(hundred, share))).toEqual([
      1, 1, 50, 99, 100, 100,
    ]);
    expect(quantile([7], 0.99)).toBe(7);
    expect(quantile([], 0.5)).toBe(0);
  });

  test('is a value that the share of all values does not exceed, and no smaller one is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 1000 }),
        (values, thousandths) => {
          const found = quantile(Float64Array.from(values).sort(), thousandths / 1000);
          expect(values).toContain(found);
          const upTo = values.filter((value) => value <= found).length;
          const below = values.filter((value) => value < found).length;
          expect(upTo * 1000).toBeGreaterThanOrEqual(thousandths * values.length);
          expect(below * 1000).toBeLessThan(thousandths * values.length);
        },
      ),
    );
  });
});

describe('ratioOf', () => {
  test('is above 1 where ours is better, in either sense', () => {
    expect(ratioOf(300, 100, 'more')).toBe(3);
    expect(ratioOf(50, 100, 'less')).toBe(2);
    expect(ratioOf(200, 100, 'less')).toBe(0.5);
  });

  test('is nothing where a side has nothing', () => {
    for (const better of ['more', 'less'] as const) {
      expect(ratioOf(0, 5, better)).toBeUndefined();
      expect(ratioOf(5, 0, better)).toBeUndefined();
    }
  });
});

function sampleOf(operations: number, cpuSeconds: number, more: Partial<Sample> = {}): Sample {
  return {
    operations,
    failed: 0,
    failure: undefined,
    bytes: operations * 4096,
    keys: 0,
    seconds: 2,
    p50Ms: 1,
    p99Ms: 4,
    maxMs: 9,
    clientCpu: 1,
    usage: { cpuSeconds, peakRssBytes: 1e8, peakAnonymousBytes: 5e7 },
    ...more,
  };
}

test('figures are medians of the rounds; operations and failures are sums', () => {
  const samples = [
    sampleOf(1000, 1),
    sampleOf(4000, 1, { failed: 2, failure: '503' }),
    sampleOf(2000, 1, { failed: 1, failure: 'other' }),
  ];
  expect(figuresOf(samples)).toMatchObject({
    operationsPerSecond: 1000,
    MBps: (1000 * 4096) / 1e6,
    // Of 1000, 250 and 500 µs.
    cpuUs: 500,
    clientShare: 0.5,
    operations: 7000,
    failed: 3,
    failure: '503',
  });
});

test('figures without a known process have no CPU and no memory', () => {
  const figures = figuresOf([sampleOf(10, 1, { usage: undefined })]);
  expect(figures.cpuUs).toBeUndefined();
  expect(figures.peakRssBytes).toBeUndefined();
});

describe('comparisonOf', () => {
  const put: Result['case'] = {
    name: 'put',
    workload: 'put',
    size: 4096,
    concurrency: 16,
    unit: 'bytes',
  };
  const result: Result = {
    case: put,
    figures: {},
    samples: {
      ours: [sampleOf(6000, 2), sampleOf(600, 2), sampleOf(8000, 2)],
      minio: [sampleOf(1000, 4), sampleOf(100, 4), sampleOf(1000, 4)],
    },
  };

  test('pairs the rounds, takes the median of their ratios and says the extremes', () => {
    const comparison = comparisonOf(result, 'ours', 'minio')!;
    expect(comparison.speed).toEqual({ median: 6, least: 6, most: 8 });
    expect(comparison.cpu?.median).toBeCloseTo(12);
    expect(comparison.memory?.median).toBe(1);
    expect(comparison.target).toBe(5);
    expect(verdict(comparison.speed, comparison.target)).toBe('met');
    expect(verdict({ median: 4.9, least: 1, most: 9 }, 5)).toBe('short');
    expect(verdict(undefined, 5)).toBe('');
  });

  test('counts keys where a request has many', () => {
    const list = { ...put, unit: 'keys' } as const;
    const samples = { ours: [sampleOf(1, 1, { keys: 900 })], minio: [sampleOf(9, 1, { keys: 300 })] };
    expect(comparisonOf({ case: list, figures: {}, samples }, 'ours', 'minio')?.speed?.median).toBe(3);
  });

  test('is nothing where a side did not take part', () => {
    expect(comparisonOf(result, 'ours', 'other')).toBeUndefined();
  });
});

test('targets are those of the peer’s product, for the work they are set for', () => {
  const put = { workload: 'put', size: 4096, concurrency: 16 } as const;
  expect(targetOf(put, 'minio-ec2')?.ratio).toBe(5);
  expect(targetOf(put, 'SeaweedFS')?.ratio).toBe(1);
  expect(targetOf({ ...put, concurrency: 1 }, 'minio')).toBeUndefined();
  expect(targetOf(put, 'another')).toBeUndefined();
  expect(targetOf({ ...put, workload: 'degraded', size: 10 * 2 ** 20 }, 'minio')?.ratio).toBe(0.8);
  expect(targetOf({ ...put, workload: 'degraded', size: 10 * 2 ** 20 }, 'cloudserver')).toBeUndefined();
});
