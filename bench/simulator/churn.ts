import { formatProfile, type Profile } from '#erasure';
import { ORACLE_DEFAULTS, seededRandom, type Random } from '#placement';
import {
  meanYearsToLoss,
  repairThreshold,
  repairTrafficPerYear,
} from '../../placement/durability/formulas.ts';
import { movingAverage } from '../../placement/oracle/product.ts';
import { exponential, weibull } from './chance.ts';
import { placeSample } from './chunkSample.ts';
import { ChurnSystem, type ChurnResult } from './churnSystem.ts';
import { percent } from './format.ts';
import { lineChart } from './svg.ts';
import type { Check, Run, RunContext, RunResult } from './types.ts';
import { MAIN_PROFILE, PROFILES, USER_BYTES, createWorld, totalOf } from './world.ts';

/** What the thresholds are chosen for: the defaults where nothing is measured. */
export const PLANNED = { lossRate: 0.02, repairHours: 24 };
/** Of every provider's line, what repair may use in all: 400 Gbit/s over 5,000. */
export const REPAIR_BITS_PER_PROVIDER = 80e6;
export const PROVIDERS = 5_000;
const HOURS_YEAR = 365 * 24;
const TOLERANCE = 0.05;

interface Case {
  readonly profile: Profile;
  readonly repairAt: number;
  readonly lossRate: number;
  /** Weibull; 1 is exponential. */
  readonly shape: number;
}
interface Measured extends Case {
  readonly result: ChurnResult;
  readonly years: number;
  /** Of the sample. */
  readonly chunks: number;
  /** Gbit/s in all, by the formula at the loss rate measured. */
  readonly formula: number;
  /** The same with the sum that the formula's logarithm stands for. */
  readonly exact: number;
  readonly measured: number;
}

const CASES: readonly Case[] = [
  ...PROFILES.flatMap((profile) =>
    thresholdsOf(profile).map((repairAt) => ({
      profile,
      repairAt,
      lossRate: 0.02,
      shape: 1,
    })),
  ),
  {
    profile: MAIN_PROFILE,
    repairAt: repairThreshold(MAIN_PROFILE, { lossRate: 0.1, repairHours: 24 }),
    lossRate: 0.1,
    shape: 1,
  },
  { profile: MAIN_PROFILE, repairAt: repairThreshold(MAIN_PROFILE, PLANNED), lossRate: 0.02, shape: 0.7 },
];

/** Repair at once, and at the threshold chosen; for the main profile, what lies around them too. */
function thresholdsOf(profile: Profile): number[] {
  const [atOnce, chosen] = [totalOf(profile) - 1, repairThreshold(profile, PLANNED)];
  return [...new Set(profile === MAIN_PROFILE ? [atOnce, atOnce - 1, chosen, chosen - 1] : [atOnce, chosen])];
}

/** Eras in which a provider must be down until the oracle suspends it: then its shards count as lost. */
function hoursToSuspension(): number {
  const { suspended, halfLifeMs, eraMs } = ORACLE_DEFAULTS;
  let availability = 1;
  let eras = 0;
  for (; availability >= suspended.below; eras++) {
    availability = movingAverage(availability, 0, eraMs, halfLifeMs.placement);
  }
  return (eras * eraMs) / 3_600_000;
}

function measure(each: Case, number: number, context: RunContext): Measured {
  const [count, years] = context.quick ? [2_000, 1] : [24_000, 3];
  const world = createWorld(PROVIDERS, context.seed);
  const random = seededRandom(context.seed + 200 + number);
  const { profile, repairAt, lossRate, shape } = each;
  const sample = placeSample(world, profile, count, random);
  const meanHours = HOURS_YEAR / lossRate;
  const life = (from: Random): number =>
    shape === 1 ? exponential(from, meanHours) : weibull(from, meanHours, shape);
  const setting = {
    model: PLANNED,
    repairAt,
    detectHours: hoursToSuspension(),
    bytesPerSecond: (REPAIR_BITS_PER_PROVIDER * PROVIDERS) / 8,
    years,
    life,
  };
  const result = new ChurnSystem(world, sample, setting, random).run((share) =>
    context.progress((number + share) / CASES.length),
  );
  const bytes = result.bytesByDay.reduce((sum, day) => sum + day, 0);
  const formula = repairTrafficPerYear(profile, result.lossRate, repairAt);
  return {
    ...each,
    result,
    years,
    chunks: count,
    formula: gigabits(formula * USER_BYTES),
    exact: gigabits(exactTraffic(each, result.lossRate) * USER_BYTES),
    measured: gigabits(bytes / years),
  };
}

/** α(n−r+k) / (k · Σ 1/i), i from r+1 to n: ln(n/r) is what the sum tends to. */
function exactTraffic({ profile, repairAt }: Case, lossRate: number): number {
  let sum = 0;
  for (let healthy = repairAt + 1; healthy <= totalOf(profile); healthy++) sum += 1 / healthy;
  return (lossRate * (totalOf(profile) - repairAt + profile.data)) / (profile.data * sum);
}

/** Bytes a year as Gbit/s. */
export function gigabits(bytesPerYear: number): number {
  return (bytesPerYear * 8) / (HOURS_YEAR * 3600) / 1e9;
}

const nameOf = ({ profile, repairAt, lossRate, shape }: Case): string =>
  `${formatProfile(profile)} at ${repairAt}, ${percent(lossRate)}${shape === 1 ? '' : `, Weibull ${shape}`}`;

function checksOf(all: readonly Measured[]): Check[] {
  const traffic = all.map((each): Check => {
    const ratio = each.measured / each.formula;
    const noise = 3 / Math.sqrt(Math.max(1, each.result.repairs));
    const agrees = Math.abs(ratio - 1) <= TOLERANCE;
    return {
      what: `repair traffic, ${nameOf(each)}`,
      expected: each.formula,
      measured: each.measured,
      rule: `within ${percent(TOLERANCE)} of the formula at the loss rate measured`,
      agrees,
      ...(!agrees && {
        note:
          `Measured / formula ${ratio.toFixed(3)}; with the exact sum in place of the logarithm ${(each.measured / each.exact).toFixed(3)}; ` +
          `three standard deviations of ${each.result.repairs} repairs are ${percent(noise)}.`,
      }),
    };
  });
  const expected = all.reduce((sum, each) => sum + expectedLosses(each), 0);
  const lost = all.reduce((sum, { result }) => sum + result.lostChunks, 0);
  return [
    ...traffic,
    {
      what: 'chunks lost in these runs (samples)',
      expected,
      measured: lost,
      rule: 'none; expected by the formula at the rates and repair times measured',
      agrees: lost === 0,
    },
  ];
}

function expectedLosses({ profile, repairAt, result, years, chunks }: Measured): number {
  const { lossRate, repairHours } = result;
  return (chunks * years) / meanYearsToLoss(profile, { lossRate, repairHours }, repairAt);
}

function trafficChart(all: readonly Measured[]) {
  const { data } = MAIN_PROFILE;
  const total = totalOf(MAIN_PROFILE);
  const curve = Array.from({ length: total - data - 1 }, (_, at) => {
    const repairAt = data + 1 + at;
    return [repairAt, gigabits(repairTrafficPerYear(MAIN_PROFILE, 0.02, repairAt) * USER_BYTES)] as const;
  });
  const points = all
    .filter(({ profile, lossRate, shape }) => profile === MAIN_PROFILE && lossRate === 0.02 && shape === 1)
    .map(({ repairAt, measured, result }) => [repairAt, (measured * 0.02) / result.lossRate] as const)
    .sort(([a], [b]) => a - b);
  return {
    file: 'repair-traffic',
    title:
      'Repair traffic of 50 PB in 10+6 at 2 % a year against the number of shards at which repair begins',
    svg: lineChart({
      title: 'Repair traffic of 50 PB, 10+6, 2 % a year',
      x: { label: 'healthy shards at which a chunk is repaired' },
      y: { label: 'Gbit/s in all', min: 0 },
      series: [
        { name: 'formula', dashed: true, points: curve },
        { name: 'measured, scaled to 2 %', points, dots: true },
      ],
    }),
  };
}

function dailyChart(all: readonly Measured[]) {
  const main = all.filter(
    ({ profile, lossRate, shape }) => profile === MAIN_PROFILE && lossRate === 0.02 && shape === 1,
  );
  return {
    file: 'repair-days',
    title: 'Repair traffic by day over a year',
    svg: lineChart({
      title: 'Repair traffic by day, 10+6, 2 % a year',
      x: { label: 'days', min: 0, max: 365 },
      y: { label: 'Gbit/s in all, mean of the day', min: 0 },
      series: main.map((each) => ({
        name: `repair at ${each.repairAt}`,
        points: [...each.result.bytesByDay.subarray(0, 365)].map(
          (bytes, day) => [day, gigabits(bytes * 365)] as const,
        ),
      })),
    }),
  };
}

function go(context: RunContext): RunResult {
  const all = CASES.map((each, number) => measure(each, number, context));
  return {
    id: 'churn',
    title: 'Churn: what repair moves',
    method:
      `${PROVIDERS} providers; one that dies takes all its shards with it and is replaced by an empty one. It is known to be gone after ${hoursToSuspension()} h, when the ` +
      `oracle's availability average falls below its bound. Chunks are classified, put off above the threshold and taken by urgency with the product's functions, within ` +
      `${REPAIR_BITS_PER_PROVIDER / 1e6} Mbit/s a provider; new places by the chooser. Each sampled chunk stands for many: a repair of it takes the bandwidth of all of them. ` +
      `The system starts aged (each chunk at a random point of its way to the threshold) and runs ${all[0]!.years} year${all[0]!.years === 1 ? '' : 's'}. Bytes are those read and those written. All providers are new at the start: with Weibull 0.7, of which the young die more, more die than the mean says.`,
    tables: [
      {
        title: 'Repair traffic of 50 PB',
        columns: [
          'profile at threshold, death rate',
          'providers died',
          'shard losses a year',
          'repairs (sample)',
          'Gbit/s measured',
          'formula',
          'exact sum',
          'measured / formula',
          'mean h to repair',
          'longest h',
        ],
        rows: all.map((each) => [
          nameOf(each),
          each.result.deaths,
          percent(each.result.lossRate),
          each.result.repairs,
          each.measured,
          each.formula,
          each.exact,
          each.measured / each.formula,
          each.result.repairHours,
          each.result.repairHoursMax,
        ]),
      },
    ],
    checks: checksOf(all),
    charts: [trafficChart(all), dailyChart(all)],
  };
}

export const churn: Run = { name: 'churn', seconds: 25, go };
