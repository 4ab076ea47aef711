import { groupWeights } from './groups.ts';

/** What one group says of one metric. */
export interface Vote {
  readonly value: number;
  /** Monitors behind it. */
  readonly size: number;
}

interface Weighted {
  readonly value: number;
  readonly weight: number;
}

/**
 * The weighted median of what groups say: the value with half of the weight below it, the mean of two where the half falls between
 * them. Whoever holds less than half of the weight cannot move it out of the range of the others.
 * @returns undefined for no votes
 */
export function committeeMedian(votes: readonly Vote[], weightMax: number): number | undefined {
  return weightedMedian(weighted(votes, weightMax));
}

function weightedMedian(values: readonly Weighted[]): number | undefined {
  const sorted = [...values].sort((a, b) => a.value - b.value);
  const half = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let below = 0;
  for (const [index, { value, weight }] of sorted.entries()) {
    below += weight;
    // Sums of shares like 1/7 miss their value by some last bits.
    if (below > half + 1e-9) return value;
    if (below >= half - 1e-9) return (value + (sorted[index + 1]?.value ?? value)) / 2;
  }
  return undefined;
}

/** Distances, in MADs, beyond which a vote is dropped. */
const MADS_MAX = 3;
/** A committee that agrees to within this share of its median has a MAD no smaller: a digest is no finer (19 % a bucket). */
const MAD_FLOOR_SHARE = 0.1;
/** With no more dropped than this, liars of less than a third of the weight stay a minority of what is left. */
const DROPPED_MAX = 1 / 3;

/**
 * Which votes lie more than 3 MAD (median absolute deviation) from the committee's median, as they stand in `votes`; the farthest of them,
 * and together at most a third of the weight.
 */
export function outliers(votes: readonly Vote[], weightMax: number, floor: number): Set<number> {
  const values = weighted(votes, weightMax);
  const median = weightedMedian(values);
  if (median === undefined) return new Set();
  const distances = values.map(({ value, weight }) => ({ value: Math.abs(value - median), weight }));
  const mad = Math.max(weightedMedian(distances) ?? 0, MAD_FLOOR_SHARE * median, floor);
  const far = [...distances.entries()]
    .filter(([, { value }]) => value > MADS_MAX * mad)
    .sort(([, a], [, b]) => b.value - a.value);
  const dropped = new Set<number>();
  let weight = 0;
  for (const [index, distance] of far) {
    weight += distance.weight;
    if (weight > DROPPED_MAX + 1e-9) break;
    dropped.add(index);
  }
  return dropped;
}

function weighted(votes: readonly Vote[], weightMax: number): Weighted[] {
  const weights = groupWeights(
    votes.map(({ size }) => size),
    weightMax,
  );
  return votes.map(({ value }, index) => ({ value, weight: weights[index]! }));
}

/**
 * What the members of a group say together: the middle value. Of an even number the newest is not heard, so that who joins one that was there
 * alone does not halve what it says.
 * @param values in the order in which the members joined
 */
export function voiceOf(values: readonly number[]): number | undefined {
  const heard = values.length % 2 === 0 ? values.slice(0, -1) : [...values];
  return heard.sort((a, b) => a - b)[heard.length >> 1];
}

/**
 * A quantile of plain values, the nearest rank.
 * @param share in (0, 1]
 */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share - 1e-9) - 1)];
}
