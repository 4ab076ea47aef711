import { describe, expect, test } from 'vitest';
import { seededRandom } from '#placement';
import { weibull } from '../../bench/simulator/chance.ts';
import { document, report } from '../../bench/simulator/document.ts';
import { GOOD, OracleLab } from '../../bench/simulator/lab.ts';
import { LossFleet } from '../../bench/simulator/lossFleet.ts';
import { RUNS, runAll, type Progress } from '../../bench/simulator/runs.ts';
import { largestGap, mean, poissonInterval } from '../../bench/simulator/statistics.ts';
import { lineChart } from '../../bench/simulator/svg.ts';

const runs = (...names: string[]) => RUNS.filter(({ name }) => names.includes(name));

describe('runs', () => {
  test('the same seed gives the same results, another seed others', async () => {
    const run = (seed: number) =>
      runAll(runs('collusion', 'figures at 50 PB'), { seed, quick: true }, () => undefined);
    const [first, again, other] = [await run(3), await run(3), await run(4)];
    expect(again).toEqual(first);
    expect(other[0]).not.toEqual(first[0]);
    expect(other[1]).toEqual(first[1]);
  });

  test('progress grows to the whole', async () => {
    const seen: Progress[] = [];
    await runAll(runs('collusion', 'figures at 50 PB'), { seed: 1, quick: true }, (progress) =>
      seen.push(progress),
    );
    const shares = seen.map(({ share }) => share);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    expect(seen.at(-1)!.etaSeconds).toBe(0);
  });

  test('what does not agree comes first in the document, with its numbers', async () => {
    const results = await runAll(runs('figures at 50 PB'), { seed: 1, quick: true }, () => undefined);
    const text = document(results, 'the command', 1, 'charts');
    const off = results[0]!.checks.filter(({ agrees }) => !agrees);
    expect(off.map(({ what }) => what)).toEqual(['4+2 at 2 %, 24 h: predicted loss of a chunk a year']);
    expect(text).toContain('## What does not agree');
    expect(text.indexOf(off[0]!.what)).toBeLessThan(text.indexOf('## What follows for 50 PB'));
    expect(text).toContain(
      '![Chunks of 50 PB lost a year against the time to repair](charts/scale-loss.svg)',
    );
    expect(report(results)).toContain('NO');
  });
});

describe('the fleet', () => {
  const setting = {
    profile: { data: 2, parity: 1 },
    model: { lossRate: 2, repairHours: 72 },
    repairAt: 2,
    repairs: 'memoryless',
    shape: 1,
    providers: 400,
    chunks: 4_000,
    warmUp: 0,
    years: 0.5,
  } as const;

  test('loses shards at the rate it is told to, and more chunks when repair is slow', () => {
    const fast = new LossFleet(setting, seededRandom(1)).run(() => undefined);
    const slow = new LossFleet({ ...setting, model: { lossRate: 2, repairHours: 288 } }, seededRandom(1)).run(
      () => undefined,
    );
    expect(fast.lossRate).toBeGreaterThan(1.7);
    expect(fast.lossRate).toBeLessThan(2.3);
    expect(fast.losses).toBeGreaterThan(0);
    expect(slow.losses).toBeGreaterThan(2 * fast.losses);
  });

  test('loses nothing while nobody dies', () => {
    const result = new LossFleet(
      { ...setting, model: { lossRate: 1e-9, repairHours: 72 } },
      seededRandom(1),
    ).run(() => undefined);
    expect(result.losses).toBe(0);
    expect(result.providerFailures).toBe(0);
  });
});

describe('the lab', () => {
  test('runs the oracle: good providers stay active, one that signs wrong answers is disqualified', () => {
    const lab = new OracleLab({ providers: 2 });
    lab.warmUp(10);
    const wrong = { ...GOOD, audits: GOOD.audits.map(() => 'wrong' as const) };
    const verdicts = Array.from({ length: 4 }, () => lab.era((provider) => (provider === 0 ? GOOD : wrong)));
    const [good, bad] = verdicts.at(-1)!;
    expect(good!.state).toBe('active');
    expect(good!.audits).toMatchObject({ passed: 21, wrong: 0 });
    expect(good!.score).toBeGreaterThan(0.97);
    expect(bad!.state).toBe('disqualified');
    expect(verdicts[0]![1]!.audits).toMatchObject({ passed: 0, wrong: 21 });
  });
});

describe('statistics', () => {
  test('Weibull lives have the mean asked for', () => {
    for (const shape of [0.7, 1, 1.5]) {
      const random = seededRandom(7);
      const lives = Array.from({ length: 100_000 }, () => weibull(random, 10, shape));
      expect(mean(lives)).toBeGreaterThan(9.8);
      expect(mean(lives)).toBeLessThan(10.2);
    }
  });

  test('intervals of counts are those of the tables', () => {
    // Exact: 0 … 3.69 and 4.80 … 18.39 (Garwood).
    expect(poissonInterval(0)[0]).toBe(0);
    expect(poissonInterval(0)[1]).toBeCloseTo(3.69, 1);
    expect(poissonInterval(10)[0]).toBeCloseTo(4.8, 1);
    expect(poissonInterval(10)[1]).toBeCloseTo(18.39, 1);
  });

  test('the largest gap between a sample and a distribution', () => {
    expect(largestGap([1, 2, 3, 4], 4, (at) => at / 4)).toBe(0);
    expect(largestGap([4, 4, 4, 4], 4, (at) => at / 4)).toBe(0.75);
  });
});

test('charts escape names, leave out what a logarithm cannot show, and have no number that is none', () => {
  const svg = lineChart({
    title: 'a < b',
    x: { label: 'x', log: true },
    y: { label: 'y', log: true },
    series: [
      {
        name: '"q" & r',
        points: [
          [0, 1],
          [1, 1e-9],
          [10, 0.5],
        ],
      },
      { name: 'empty', points: [] },
    ],
  });
  expect(svg).toContain('a &lt; b');
  expect(svg).toContain('&quot;q&quot; &amp; r');
  expect(svg).not.toMatch(/NaN|Infinity/);
  expect(svg.match(/<polyline[^>]* points="([^"]*)"/)![1]!.split(' ')).toHaveLength(2);
});
