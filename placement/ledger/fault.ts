/** What an outage costs, and the revenue that its price is measured by. */
import { HOUR_MS } from './emission.ts';
import type { LedgerParameters } from './types.ts';

const DAY_MS = 24n * BigInt(HOUR_MS);

/**
 * Price of the part of this era that lies beyond the grace: faultMultiplier times the expected daily revenue for each day, pro rata.
 * @param downBefore ms of outage before the era, @param downAfter at its end
 * @param daily expected daily revenue, base units
 */
export function faultPenalty(
  parameters: LedgerParameters,
  downBefore: number,
  downAfter: number,
  daily: bigint,
): bigint {
  const beyond = (ms: number): number => Math.max(0, ms - parameters.faultGraceMs);
  const faultyMs = BigInt(beyond(downAfter) - beyond(downBefore));
  return (daily * BigInt(parameters.faultMultiplierPercent) * faultyMs) / (100n * DAY_MS);
}

/**
 * The expected daily revenue after an era: the one before, moved towards this era's by ms / (ms + memory). Outages do not move it, or a long one
 * would make itself cheap.
 * @param before undefined for a provider's first era; @param earned in this era of `ms`
 */
export function expectedDaily(
  parameters: LedgerParameters,
  before: bigint | undefined,
  earned: bigint,
  ms: number,
): bigint {
  if (ms === 0) return before ?? 0n;
  const length = BigInt(ms);
  const daily = (earned * DAY_MS) / length;
  if (before === undefined) return daily;
  const memory = BigInt(parameters.revenueMemoryMs);
  return (before * memory + daily * length) / (memory + length);
}
