import type { LedgerParameters } from './types.ts';

/** The whole, in parts per million. */
export const PPM = 1_000_000;
export const HOUR_MS = 3_600_000;

/** A month table: the shares of a pool that are given out month by month. */
export interface EmissionTable {
  /** Units of account. */
  readonly supply: bigint;
  readonly monthSharesPpm: readonly number[];
}

/**
 * Shares of `months` months, each `ratio` times the one before, rounded down to the ppm; what that leaves is the last month's. They sum
 * to the whole.
 * @param ratio as a fraction of two integers, so that the table is the same on every machine
 */
export function geometricShares(
  months: number,
  [numerator, denominator]: readonly [number, number],
): number[] {
  const weights = Array.from(
    { length: months },
    (_, month) => BigInt(numerator) ** BigInt(month) * BigInt(denominator) ** BigInt(months - 1 - month),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0n);
  const shares = weights.slice(0, -1).map((weight) => Number((BigInt(PPM) * weight) / sum));
  return [...shares, PPM - shares.reduce((total, share) => total + share, 0)];
}

/**
 * The figures known of Impossible Cloud Network: 700 M in all, 60 months, 18.4 % of the HyperNodes' pool in the first, high first and low
 * last. The months after it are our fit (a geometric row of ratio 0.8160: 18.40, 15.01, 12.25 … %, 91.3 % after a year), no
 * published table, and how much of the supply the pool is is not known: it is a parameter.
 */
export const ICN_EXAMPLE: EmissionTable = {
  supply: 700_000_000n,
  monthSharesPpm: geometricShares(60, [816, 1000]),
};

/** @param cap the pool, base units */
export function emissionOf(table: EmissionTable, cap: bigint): LedgerParameters['emission'] {
  return { cap, monthSharesPpm: table.monthSharesPpm };
}

/**
 * Base units that have been given out `elapsedMs` after the genesis: whole months, and of the month that runs its part, rounded
 * down. Never more than the cap.
 */
export function emittedAfter(
  { emission, monthMs }: Pick<LedgerParameters, 'emission' | 'monthMs'>,
  elapsedMs: number,
): bigint {
  const { cap, monthSharesPpm: shares } = emission;
  const elapsed = Math.max(0, elapsedMs);
  const month = Math.floor(elapsed / monthMs);
  const whole = shares.slice(0, month).reduce((sum, share) => sum + share, 0);
  const running = shares[month] ?? 0;
  const ppmMs = BigInt(whole) * BigInt(monthMs) + BigInt(running) * BigInt(elapsed - month * monthMs);
  return (cap * ppmMs) / (BigInt(PPM) * BigInt(monthMs));
}

/**
 * `budget` among parties by weight: each part rounded down, and what that leaves.
 * @param weights integers ≥ 0; all parts are 0 when all weights are
 */
export function divide(
  budget: bigint,
  weights: readonly number[],
): { readonly parts: readonly bigint[]; readonly rest: bigint } {
  const sum = BigInt(weights.reduce((total, weight) => total + weight, 0));
  const parts = weights.map((weight) => (sum === 0n ? 0n : (budget * BigInt(weight)) / sum));
  return { parts, rest: budget - parts.reduce((total, part) => total + part, 0n) };
}
