import { figuresOf } from './measure.ts';
import type { Figures, Result, Sample } from './measure.ts';
import { median, ratioOf } from './statistics.ts';
import { targetOf } from './targets.ts';

/** Ours against the peer's in one case; above 1 ours is better in every ratio. */
export interface Comparison {
  readonly name: string;
  /** Operations, or keys, per second. */
  readonly speed: Ratio | undefined;
  /** Server CPU per operation. */
  readonly cpu: Ratio | undefined;
  readonly p50: Ratio | undefined;
  readonly p99: Ratio | undefined;
  readonly memory: Ratio | undefined;
  readonly target: number | undefined;
}

/** Median over the rounds of the ratio in each, for a slow moment of the machine often meets both sides; and the extremes. */
export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Undefined where a side is missing. */
export function comparisonOf(result: Result, ours: string, peer: string): Comparison | undefined {
  const [mine, theirs] = [result.samples[ours], result.samples[peer]];
  if (mine === undefined || theirs === undefined) return undefined;
  const pairs = mine.map(
    (sample, round) => [figuresOf([sample]), figuresOf([theirs[round] as Sample])] as const,
  );
  const ratio = (value: (figures: Figures) => number | undefined, better: 'more' | 'less') =>
    spread(pairs.map(([one, other]) => ratioOf(value(one) ?? 0, value(other) ?? 0, better)));
  const keys = result.case.unit === 'keys';
  return {
    name: result.case.name,
    speed: ratio((figures) => (keys ? figures.keysPerSecond : figures.operationsPerSecond), 'more'),
    cpu: ratio(({ cpuUs }) => cpuUs, 'less'),
    p50: ratio(({ p50Ms }) => p50Ms, 'less'),
    p99: ratio(({ p99Ms }) => p99Ms, 'less'),
    memory: ratio(({ peakRssBytes }) => peakRssBytes, 'less'),
    target: targetOf(result.case, peer)?.ratio,
  };
}

function spread(ratios: readonly (number | undefined)[]): Ratio | undefined {
  const known = ratios.filter((ratio) => ratio !== undefined);
  if (known.length === 0) return undefined;
  return { median: median(known), least: Math.min(...known), most: Math.max(...known) };
}

/** What stands beside a target. */
export function verdict(ratio: Ratio | undefined, target: number | undefined): string {
  if (ratio === undefined || target === undefined) return '';
  return ratio.median >= target ? 'met' : 'short';
}
