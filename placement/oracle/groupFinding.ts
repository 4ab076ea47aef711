import { digestQuantile } from '../network/latencyDigest.ts';
import type { PartyId } from '../network/identity.ts';
import type { Location } from '../network/messages.ts';
import { quantile, voiceOf } from './aggregate.ts';
import { lateShare, reachedOf, type MonitorFinding } from './findings.ts';
import type { Group } from './groups.ts';
import { refutesLocation } from './location.ts';
import { tidy } from './tidy.ts';

/** What one independent group says of one provider: its monitors put together. Undefined: it did not measure that. */
export interface GroupFinding {
  readonly name: string;
  readonly monitors: readonly PartyId[];
  /** Share of availability probes that were answered. */
  readonly answered: number | undefined;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** p5 of its throughput probes. */
  readonly bytesPerSecond: number | undefined;
  readonly free: number | undefined;
  /** Of the audits it was to make, the share in which the provider was reached; of those, the share late or without an answer. */
  readonly reached: number | undefined;
  readonly unproven: number | undefined;
  readonly located: boolean;
  /** More than half of its members that can tell say that the provider is not where it claims to be. */
  readonly refuted: boolean;
  readonly locationRefutedBy: readonly PartyId[];
}

/** The groups that report of a provider, in the order of `groups`. @param claimed where the provider says it is */
export function groupFindings(
  groups: readonly Group[],
  findings: readonly MonitorFinding[],
  claimed: Location | undefined,
): GroupFinding[] {
  const byMonitor = new Map(findings.map((finding) => [finding.monitor.id, finding]));
  return groups.flatMap(({ name, monitors }) => {
    const members = monitors.flatMap((id) => byMonitor.get(id) ?? []);
    return members.length === 0 ? [] : [combine(name, members, claimed)];
  });
}

/**
 * By the median of its members, each with one voice for each measure: counts are a member's own word, and a sum would be his who names the
 * largest.
 */
function combine(
  name: string,
  members: readonly MonitorFinding[],
  claimed: Location | undefined,
): GroupFinding {
  const median = (of: (member: MonitorFinding) => number | undefined): number | undefined =>
    tidyOrNone(voiceOf(members.flatMap((member) => of(member) ?? [])));
  return {
    name,
    monitors: members.map(({ monitor }) => monitor.id),
    answered: median(({ finding }) => share(finding.answered, finding.probes)),
    p50Ms: median(({ finding }) => digestQuantile(finding.latency, 0.5)),
    p99Ms: median(({ finding }) => digestQuantile(finding.latency, 0.99)),
    bytesPerSecond: median(({ finding }) => quantile(finding.throughput, 0.05)),
    free: median(({ finding }) => finding.space?.free),
    reached: median(({ audits, assigned }) => share(reachedOf(audits).length, assigned)),
    unproven: median(({ audits, timed }) => (timed ? lateShare(audits) : undefined)),
    ...location(members, claimed),
  };
}

function location(
  members: readonly MonitorFinding[],
  claimed: Location | undefined,
): Pick<GroupFinding, 'located' | 'refuted' | 'locationRefutedBy'> {
  const located = members.flatMap(({ monitor, finding: { rttMinMs } }) =>
    claimed === undefined || monitor.location === undefined || rttMinMs === undefined
      ? []
      : [{ id: monitor.id, refutes: refutesLocation(monitor.location, claimed, rttMinMs) }],
  );
  const refuting = located.filter(({ refutes }) => refutes);
  return {
    located: located.length > 0,
    refuted: 2 * refuting.length > located.length,
    locationRefutedBy: refuting.map(({ id }) => id),
  };
}

function tidyOrNone(value: number | undefined): number | undefined {
  return value === undefined ? undefined : tidy(value);
}

function share(part: number, whole: number): number | undefined {
  return whole === 0 ? undefined : part / whole;
}
