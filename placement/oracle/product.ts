import { tidy } from './tidy.ts';
import type { ScoreComponents } from './types.ts';

/** S = A^0.35 · I^0.35 · L^0.15 · B^0.10 · C^0.05 (providers-and-sla.md): geometric, so that one bad part cannot be bought back. */
const EXPONENTS: Readonly<Record<keyof ScoreComponents, number>> = {
  availability: 0.35,
  integrity: 0.35,
  latency: 0.15,
  throughput: 0.1,
  capacity: 0.05,
};

/** Parts that were not measured are left out, and the exponents of the others fill their place. Undefined when none was. */
export function scoreOf(components: ScoreComponents): number | undefined {
  const parts = Object.entries(EXPONENTS).flatMap(([name, exponent]) => {
    const value = components[name as keyof ScoreComponents];
    return value === undefined ? [] : [{ value, exponent }];
  });
  const whole = parts.reduce((sum, { exponent }) => sum + exponent, 0);
  if (whole === 0) return undefined;
  return tidy(parts.reduce((score, { value, exponent }) => score * value ** (exponent / whole), 1));
}

/**
 * Exponentially weighted moving average in time: what lies a half-life back counts half.
 * @param former undefined: nothing before; the value itself begins it
 */
export function movingAverage(
  former: number | undefined,
  value: number,
  elapsedMs: number,
  halfLifeMs: number,
): number {
  if (former === undefined) return tidy(value);
  return tidy(value + (former - value) * 2 ** (-elapsedMs / halfLifeMs));
}
