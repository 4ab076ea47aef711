import { seededRandom } from '#placement';
import { percent } from './format.ts';
import { CHALLENGES_EACH, GOOD, MONITORS, OracleLab, type Outcome } from './lab.ts';
import { largestGap, mean, quantileOf, sortedCopy } from './statistics.ts';
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
  /** Mean score for placement, by era. */
  readonly scores: number[];
  readonly challenges: number[];
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
    challenges: [],
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
        if (audits.missing > 0) cohort.found[at] ??= era;
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

function checkOf({ lost, found }: Cohort, each: number): Check {
  const known = found.filter((era) => era !== undefined);
  const gap = largestGap(known, each, (era) => chance(lost, era));
  const bound = 1.63 / Math.sqrt(each);
  return {
    what: `detection of ${percent(lost)} lost shards follows 1−(1−f)^c, c = ${CHALLENGES} an era`,
    expected: `largest distance of distributions below ${bound.toFixed(3)}`,
    measured: gap,
    rule: `Kolmogorov–Smirnov at 1 % over ${each} providers`,
    agrees: gap < bound,
  };
}

/** What a provider's state does about it: whether loss is found is one thing, whether it has consequences another. */
function sanctionChecks(cohorts: readonly Cohort[], each: number, eras: number): Check[] {
  return cohorts.map(({ lost, degraded, disqualified, scores }) => {
    const sanctioned = degraded.filter(
      (era, at) => era !== undefined || disqualified[at] !== undefined,
    ).length;
    const agrees = sanctioned >= 0.95 * each;
    return {
      what: `a provider that has lost ${percent(lost)} is degraded or disqualified within ${eras} h`,
      expected: 'at least 95 % of them',
      measured: percent(sanctioned / each),
      rule: 'share of the cohort',
      agrees,
      ...(!agrees && {
        note:
          `Its mean score ends at ${scores.at(-1)!.toFixed(4)}: integrity is a share of audits, and a loss of this size stays above the bounds ` +
          '(degraded below 0.95, score 0 and disqualified at integrity 0.96). The shards found missing are repaired; the provider keeps its place.',
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
    checks: [...cohorts.map((cohort) => checkOf(cohort, each)), ...sanctionChecks(cohorts, each, eras)],
    charts: [
      {
        file: 'slow-loss-detection',
        title: 'Share of such providers found by their first failed audit',
        svg: lineChart({
          title: 'Found by the first failed audit',
          x: { label: 'hours', log: true },
          y: { label: 'share of providers', min: 0, max: 1 },
          series: detection,
          legend: 'left',
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

export const slowLoss: Run = { name: 'slow loss', seconds: 60, go };
