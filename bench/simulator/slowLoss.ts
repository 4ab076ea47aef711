import { seededRandom } from '#placement';
import { INTEGRITY_MIN } from '../../placement/oracle/reputation.ts';
import { percent, short } from './format.ts';
import { CHALLENGES_EACH, GOOD, MONITORS, OracleLab, type Outcome } from './lab.ts';
import { largestGap, mean, quantileOf, sortedCopy, Z_999 } from './statistics.ts';
import { lineChart, type Series } from './svg.ts';
import type { Check, Run, RunContext, RunResult } from './types.ts';

const LOST = [0.001, 0.005, 0.01, 0.05];
const CHALLENGES = MONITORS * CHALLENGES_EACH;
/** Eras of good service before: a reputation fades by 0.001 an audit, and this many fill it. */
const WARM_UP = 50;

interface Cohort {
  readonly lost: number;
  /** Era of the first signed failure; undefined: not within the run. */
  readonly found: (number | undefined)[];
  readonly degraded: (number | undefined)[];
  readonly disqualified: (number | undefined)[];
  /** Eras with a failed audit, of all providers. */
  failing: number;
  /** Mean score for placement, by era. */
  readonly scores: number[];
}

function simulate({ quick, seed, progress }: RunContext): { cohorts: Cohort[]; eras: number; each: number } {
  const [each, eras] = quick ? [15, 40] : [120, 260];
  const random = seededRandom(seed);
  const lab = new OracleLab({ providers: each * LOST.length });
  lab.warmUp(WARM_UP);
  const none = (): undefined[] => Array.from({ length: each }, () => undefined);
  const cohorts = LOST.map((lost): Cohort => ({
    lost,
    found: none(),
    degraded: none(),
    disqualified: none(),
    scores: [],
    failing: 0,
  }));
  for (let era = 1; era <= eras; era++) {
    const verdicts = lab.era((provider) => {
      const lost = LOST[Math.floor(provider / each)]!;
      const audits = GOOD.audits.map((): Outcome => (random.fraction() < lost ? 'missing' : 'ok'));
      return { ...GOOD, audits };
    });
    for (const [number, cohort] of cohorts.entries()) {
      const mine = verdicts.slice(number * each, (number + 1) * each);
      for (const [at, { state, audits }] of mine.entries()) {
        if (audits.missing > 0) {
          cohort.found[at] ??= era;
          cohort.failing++;
        }
        if (state === 'degraded') cohort.degraded[at] ??= era;
        if (state === 'disqualified') cohort.disqualified[at] ??= era;
      }
      cohort.scores.push(mean(mine.map(({ placementScore }) => placementScore ?? 0)));
    }
    progress(era / eras);
  }
  return { cohorts, eras, each };
}

const chance = (lost: number, era: number): number => 1 - (1 - lost) ** (CHALLENGES * era);

function rowOf({ lost, found, degraded, disqualified, scores }: Cohort, each: number): (string | number)[] {
  const known = sortedCopy(found.filter((era) => era !== undefined));
  const middle = (eras: readonly (number | undefined)[]): string => {
    const reached = sortedCopy(eras.filter((era) => era !== undefined));
    if (reached.length === 0) return 'never';
    return `${quantileOf(reached, 0.5)} h (${percent(reached.length / each)})`;
  };
  const expected = Math.log(0.5) / (CHALLENGES * Math.log1p(-lost));
  return [
    percent(lost),
    expected,
    known.length > each / 2 ? quantileOf(known, 0.5) : 'later',
    percent(known.length / each),
    percent(chance(lost, scores.length)),
    scores.at(-1)!,
    middle(degraded),
    middle(disqualified),
  ];
}

function checksOf({ lost, found, failing }: Cohort, each: number, eras: number): Check[] {
  const known = found.filter((era) => era !== undefined);
  const gap = largestGap(known, each, (era) => chance(lost, era));
  // Kolmogorov and Smirnov's bound at 0.1 %.
  const bound = 1.95 / Math.sqrt(each);
  const [trials, expected] = [each * eras, chance(lost, 1)];
  const spread = Z_999 * Math.sqrt((expected * (1 - expected)) / trials);
  return [
    {
      what: `${percent(lost)} lost: chance that an era finds it is 1−(1−f)^${CHALLENGES}`,
      expected,
      measured: failing / trials,
      rule: `within ${short(spread)}, 99.9 % of ${trials.toLocaleString('en-US')} eras`,
      agrees: Math.abs(failing / trials - expected) <= spread,
    },
    {
      what: `${percent(lost)} lost: time to the first failed audit follows 1−(1−f)^c`,
      expected: `largest distance of distributions below ${bound.toFixed(3)}`,
      measured: gap,
      rule: `Kolmogorov–Smirnov at 0.1 % over ${each} providers`,
      agrees: gap < bound,
    },
  ];
}

/** Share of lost shards from which integrity, a share of audits, comes to lie at the bound. */
const BOUND = 1 - INTEGRITY_MIN;

/** Whether loss is found is one thing, whether the provider's standing shows it another. */
function standingChecks(cohorts: readonly Cohort[], each: number, eras: number): Check[] {
  return cohorts.map(({ lost, disqualified, scores }): Check => {
    const out = disqualified.filter((era) => era !== undefined).length / each;
    const isBeyond = lost > BOUND;
    return {
      what: `${percent(lost)} lost: disqualified within ${eras} h where the loss is beyond ${percent(BOUND)}`,
      expected: isBeyond ? 'at least 95 % of them' : 'none',
      measured: percent(out),
      rule: `integrity at or below ${INTEGRITY_MIN}`,
      agrees: isBeyond ? out >= 0.95 : out === 0,
      ...(!isBeyond && {
        note: `found and repaired, but of next to no consequence for the provider: its mean score for placement ends at ${scores.at(-1)!.toFixed(4)}.`,
      }),
    };
  });
}

function go(context: RunContext): RunResult {
  const { cohorts, eras, each } = simulate(context);
  const hours = Array.from({ length: eras }, (_, at) => at + 1);
  const detection = cohorts.flatMap(({ lost, found }): Series[] => [
    {
      name: `${percent(lost)} lost, measured`,
      points: hours.map((hour) => [
        hour,
        found.filter((era) => era !== undefined && era <= hour).length / each,
      ]),
    },
    {
      name: `${percent(lost)}, formula`,
      dashed: true,
      points: hours.map((hour) => [hour, chance(lost, hour)]),
    },
  ]);
  const scores = cohorts.map(({ lost, scores }): Series => ({
    name: `${percent(lost)} lost`,
    points: scores.map((score, at) => [at + 1, score]),
  }));
  return {
    id: 'slow-loss',
    title: 'Providers that have lost a few shards',
    method:
      `${each} providers for each share of lost shards, each with a long good record, ${MONITORS} monitors and ${CHALLENGES_EACH} challenges each: ` +
      `${CHALLENGES} an era (20 rounded up to a whole number a monitor). A challenge that meets a lost shard is answered by a signed denial. ` +
      'Scores and states by scoreEra.',
    tables: [
      {
        title: 'Detection and what follows',
        columns: [
          'lost',
          'median by formula, h',
          'median measured, h',
          `found in ${eras} h`,
          'by formula',
          'score at the end',
          'degraded, median',
          'disqualified, median',
        ],
        rows: cohorts.map((cohort) => rowOf(cohort, each)),
      },
    ],
    checks: [
      ...cohorts.flatMap((cohort) => checksOf(cohort, each, eras)),
      ...standingChecks(cohorts, each, eras),
    ],
    charts: [
      {
        file: 'slow-loss-detection',
        title: 'Share of such providers found by their first failed audit',
        svg: lineChart({
          title: 'Found by the first failed audit',
          x: { label: 'hours', log: true },
          y: { label: 'share of providers', min: 0, max: 1 },
          series: detection,
        }),
      },
      {
        file: 'slow-loss-score',
        title: 'Their score for placement',
        svg: lineChart({
          title: 'Score for placement, mean',
          x: { label: 'hours', min: 0 },
          y: { label: 'score', min: 0, max: 1 },
          series: scores,
        }),
      },
    ],
  };
}

export const slowLoss: Run = { name: 'slow loss', seconds: 30, go };
