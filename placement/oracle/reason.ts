import { percent } from '../percent.ts';
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
        `${reputation.failures} audits were answered with wrong bytes or a denial: integrity ${share(integrity.mean, INTEGRITY_MIN)} ` +
        `is at or below ${share(INTEGRITY_MIN)}`
      );
    case 'unavailable':
      return `availability ${share(reputation.availability, suspended.below)} is below ${share(suspended.below)}`;
    case 'late':
      return (
        `possession not shown for ${reputation.erasLate} eras: ${share(integrity.timely)} of the challenges answered in time, ` +
        `${share(integrity.silent)} never; ` +
        `${short(measurement.unproven)} of ${short(measurement.reached)} of this era late or unanswered`
      );
    case 'recovering':
      return standing.state === 'suspended'
        ? `${reputation.erasAvailable} of ${suspended.back} eras available again: availability ${share(reputation.availability)}, in time ${share(integrity.timely)}`
        : `${reputation.erasAbove} of ${degraded.back} eras above ${share(degraded.above)} again: score ${share(placementScore, degraded.above)}${weakest(told)}`;
    case 'vetting':
      return `${vetting(told)}${weakest(told)}`;
    case 'score':
      return (
        `score ${share(placementScore, degraded.below)} is below ${share(degraded.below)} for ${reputation.erasBelow} eras` +
        weakest(told)
      );
    case 'good':
      return `score ${share(placementScore)}${weakest(told)}`;
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

/** What holds the score down most, to be added to a reason; nothing where every part is whole. */
function weakest(told: Told): string {
  const { integrity, measurement, components } = told;
  if (measurement.locationRefuted) {
    return `; location refuted by ${measurement.locationRefutedBy.length} monitors: score 0`;
  }
  if (integrity.broken) {
    return `; integrity ${share(integrity.value, INTEGRITY_MIN)} is at or below ${share(INTEGRITY_MIN)}: score 0`;
  }
  const parts = Object.entries(components).filter(
    (part): part is [keyof ScoreComponents, number] => part[1] !== undefined,
  );
  if (parts.length === 0) return '; no part of it is measured yet';
  const [name, value] = parts.reduce((least, part) => (part[1] < least[1] ? part : least));
  return value < 1 ? `; lowest part: ${described(name, value, told)}` : '';
}

function described(
  name: keyof ScoreComponents,
  value: number,
  { provider, integrity, measurement, parameters }: Told,
): string {
  const target = parameters.targets[provider.description.storageClass];
  const { p99Ms, bytesPerSecond } = measurement;
  switch (name) {
    case 'availability':
      return `availability ${share(value)}`;
    case 'integrity':
      return possession(value, integrity);
    case 'latency':
      return `latency ${share(value)} (p99 ${short(p99Ms)} ms, target ${target.p99Ms} ms)`;
    case 'throughput':
      return `throughput ${share(value)} (p5 ${short(bytesPerSecond)} bytes/s, target ${target.bytesPerSecond} bytes/s)`;
    case 'capacity':
      return `capacity ${share(value)} (what it says of its space does not hold)`;
  }
}

/** This part is the least of three, and only one of them says that data is wrong or lost. */
function possession(value: number, { timely, silent }: Integrity): string {
  if (value === timely) return `timeliness ${share(timely)} (challenges answered in time)`;
  if (silent !== undefined && value === 1 - silent) {
    return `timeliness ${share(value)} (${share(silent)} of the challenges never answered)`;
  }
  return `integrity ${share(value)} (by signed audits)`;
}

function share(value: number | undefined, ...bounds: readonly number[]): string {
  return value === undefined ? 'unknown' : percent(value, ...bounds);
}

function short(value: number | undefined): string {
  return value === undefined ? 'unknown' : String(Number(value.toPrecision(4)));
}
