/** Standard deviations of 95 %, and of 99.9 %: what decides, where there are dozens of comparisons and chance must not fail one. */
const Z_95 = 1.96;
export const Z_999 = 3.29;

/** A count's interval if it is Poisson: Byar's approximation, right to a few per cent from a count of 1. */
export function poissonInterval(count: number, z: number = Z_95): readonly [low: number, high: number] {
  const bound = (at: number, side: number): number =>
    at === 0 ? 0 : at * (1 - 1 / (9 * at) + (side * z) / (3 * Math.sqrt(at))) ** 3;
  return [Math.max(0, bound(count, -1)), bound(count + 1, 1)];
}

/** Nearest rank. @param sorted ascending, not empty; @param share in (0, 1] */
export function quantileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share - 1e-9) - 1)]!;
}

export function sortedCopy(values: Iterable<number>): number[] {
  return [...values].sort((a, b) => a - b);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Largest distance between the distribution of a sample and a given one (Kolmogorov–Smirnov), for whole numbers from 1. */
export function largestGap(
  sample: readonly number[],
  size: number,
  cumulative: (at: number) => number,
): number {
  const counts = new Map<number, number>();
  for (const value of sample) counts.set(value, (counts.get(value) ?? 0) + 1);
  const last = Math.max(0, ...sample);
  let found = 0;
  let gap = 0;
  for (let at = 1; at <= last; at++) {
    found += counts.get(at) ?? 0;
    gap = Math.max(gap, Math.abs(found / size - cumulative(at)));
  }
  return gap;
}

export function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}
