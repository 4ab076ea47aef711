/** Median, percentiles and ratios of what was measured. */
export { median } from '../machine.ts';

/**
 * The smallest value that at least the share of all values does not exceed (nearest rank); 0 of none.
 * @param sorted ascending
 * @param share 0 … 1
 */
export function quantile(sorted: Float64Array | readonly number[], share: number): number {
  if (sorted.length === 0) return 0;
  const rank = Math.ceil(share * sorted.length - 1e-9);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!;
}

/** How many times better ours is than the peer's; undefined where either side has nothing to compare. */
export function ratioOf(ours: number, peers: number, better: 'more' | 'less'): number | undefined {
  const ratio = better === 'more' ? ours / peers : peers / ours;
  return ours > 0 && peers > 0 && Number.isFinite(ratio) ? ratio : undefined;
}
