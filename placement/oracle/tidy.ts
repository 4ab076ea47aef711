/**
 * Twelve significant digits. Everything the oracle computes is cut to them, so that a replay agrees digit for digit although powers and
 * logarithms may differ in their last bits from one machine to the next.
 */
export function tidy(value: number): number {
  return Number.parseFloat(value.toPrecision(12));
}
