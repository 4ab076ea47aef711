import type { StorageClass } from '../network/messages.ts';
import type { Measurement } from './measure.ts';
import { INTEGRITY_MIN, type Integrity } from './reputation.ts';
import type { Standing } from './standing.ts';
import type { OracleParameters, ProviderRecord, Reputation, ScoreComponents } from './types.ts';

/** Everything that an operator may have to be told of. */
export interface Told {
  readonly provider: ProviderRecord;
  readonly standing: Standing;
  readonly reputation: Reputation;
  readonly integrity: Integrity;
  readonly measurement: Measurement;
  readonly components: ScoreComponents;
  readonly placementScore: number | undefined;
  readonly parameters: OracleParameters;
}

/** Why the state is what it is, for an operator: the rule, the part it rests on, and the numbers. */
export function reasonOf(told: Told): string {
  const { provider, standing, reputation, integrity, measurement, parameters, placementScore } = told;
  const { suspended, degraded } = parameters;
  switch (standing.cause) {
    case 'kept':
      return provider.reason;
    case 'undecided':
      return `${provider.state}: ${undecided(measurement, parameters)}`;
    case 'integrity':
      return (
        `${reputation.failures} audits were answered with wrong bytes or a denial: integrity ${short(integrity.mean)} ` +
        `is at or below ${INTEGRITY_MIN}`
      );
    case 'unavailable':
      return `availability ${short(reputation.availability)} is below ${suspended.below}`;
    case 'late':
      return (
        `possession not shown for ${reputation.erasLate} eras: ${short(integrity.timely)} of the challenges answered in time, ` +
        `${short(integrity.silent)} never; ` +
        `${short(measurement.unproven)} of ${short(measurement.reached)} of this era late or unanswered`
      );
    case 'recovering':
      return standing.state === 'suspended'
        ? `${reputation.erasAvailable} of ${suspended.back} eras available again: availability ${short(reputation.availability)}, in time ${short(integrity.timely)}`
        : `${reputation.erasAbove} of ${degraded.back} eras above ${degraded.above} again: score ${short(placementScore)}; ${weakest(told)}`;
    case 'vetting':
      return `${vetting(told)}; ${weakest(told)}`;
    case 'score':
      return (
        `score ${short(placementScore)} is below ${degraded.below} for ${reputation.erasBelow} eras; ` +
        weakest(told)
      );
    case 'good':
      return `score ${short(placementScore)}; ${weakest(told)}`;
  }
}

function undecided({ probed, decision }: Measurement, { groupsMin }: OracleParameters): string {
  if (probed < groupsMin) {
    return `${probed} independent groups reported and ${groupsMin} are needed: nothing is decided`;
  }
  return decision === 'NO_DECISION'
    ? 'the groups are evenly divided: nothing is decided'
    : 'too little was measured: nothing is decided';
}

function vetting({ provider, reputation, parameters }: Told): string {
  const since = new Date(provider.vettingSince).toISOString();
  const { audits, days } = parameters.vetting;
  return `vetting: ${reputation.audits} of ${audits} audits passed, ${days} days from ${since}`;
}

function weakest({ provider, integrity, measurement, components, parameters }: Told): string {
  if (measurement.locationRefuted) {
    return `location refuted by ${measurement.locationRefutedBy.length} monitors: score 0`;
  }
  if (integrity.broken) {
    return `integrity ${short(integrity.value)} is at or below ${INTEGRITY_MIN}: score 0`;
  }
  const least = Object.entries(components)
    .filter((part): part is [keyof ScoreComponents, number] => part[1] !== undefined)
    .sort(([, a], [, b]) => a - b)[0];
  if (least === undefined) return 'no part of it is measured yet';
  const [name, value] = least;
  return `lowest part: ${name} ${short(value)}${detail(name, measurement, provider.description.storageClass, parameters)}`;
}

function detail(
  name: keyof ScoreComponents,
  { p99Ms, bytesPerSecond }: Measurement,
  storageClass: StorageClass,
  { targets }: OracleParameters,
): string {
  const target = targets[storageClass];
  if (name === 'latency') return ` (p99 ${short(p99Ms)} ms, target ${target.p99Ms} ms)`;
  if (name === 'throughput') {
    return ` (p5 ${short(bytesPerSecond)} bytes/s, target ${target.bytesPerSecond} bytes/s)`;
  }
  if (name === 'capacity') return ' (what it says of its space does not hold)';
  return '';
}

function short(value: number | undefined): string {
  return value === undefined ? 'unknown' : String(Number(value.toPrecision(4)));
}
