import { formatProfile, type Profile } from '#erasure';
import { seededRandom } from '#placement';
import { meanYearsToLoss } from '../../placement/durability/formulas.ts';
import { LossFleet, type FleetResult, type FleetSetting } from './lossFleet.ts';
import { poissonInterval, Z_999 } from './statistics.ts';
import { lineChart } from './svg.ts';
import type { Check, Run, RunContext, RunResult } from './types.ts';
import { PROFILES, totalOf } from './world.ts';

/** Rates at which chunks are lost within a year that can be simulated. */
const ACCELERATED = { lossRate: 2, repairHours: 72 };
const [SMALL, MAIN, LARGE] = PROFILES as readonly [Profile, Profile, Profile];

interface Case extends Pick<FleetSetting, 'profile' | 'repairAt' | 'repairs' | 'shape'> {
  readonly name: string;
  readonly chunks: number;
}
interface Measured extends Case {
  readonly result: FleetResult;
  /** Losses expected by the formula, at the shard loss rate that was measured. */
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

const FORMULA = { repairs: 'memoryless', shape: 1 } as const;
const CASES: readonly Case[] = [
  { name: '4+2, repair at 5', profile: SMALL, repairAt: 5, chunks: 60_000, ...FORMULA },
  { name: '10+6, repair at 15', profile: MAIN, repairAt: 15, chunks: 100_000, ...FORMULA },
  { name: '10+6, repair at 13', profile: MAIN, repairAt: 13, chunks: 60_000, ...FORMULA },
  { name: '16+8, repair at 20', profile: LARGE, repairAt: 20, chunks: 40_000, ...FORMULA },
  {
    name: '10+6, repair at 13, Weibull 0.7',
    profile: MAIN,
    repairAt: 13,
    chunks: 60_000,
    repairs: 'memoryless',
    shape: 0.7,
  },
  {
    name: '10+6, repair at 13, Weibull 1.5',
    profile: MAIN,
    repairAt: 13,
    chunks: 60_000,
    repairs: 'memoryless',
    shape: 1.5,
  },
  {
    name: '10+6, repair at 13, constant repair time',
    profile: MAIN,
    repairAt: 13,
    chunks: 200_000,
    repairs: 'constant',
    shape: 1,
  },
];

function measure(each: Case, number: number, context: RunContext): Measured {
  const chunks = context.quick ? Math.round(each.chunks / 15) : each.chunks;
  const fleet = new LossFleet(
    // Lifetimes that are not exponential need some generations until the fleet has the ages that it keeps.
    { ...each, chunks, model: ACCELERATED, providers: 5_000, warmUp: each.shape === 1 ? 0.5 : 1.5, years: 1 },
    seededRandom(context.seed + 100 + number),
  );
  const result = fleet.run((share) => context.progress((number + share) / CASES.length));
  const model = { ...ACCELERATED, lossRate: result.lossRate };
  const expected = result.chunkYears / meanYearsToLoss(each.profile, model, each.repairAt);
  const [low, high] = poissonInterval(result.losses);
  return { ...each, result, expected, low, high };
}

function checkOf(each: Measured): Check {
  const { name, repairs, result } = each;
  const [low, high] = poissonInterval(result.losses, Z_999);
  const isConstant = repairs === 'constant';
  const expected = isConstant ? constantLosses(each) : each.expected;
  const agrees = low <= expected && expected <= high;
  const constantNote =
    `The product's formula says ${each.expected.toFixed(0)}: it lets a repair take any time, so that some take very long. Where all take the same, j further ` +
    'losses within that time are about j! times rarer. The formula errs on the safe side.';
  const note =
    `Measured / formula ${(result.losses / expected).toFixed(3)}, more than chance explains. The likely reason: the formula has one rate for all shards; where lives are not ` +
    "exponential a provider's rate depends on its age, and the shards of a chunk on providers of a bad age go sooner one after another.";
  return {
    what: `losses, ${name}`,
    expected,
    measured: result.losses,
    rule: `${isConstant ? 'exact binomial' : 'formula'} within the 99.9 % interval ${low.toFixed(1)} … ${high.toFixed(1)}`,
    agrees,
    ...(isConstant ? { note: constantNote } : !agrees && { note }),
  };
}

/** Where every repair takes as long: from the threshold, more than the spare shards die within that time, each by itself. */
function constantLosses({ profile, repairAt, result }: Measured): number {
  const years = ACCELERATED.repairHours / (365 * 24);
  const dies = -Math.expm1(-result.lossRate * years);
  let lost = 0;
  let ways = 1;
  for (let dead = 0; dead <= repairAt; dead++) {
    if (repairAt - dead < profile.data) lost += ways * dies ** dead * (1 - dies) ** (repairAt - dead);
    ways = (ways * (repairAt - dead)) / (dead + 1);
  }
  let untilThreshold = 0;
  for (let healthy = repairAt + 1; healthy <= totalOf(profile); healthy++) {
    untilThreshold += 1 / (healthy * result.lossRate);
  }
  return (result.chunkYears * lost) / (untilThreshold + years);
}

function go(context: RunContext): RunResult {
  const all = CASES.map((each, number) => measure(each, number, context));
  const rows = all.map(({ name, result, expected, low, high }) => [
    name,
    result.chunkYears,
    result.providerFailures,
    result.lossRate,
    result.losses,
    `${low.toFixed(0)} … ${high.toFixed(0)}`,
    expected,
    result.losses / expected,
  ]);
  return {
    id: 'loss',
    title: 'Loss of chunks against the formula, at accelerated rates',
    method:
      '5,000 providers whose lifetimes have a mean of half a year (200 % a year), 72 h to repair a chunk. A provider dies with all its shards, so that chunks ' +
      'share their bad luck as in life; shards are rebuilt on providers drawn uniformly (the chooser’s place is taken by a plain draw here: millions of shards ' +
      'move). The formula is meanYearsToLoss at the shard loss rate measured.',
    tables: [
      {
        title: 'Lost chunks in a year',
        columns: [
          'case',
          'chunk-years',
          'providers died',
          'shard losses a shard-year',
          'lost',
          '95 %',
          'formula',
          'measured / formula',
        ],
        rows,
      },
    ],
    checks: all.map(checkOf),
    charts: [formulaChart(all)],
  };
}

/** Where the measured points lie on the formula's curves. */
function formulaChart(all: readonly Measured[]) {
  const hours = Array.from({ length: 40 }, (_, at) => 12 * 20 ** (at / 39));
  const cases = all.filter(({ repairs, shape }) => repairs === 'memoryless' && shape === 1);
  const curves = cases.map(({ profile, repairAt }) => ({
    name: `${formatProfile(profile)} repaired at ${repairAt}, formula`,
    dashed: true,
    points: hours.map((repairHours) => {
      const model = { ...ACCELERATED, repairHours };
      return [repairHours, 1 / meanYearsToLoss(profile, model, repairAt)] as const;
    }),
  }));
  const measured = cases.map(({ profile, repairAt, result, low, high }) => ({
    name: `${formatProfile(profile)} at ${repairAt}, measured`,
    dots: true,
    points: [low, result.losses, high].map(
      (losses) => [ACCELERATED.repairHours, losses / result.chunkYears] as const,
    ),
  }));
  return {
    file: 'loss',
    title:
      'Chance that a chunk is lost in a year at 200 % shard losses a year: formula, and what was measured at 72 h with its 95 % interval',
    svg: lineChart({
      title: 'Loss of a chunk a year at 200 % shard losses a year',
      x: { label: 'hours to repair', log: true },
      y: { label: 'losses a chunk and year', log: true },
      series: [...curves, ...measured],
    }),
  };
}

export const lossFormula: Run = { name: 'loss formula', seconds: 14, go };
