import { digestQuantile, mergeDigests } from '../network/latencyDigest.ts';
import type { PartyId } from '../network/identity.ts';
import type { Location } from '../network/messages.ts';
import { quantile } from './aggregate.ts';
import { lateShare, type MonitorFinding } from './findings.ts';
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

function combine(
  name: string,
  members: readonly MonitorFinding[],
  claimed: Location | undefined,
): GroupFinding {
  const findings = members.map(({ finding }) => finding);
  const latency = mergeDigests(findings.map((finding) => finding.latency));
  const throughput = findings.flatMap((finding) => finding.throughput);
  const free = findings.flatMap(({ space }) => (space === undefined ? [] : [space.free]));
  return {
    name,
    monitors: members.map(({ monitor }) => monitor.id),
    answered: share(
      sum(findings, ({ answered }) => answered),
      sum(findings, ({ probes }) => probes),
    ),
    p50Ms: tidyOrNone(digestQuantile(latency, 0.5)),
    p99Ms: tidyOrNone(digestQuantile(latency, 0.99)),
    bytesPerSecond: quantile(throughput, 0.05),
    free: quantile(free, 0.5),
    ...possession(members),
    ...location(members, claimed),
  };
}

function possession(members: readonly MonitorFinding[]): Pick<GroupFinding, 'reached' | 'unproven'> {
  const audits = members.flatMap((member) => member.audits);
  const reached = audits.filter(({ finding }) => finding !== 'nothing' && finding !== 'unreachable').length;
  return {
    reached: share(
      reached,
      sum(members, ({ assigned }) => assigned),
    ),
    unproven: lateShare(members.filter(({ timed }) => timed).flatMap((member) => member.audits)),
  };
}

function location(
  members: readonly MonitorFinding[],
  claimed: Location | undefined,
): Pick<GroupFinding, 'located' | 'locationRefutedBy'> {
  const located = members.flatMap(({ monitor, finding: { rttMinMs } }) =>
    claimed === undefined || monitor.location === undefined || rttMinMs === undefined
      ? []
      : [{ id: monitor.id, refutes: refutesLocation(monitor.location, claimed, rttMinMs) }],
  );
  return {
    located: located.length > 0,
    locationRefutedBy: located.filter(({ refutes }) => refutes).map(({ id }) => id),
  };
}

function tidyOrNone(value: number | undefined): number | undefined {
  return value === undefined ? undefined : tidy(value);
}

function share(part: number, whole: number): number | undefined {
  return whole === 0 ? undefined : part / whole;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
