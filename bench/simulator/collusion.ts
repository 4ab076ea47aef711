import { seededRandom, type Random } from '#placement';
import { scoreOf } from '../../placement/oracle/product.ts';
import { GOOD, MONITORS, OracleLab, PROBES, type Seen } from './lab.ts';
import { deviation, mean } from './statistics.ts';
import { lineChart } from './svg.ts';
import type { Check, Run, RunContext, RunResult } from './types.ts';

/** What honest monitors see of a good and of a bad provider. */
const GOOD_UP = 0.995;
const BAD_UP = 0.7;
const BAD_LATENCY_MS = 300;
const COLLUDERS_MAX = 4;

const SMEAR: Seen = {
  answered: 0,
  latencyMs: 1000,
  bytesPerSecond: 1e5,
  audits: GOOD.audits.map(() => 'silent' as const),
};
const PRAISE: Seen = GOOD;

function honest(up: number, latencyMs: number, random: Random): Seen {
  let answered = 0;
  for (let probe = 0; probe < PROBES; probe++) if (random.fraction() < up) answered++;
  const audits = GOOD.audits.map(() => (random.fraction() < up ? ('ok' as const) : ('unreachable' as const)));
  return { ...GOOD, answered, latencyMs, audits };
}

interface Outcome {
  readonly colluders: number;
  /** Scores for placement at the end: by the oracle, and by plain means of what monitors say. */
  readonly good: number;
  readonly bad: number;
  readonly goodPlain: number;
  readonly badPlain: number;
  readonly removed: number;
  /** Standard deviation of what single honest monitors would make of the bad. */
  readonly scatter: number;
}

/** The first half of the providers is good. @param colluders monitors that smear the good and praise the bad */
function simulate(colluders: number, { quick, seed, progress }: RunContext): Outcome {
  const [each, eras] = quick ? [5, 12] : [30, 60];
  const random = seededRandom(seed + 1);
  const lab = new OracleLab({ providers: 2 * each });
  lab.warmUp(20);
  const plain: { good: number[]; bad: number[] } = { good: [], bad: [] };
  const single: number[] = [];
  const isGood = (provider: number): boolean => provider < each;
  let last = lab.era(() => GOOD);
  for (let era = 0; era < eras; era++) {
    const said: Seen[][] = Array.from({ length: 2 * each }, () => []);
    last = lab.era((provider, monitor) => {
      const [up, latencyMs] = isGood(provider) ? [GOOD_UP, GOOD.latencyMs] : [BAD_UP, BAD_LATENCY_MS];
      const truth = honest(up, latencyMs, random);
      const lie = isGood(provider) ? SMEAR : PRAISE;
      const seen = monitor < colluders ? lie : truth;
      said[provider]!.push(seen);
      return seen;
    });
    if (era < eras - 12) continue;
    for (const [provider, seen] of said.entries()) {
      plain[isGood(provider) ? 'good' : 'bad'].push(plainScore(seen, lab));
      if (!isGood(provider)) single.push(plainScore([seen.at(-1)!], lab));
    }
    progress((colluders + (era + 1) / eras) / (COLLUDERS_MAX + 1));
  }
  const scores = last.map(({ placementScore }) => placementScore ?? 0);
  const monitors = Array.from({ length: MONITORS }, (_, number) => lab.monitor(number));
  return {
    colluders,
    good: mean(scores.slice(0, each)),
    bad: mean(scores.slice(each)),
    goodPlain: mean(plain.good),
    badPlain: mean(plain.bad),
    scatter: deviation(single),
    removed: monitors.filter(({ state }) => state === 'removed').length,
  };
}

/** The same score of plain means: what averaging the reports would give. Integrity, which needs proofs, is taken as perfect. */
function plainScore(seen: readonly Seen[], { state }: OracleLab): number {
  const target = state.parameters.targets.ssd;
  const of = (value: (each: Seen) => number): number => mean(seen.map(value));
  const score = scoreOf({
    availability: of(({ answered }) => answered) / PROBES,
    integrity: 1,
    latency: Math.min(1, target.p99Ms / of(({ latencyMs }) => latencyMs)),
    throughput: Math.min(1, of(({ bytesPerSecond }) => bytesPerSecond) / target.bytesPerSecond),
    capacity: undefined,
  });
  return score ?? 0;
}

function checks(outcomes: readonly Outcome[]): Check[] {
  const [none] = outcomes;
  return outcomes.slice(1).flatMap((outcome) => {
    const { colluders, good, bad } = outcome;
    const error = Math.max(Math.abs(good - none!.good), Math.abs(bad - none!.bad));
    const minority = 2 * colluders < MONITORS;
    // A median without a majority of liars stays within what the honest say, and they differ by about this much.
    const tolerance = none!.scatter;
    const held = error <= tolerance;
    return [
      {
        what: minority
          ? `${colluders} of ${MONITORS} colluding groups: scores stay within what honest monitors say`
          : `${colluders} of ${MONITORS}, a majority, break it: the boundary`,
        expected: `error ${minority ? 'at most' : 'above'} ${tolerance.toFixed(4)}`,
        measured: error,
        rule: "largest change of the mean score of the smeared or of the praised, against the standard deviation of one honest monitor's score of the bad",
        agrees: held === minority,
        ...(minority && { note: noteOf(outcome, none!) }),
      },
    ];
  });
}

function noteOf({ good, bad }: Outcome, none: Outcome): string {
  return `${(none.good - good).toFixed(4)} taken from the good, ${(bad - none.bad).toFixed(4)} given to the bad: liars push the median towards the edge of the honest.`;
}

function go(context: RunContext): RunResult {
  const outcomes = Array.from({ length: COLLUDERS_MAX + 1 }, (_, colluders) => simulate(colluders, context));
  const chart = (name: string, of: (outcome: Outcome) => number, dashed = false) => ({
    name,
    dashed,
    points: outcomes.map((outcome) => [outcome.colluders, of(outcome)] as const),
  });
  return {
    id: 'collusion',
    title: 'Monitors that collude',
    method:
      `${MONITORS} monitors of ${MONITORS} groups. Honest ones see good providers (up ${GOOD_UP}) and bad ones (up ${BAD_UP}, p99 ${BAD_LATENCY_MS} ms), each by its ` +
      `own ${PROBES} probes an era. Colluders say that the good are down and silent, and that the bad are perfect. ` +
      'Beside the oracle, the same score from plain means of the reports.',
    tables: [
      {
        title: 'Mean score for placement',
        columns: [
          'colluders',
          'good, oracle',
          'good, plain mean',
          'bad, oracle',
          'bad, plain mean',
          'monitors removed',
          'scatter of one monitor',
        ],
        rows: outcomes.map(({ colluders, good, goodPlain, bad, badPlain, removed, scatter }) => [
          `${colluders} of ${MONITORS}`,
          good,
          goodPlain,
          bad,
          badPlain,
          removed,
          scatter,
        ]),
      },
    ],
    checks: checks(outcomes),
    charts: [
      {
        file: 'collusion',
        title: 'Scores against the number of colluding monitors of seven',
        svg: lineChart({
          title: 'Scores under collusion',
          x: { label: `colluding monitors of ${MONITORS}`, min: 0 },
          y: { label: 'mean score for placement', min: 0, max: 1 },
          series: [
            chart('good, oracle', ({ good }) => good),
            chart('bad, oracle', ({ bad }) => bad),
            chart('good, plain mean', ({ goodPlain }) => goodPlain, true),
            chart('bad, plain mean', ({ badPlain }) => badPlain, true),
          ],
        }),
      },
    ],
  };
}

export const collusion: Run = { name: 'collusion', seconds: 12, go };
