import { seededRandom, type Random } from '#placement';
import type { EraVerdict } from '../../placement/oracle/types.ts';
import { percent } from './format.ts';
import { CHALLENGES_EACH, GOOD, LAB_CAPACITY, OracleLab, type Outcome } from './lab.ts';
import { WeighedProvider } from './newDataShare.ts';
import { mean, quantileOf, sortedCopy } from './statistics.ts';
import { lineChart, type Series } from './svg.ts';
import type { Check, Run, RunContext, RunResult } from './types.ts';

/** What a kind of provider does from the first hour on, having served well before. */
interface Kind {
  readonly name: string;
  /** Share of challenges that are answered like that. */
  readonly answers?: readonly [outcome: Outcome, share: number];
  /** Writes of a hundred that it refuses although it says it has room. */
  readonly refuses?: number;
  /** Of what is stored there, the share that it says is used. */
  readonly claims?: number;
  /** Where placement does not turn away from it: why that is. */
  readonly why?: string;
}

const KINDS: readonly Kind[] = [
  { name: 'honest' },
  {
    name: 'wrong bytes, 1 %',
    answers: ['wrong', 0.01],
    why: 'Integrity of 0.99 is above its bound of 0.96, and enters the score with an exponent of 0.35.',
  },
  { name: 'wrong bytes, 10 %', answers: ['wrong', 0.1] },
  { name: 'wrong bytes, all', answers: ['wrong', 1] },
  {
    name: '5 % gone, silent',
    answers: ['silent', 0.05],
    why:
      `Silence counts by the median of the groups' shares: with ${CHALLENGES_EACH} challenges a group, most groups meet none in an era, and the median is 0. ` +
      'Who signs a denial for the same loss is disqualified.',
  },
  {
    name: '30 % gone, silent',
    answers: ['silent', 0.3],
    why: 'It is degraded, and a degraded provider still takes writes, by its weight of free × S².',
  },
  { name: 'fetches elsewhere: late', answers: ['late', 1] },
  {
    name: 'sells space it has not: refuses 40 %',
    refuses: 40,
    why: "Capacity honesty enters the score with an exponent of 0.05; what turns away from it in life is the registry's own window of failed writes, which has no part here.",
  },
  { name: 'holds half of what it took', claims: 0.5, answers: ['missing', 0.5] },
];
const STORED = 0.4 * LAB_CAPACITY;
const WARM_UP = 50;

interface Trace {
  readonly kind: Kind;
  /** By era, means over the kind's providers. */
  readonly scores: number[];
  readonly shares: number[];
  /** First era in a state, by provider. */
  readonly first: Map<string, Map<number, number>>;
}

function simulate(
  context: RunContext,
  weighed: WeighedProvider,
): { traces: Trace[]; each: number; eras: number } {
  const [each, eras] = context.quick ? [4, 30] : [12, 240];
  const random = seededRandom(context.seed + 2);
  const lab = new OracleLab({ providers: KINDS.length * each });
  lab.warmUp(WARM_UP);
  const traces = KINDS.map((kind): Trace => ({ kind, scores: [], shares: [], first: new Map() }));
  for (let era = 1; era <= eras; era++) {
    const kindOf = (provider: number): Kind => KINDS[Math.floor(provider / each)]!;
    const verdicts = lab.era(
      (provider) => ({ ...GOOD, audits: audits(kindOf(provider), random), free: freeOf(kindOf(provider)) }),
      (provider) => observe(kindOf(provider)),
    );
    for (const [number, trace] of traces.entries()) {
      note(trace, era, verdicts.slice(number * each, (number + 1) * each), weighed);
    }
    context.progress(era / eras);
  }
  return { traces, each, eras };
}

function audits({ answers }: Kind, random: Random): Outcome[] {
  return GOOD.audits.map(() => (answers && random.fraction() < answers[1] ? answers[0] : 'ok'));
}

/** What it tells monitors and the gateway alike. */
const freeOf = ({ claims = 1 }: Kind): number => LAB_CAPACITY - STORED * claims;

function observe(kind: Kind) {
  const refusedWithSpace = kind.refuses ?? 0;
  return {
    shards: 1000,
    storedBytes: STORED,
    space: { capacity: LAB_CAPACITY, free: freeOf(kind) },
    writes: 100 - refusedWithSpace,
    refusedWithSpace,
  };
}

function note(trace: Trace, era: number, verdicts: readonly EraVerdict[], weighed: WeighedProvider): void {
  trace.scores.push(mean(verdicts.map(({ placementScore }) => placementScore ?? 0)));
  trace.shares.push(
    mean(verdicts.map(({ state, placementScore }) => weighed.share({ state, score: placementScore }))),
  );
  for (const [at, { state }] of verdicts.entries()) {
    const firsts = trace.first.get(state) ?? new Map<number, number>();
    if (!firsts.has(at)) firsts.set(at, era);
    trace.first.set(state, firsts);
  }
}

/** Median hours to a state, if more than half came there. */
function hoursTo({ first }: Trace, state: string, each: number): number | 'never' {
  const eras = sortedCopy(first.get(state)?.values() ?? []);
  return 2 * eras.length > each ? quantileOf(eras, 0.5) : 'never';
}

function checksOf(traces: readonly Trace[], each: number, eras: number): Check[] {
  return traces.slice(1).map((trace): Check => {
    const { kind, shares, scores } = trace;
    const below = shares.findIndex((share) => share < 0.5);
    // A degraded provider still takes writes: it counts as turned away from by its share only.
    const out = (['disqualified', 'suspended'] as const).find(
      (state) => hoursTo(trace, state, each) !== 'never',
    );
    const agrees = below >= 0 || out !== undefined;
    return {
      what: `${kind.name}: placement turns away`,
      expected: `suspended or disqualified, or less than half of a fair share, within ${eras} h`,
      measured: agrees
        ? `${out ?? 'active'}; below half after ${below < 0 ? 'never' : `${below + 1} h`}`
        : `${hoursTo(trace, 'degraded', each) === 'never' ? 'active' : 'degraded'}, share ${percent(shares.at(-1)!)}`,
      rule: 'median provider of the kind; mean share',
      agrees,
      ...(!agrees && {
        note: `${kind.why ?? ''} Its mean score settles at ${scores.at(-1)!.toFixed(4)}.`.trim(),
      }),
    };
  });
}

function chart(traces: readonly Trace[], of: (trace: Trace) => readonly number[]): Series[] {
  return traces.map((trace) => ({
    name: trace.kind.name,
    points: of(trace).map((value, at) => [at + 1, value] as const),
    dashed: trace.kind === KINDS[0],
  }));
}

async function go(context: RunContext): Promise<RunResult> {
  const { traces, each, eras } = simulate(context, await WeighedProvider.create());
  const at = (values: readonly number[], hour: number): number => values[Math.min(hour, values.length) - 1]!;
  return {
    id: 'liars',
    title: 'Providers that lie',
    method:
      `${each} providers of each kind, all with a long good record, begin to cheat at hour 0. Scores and states by scoreEra; the share of new data by the ` +
      'registry’s own weight (free × S², none for a state that takes no writes), against an equal provider with a score of 1.',
    tables: [
      {
        title: 'Hours to each state (median), and share of new data',
        columns: [
          'kind',
          'degraded',
          'suspended',
          'disqualified',
          'share after 6 h',
          '24 h',
          `${eras} h`,
          'score at the end',
        ],
        rows: traces.map((trace) => [
          trace.kind.name,
          hoursTo(trace, 'degraded', each),
          hoursTo(trace, 'suspended', each),
          hoursTo(trace, 'disqualified', each),
          at(trace.shares, 6),
          at(trace.shares, 24),
          trace.shares.at(-1)!,
          trace.scores.at(-1)!,
        ]),
      },
    ],
    checks: checksOf(traces, each, eras),
    charts: [
      {
        file: 'liars-score',
        title: 'Score for placement after the lie begins',
        svg: lineChart({
          title: 'Score for placement',
          x: { label: 'hours', log: true },
          y: { label: 'mean score', min: 0, max: 1 },
          series: chart(traces, ({ scores }) => scores),
        }),
      },
      {
        file: 'liars-share',
        title: 'Share of new data, of what an equal provider with a score of 1 gets',
        svg: lineChart({
          title: 'Share of new data',
          x: { label: 'hours', log: true },
          y: { label: 'share of a fair share', min: 0, max: 1 },
          series: chart(traces, ({ shares }) => shares),
        }),
      },
    ],
  };
}

export const liars: Run = { name: 'lying providers', seconds: 15, go };
