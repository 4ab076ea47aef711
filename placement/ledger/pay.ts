/**
 * What an era's service is worth. Everything is integer arithmetic over base units, bytes, milliseconds and scores in parts per million;
 * every amount is rounded down once, at its end.
 */
import type { Observation } from '../network/messages.ts';
import type { EraVerdict } from '../oracle/types.ts';
import { HOUR_MS, PPM } from './emission.ts';
import type { LedgerParameters } from './types.ts';

export type ProviderObservation = Observation['providers'][number];

/** A GB is 10⁹ bytes. */
const GB = 1_000_000_000n;
const GB_HOUR = GB * BigInt(HOUR_MS);
/** f(S) = clamp((S − 0.90) / 0.09, 0, 1), in ppm of S. */
const SCORE_FLOOR_PPM = 900_000;
const SCORE_RANGE_PPM = 90_000;
/** The subsidy falls to nothing at this utilisation. */
const UTILISATION_END_PERCENT = 70n;

/** What a provider earned in an era, by reason. Base units. */
export interface Earnings {
  readonly storage: bigint;
  readonly egress: bigint;
  readonly repairEgress: bigint;
  readonly capacity: bigint;
}

/** Numerator of f(S) over SCORE_RANGE_PPM. S is rounded to the ppm; unmeasured is 0. */
function scoreFactor(score: number | undefined): number {
  const ppm = Math.round((score ?? 0) * PPM);
  return Math.min(Math.max(ppm - SCORE_FLOOR_PPM, 0), SCORE_RANGE_PPM);
}

/** An era is proven by being up and having shown data in it at least once; who stores nothing has nothing to show. */
function isProven(verdict: EraVerdict, storedBytes: number): boolean {
  return verdict.decision === 'up' && (verdict.audits.passed > 0 || storedBytes === 0);
}

/**
 * @param seen by the gateway; undefined when it saw nothing of the provider
 * @param ms length of the era
 */
export function earningsOf(
  parameters: LedgerParameters,
  verdict: EraVerdict,
  seen: ProviderObservation | undefined,
  ms: number,
): Earnings {
  if (seen === undefined || verdict.state === 'disqualified') {
    return { storage: 0n, egress: 0n, repairEgress: 0n, capacity: 0n };
  }
  const factor = isProven(verdict, seen.storedBytes) ? scoreFactor(verdict.settlementScore) : 0;
  const timeAndScore = BigInt(ms) * BigInt(factor);
  const perGbHour = GB_HOUR * BigInt(SCORE_RANGE_PPM);
  return {
    storage: (parameters.pricePerGbHour * BigInt(seen.storedBytes) * timeAndScore) / perGbHour,
    egress: (parameters.pricePerGbEgress * BigInt(seen.egressBytes)) / GB,
    repairEgress: (parameters.pricePerGbRepairEgress * BigInt(seen.repairEgressBytes)) / GB,
    capacity:
      (parameters.capacityPerGbHour * subsidised(parameters, verdict, seen) * timeAndScore) /
      (perGbHour * UTILISATION_END_PERCENT),
  };
}

/**
 * capacity · max(0, 1 − utilisation / 0.7), in bytes times UTILISATION_END_PERCENT. Counted is room that is there: what is
 * stored and what its last heartbeat called free, within the capacity. None for a provider that takes no full part in new writes.
 */
function subsidised(
  parameters: LedgerParameters,
  verdict: EraVerdict,
  { space, storedBytes }: ProviderObservation,
): bigint {
  if (space === undefined || (verdict.state !== 'active' && verdict.state !== 'degraded')) return 0n;
  const capacity = BigInt(Math.min(space.capacity, storedBytes + space.free, parameters.capacityBytesMax));
  const room = UTILISATION_END_PERCENT * capacity - 100n * BigInt(storedBytes);
  return room > 0n ? room : 0n;
}

/** Percent of its earnings that a provider of this age leaves as a pledge. */
export function withheldPercent(parameters: LedgerParameters, ageMs: number): number {
  const quarter = Math.floor(Math.max(0, ageMs) / parameters.quarterMs);
  const percents = parameters.withheldPercent;
  return percents[Math.min(quarter, percents.length - 1)] ?? 0;
}
