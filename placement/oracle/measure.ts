import type { PartyId } from '../network/identity.ts';
import { committeeMedian, outliers, type Vote } from './aggregate.ts';
import type { AuditReport, MonitorFinding } from './findings.ts';
import type { GroupFinding } from './groupFinding.ts';
import { groupWeights } from './groups.ts';
import { bySecondRules } from './parameters.ts';
import type { EraVerdict, OracleParameters } from './types.ts';

/** A committee's p50s within this many ms of each other agree, however fast the provider is. */
const P50_FLOOR_MS = 1;
/** A group that got an answer to less than this share of its probes says that the provider was down. */
const DOWN_BELOW = 0.5;

/** What the committee as a whole says of a provider in an era. Undefined: fewer groups than a decision needs measured it. */
export interface Measurement {
  readonly decision: EraVerdict['decision'];
  /** The groups of the verdict, with weights. */
  readonly groups: EraVerdict['groups'];
  /** Groups that probed. */
  readonly probed: number;
  readonly availability: number | undefined;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly bytesPerSecond: number | undefined;
  readonly free: number | undefined;
  /** Audits in which the provider was reached, and how many of them it failed to prove possession in time: medians, not counts. */
  readonly reached: number;
  readonly unproven: number;
  /** It was there, and no challenge was given out: who holds nothing has nothing to prove. */
  readonly idle: boolean;
  readonly audits: EraVerdict['audits'];
  readonly locationRefutedBy: readonly PartyId[];
  /** By a majority of groups. */
  readonly locationRefuted: boolean;
}

type Medians = Pick<OracleParameters, 'groupsMin' | 'groupWeightMax' | 'rules'>;

export function measure(
  groups: readonly GroupFinding[],
  findings: readonly MonitorFinding[],
  parameters: Medians,
): Measurement {
  const audits = findings.flatMap((finding) => finding.audits);
  const probing = groups.filter(({ answered }) => answered !== undefined);
  const dropped = outlierNames(groups, parameters);
  const kept = groups.filter(({ name }) => !dropped.has(name));
  const median = (of: (group: GroupFinding) => number | undefined, among = groups): number | undefined =>
    enough(votesOf(groups, of), parameters)
      ? committeeMedian(votesOf(among, of), parameters.groupWeightMax)
      : undefined;
  const assigned = findings.reduce((sum, finding) => sum + finding.assigned, 0);
  const unproven = median((group) => group.unproven);
  const reached = unproven === undefined ? 0 : assigned * (median((group) => group.reached) ?? 0);
  const decision = decide(probing, audits, parameters);
  return {
    decision,
    idle: decision === 'up' && assigned === 0,
    groups: verdictGroups(groups, dropped, parameters),
    probed: probing.length,
    availability: median((group) => group.answered),
    p50Ms: median((group) => group.p50Ms, kept),
    p99Ms: median((group) => group.p99Ms, kept),
    bytesPerSecond: median((group) => group.bytesPerSecond),
    free: median((group) => group.free),
    reached,
    unproven: reached * (unproven ?? 0),
    audits: countAudits(audits),
    ...judgeLocation(groups, parameters),
  };
}

/**
 * One answer that the provider signed settles 'up'. 'down' takes more than half of the groups that probed, and so does 'up' without such an
 * answer; with fewer groups than the least, nothing is decided.
 */
function decide(
  probing: readonly GroupFinding[],
  audits: readonly AuditReport[],
  { groupsMin }: Medians,
): EraVerdict['decision'] {
  if (audits.some(({ signed }) => signed)) return 'up';
  if (probing.length < groupsMin) return 'NO_DECISION';
  const down = probing.filter(({ answered }) => answered! < DOWN_BELOW).length;
  if (2 * down > probing.length) return 'down';
  return 2 * down < probing.length ? 'up' : 'NO_DECISION';
}

function outlierNames(groups: readonly GroupFinding[], { groupWeightMax }: Medians): Set<string> {
  const measured = groups.filter(({ p50Ms }) => p50Ms !== undefined);
  const votes = votesOf(measured, ({ p50Ms }) => p50Ms);
  const far = outliers(votes, groupWeightMax, P50_FLOOR_MS);
  return new Set(measured.filter((_, index) => far.has(index)).map(({ name }) => name));
}

function votesOf(groups: readonly GroupFinding[], of: (group: GroupFinding) => number | undefined): Vote[] {
  return groups.flatMap((group) => {
    const value = of(group);
    return value === undefined ? [] : [{ value, size: group.monitors.length }];
  });
}

function enough(votes: readonly Vote[], { groupsMin }: Medians): boolean {
  return votes.length >= groupsMin;
}

function verdictGroups(
  groups: readonly GroupFinding[],
  dropped: ReadonlySet<string>,
  { groupWeightMax }: Medians,
): EraVerdict['groups'] {
  const weights = groupWeights(
    groups.map(({ monitors }) => monitors.length),
    groupWeightMax,
  );
  return groups.map(({ name, monitors, answered, p50Ms, p99Ms }, index) => ({
    group: name,
    monitors,
    weight: weights[index]!,
    answered,
    p99Ms,
    dropped: dropped.has(name)
      ? `its median latency of ${p50Ms!.toFixed(1)} ms is more than 3 MAD from the committee's`
      : undefined,
  }));
}

function countAudits(audits: readonly AuditReport[]): EraVerdict['audits'] {
  const count = (finding: AuditReport['finding']): number =>
    audits.filter((audit) => audit.finding === finding).length;
  return {
    passed: count('passed'),
    late: count('late'),
    wrong: count('wrong'),
    missing: count('missing'),
    silent: count('silent'),
  };
}

/** Refuted by more than half of all groups that report, and not only of those that say where they stand: to say it is up to them. */
function judgeLocation(
  groups: readonly GroupFinding[],
  parameters: Medians,
): Pick<Measurement, 'locationRefuted' | 'locationRefutedBy'> {
  const located = groups.filter((group) => group.located).length;
  const voters = bySecondRules(parameters) ? groups.length : located;
  const refuting = groups.filter(({ refuted }) => refuted);
  return {
    locationRefutedBy: groups.flatMap(({ locationRefutedBy }) => locationRefutedBy),
    locationRefuted: located >= parameters.groupsMin && 2 * refuting.length > voters,
  };
}
