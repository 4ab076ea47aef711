/** Random draws, all from one seeded source. */
import type { Random } from '#placement';

/** A seed for something that makes its own draws: 32-bit unsigned. */
export function nextSeed(random: Random): number {
  return Math.floor(random.fraction() * 2 ** 32);
}

/** Uniform in 0 … count − 1. */
export function pick(random: Random, count: number): number {
  return Math.floor(random.fraction() * count);
}

/** @param mean > 0; Infinity gives Infinity */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random.fraction()) * mean;
}

/** Weibull with a mean instead of a scale. Shape 1 is exponential; below, the young die more, above, the old. */
export function weibull(random: Random, mean: number, shape: number): number {
  return (mean / gamma(1 + 1 / shape)) * (-Math.log(1 - random.fraction())) ** (1 / shape);
}

/** Bounded Pareto in [1, most], by inversion. */
export function pareto(random: Random, exponent: number, most: number): number {
  return (1 - random.fraction() * (1 - most ** -exponent)) ** (-1 / exponent);
}

/** The place that a share of a cumulative sum falls into. @param cumulative non-decreasing; the last entry is the whole */
export function pickByShare(random: Random, cumulative: readonly number[]): number {
  const at = random.fraction() * cumulative.at(-1)!;
  const found = cumulative.findIndex((sum) => at < sum);
  return found < 0 ? cumulative.length - 1 : found;
}

/** Cumulative sums of 1/(rank + flatness): a few are large, many are small. */
export function rankedShares(count: number, flatness: number): number[] {
  let sum = 0;
  return Array.from({ length: count }, (_, rank) => (sum += 1 / (rank + 1 + flatness)));
}

/** Γ(x) for 1 ≤ x ≤ 5 by Stirling's series at x + 8: right to 12 digits there. */
function gamma(x: number): number {
  let product = 1;
  let at = x;
  for (; at < 9; at++) product *= at;
  const series = 1 / (12 * at) - 1 / (360 * at ** 3) + 1 / (1260 * at ** 5);
  return (Math.sqrt((2 * Math.PI) / at) * (at / Math.E) ** at * Math.exp(series)) / product;
}
