import { NetworkError } from '../network/errors.ts';
import type { PartyId } from '../network/identity.ts';
import type { Finding } from '../network/messages.ts';
import type { ProviderId } from '../types.ts';
import { checkAudit, type AuditTarget, type CheckedAudit } from './evidence.ts';
import { independentGroups, marksSince, order, type Group } from './groups.ts';
import { plausible } from './plausible.ts';
import type { LoggedAssignment, MonitorRecord, NetworkState, VerifiedReport } from './types.ts';

/** One audit that a monitor reported of a target it was given. */
export interface AuditReport extends CheckedAudit {
  /** Place in the task's targets. */
  readonly target: number;
  /** What the monitor says, in its own word. */
  readonly claim: Finding['audits'][number]['outcome'];
}

/** What one monitor reports of one provider, its audits checked. */
export interface MonitorFinding {
  readonly monitor: MonitorRecord;
  readonly provider: ProviderId;
  readonly finding: Finding;
  readonly audits: readonly AuditReport[];
  /** Targets given to it that count: no canaries, none that the gateway removed. */
  readonly assigned: number;
  /** Its clock can be believed: it did not find most providers late. */
  readonly timed: boolean;
}

/** A monitor that finds more than this share of the challenges late at most providers is late itself. */
const LATE_SHARE_MAX = 0.25;
/** Providers without which that cannot be told. */
const PROVIDERS_MIN = 4;

/** All that counts of an era's reports. */
export interface EraFindings {
  readonly era: number;
  /** In order of id, as of the close: one that was removed meanwhile counts no more. */
  readonly monitors: readonly MonitorRecord[];
  readonly groups: readonly Group[];
  readonly byProvider: ReadonlyMap<ProviderId, readonly MonitorFinding[]>;
  readonly byMonitor: ReadonlyMap<PartyId, readonly MonitorFinding[]>;
  /** What was given to each monitor whose report counts. */
  readonly given: ReadonlyMap<PartyId, LoggedAssignment['tasks']>;
}

/**
 * Findings count of active monitors that passed their own connectivity check, on providers they were assigned.
 * @throws NetworkError 'Conflict' when no era is open
 */
export function eraFindings(state: NetworkState): EraFindings {
  if (state.open === undefined) throw new NetworkError('Conflict', 'no era is open');
  const monitors = activeMonitors(state);
  const reports = countedReports(state);
  const all = reports.flatMap(({ monitor, report, assignment }) =>
    assignedFindings(state, assignment, report.findings).map(([finding, targets]) => ({
      monitor,
      provider: finding.provider,
      finding: plausible(finding, targets.length),
      audits: checkAudits(state, monitor, finding, targets),
      assigned: targets.filter(({ canary, removed }) => canary === undefined && !removed).length,
    })),
  );
  const late = lateMonitors(all);
  const findings = all.map((one): MonitorFinding => ({ ...one, timed: !late.has(one.monitor.id) }));
  return {
    era: state.open.era,
    monitors,
    groups: independentGroups(monitors),
    byProvider: Map.groupBy(findings, ({ provider }) => provider),
    byMonitor: Map.groupBy(findings, ({ monitor }) => monitor.id),
    given: new Map(reports.map(({ monitor, assignment }) => [monitor.id, assignment.tasks])),
  };
}

/** Monitors that were slow themselves: an overloaded machine finds everyone late, and must not be taken for their accuser. */
function lateMonitors(findings: readonly Omit<MonitorFinding, 'timed'>[]): Set<PartyId> {
  const late = new Set<PartyId>();
  for (const [monitor, own] of Map.groupBy(findings, (one) => one.monitor.id)) {
    const shares = own.flatMap(({ audits }) => lateShare(audits) ?? []).sort((a, b) => a - b);
    const median = shares[Math.floor((shares.length - 1) / 2)];
    if (shares.length >= PROVIDERS_MIN && median! > LATE_SHARE_MAX) late.add(monitor);
  }
  return late;
}

/** Of the audits in which the provider was reached, the share late or without an answer; undefined when it never was. */
export function lateShare(audits: readonly AuditReport[]): number | undefined {
  const reached = reachedOf(audits);
  const late = reached.filter(({ finding }) => finding === 'late' || finding === 'silent');
  return reached.length === 0 ? undefined : late.length / reached.length;
}

/** Those in which the provider was there. */
export function reachedOf(audits: readonly AuditReport[]): readonly AuditReport[] {
  return audits.filter(({ finding }) => finding !== 'nothing' && finding !== 'unreachable');
}

/**
 * Verifies the evidence of the open era's reports bit by bit, so that `scoreEra` after it takes no long time at once: a signature takes a good
 * part of a millisecond, and a network of thousands has a hundred thousand. Changes no outcome.
 * @param pause lets other work go on; called after each finding
 */
export async function verifyEvidence(state: NetworkState, pause: () => Promise<unknown>): Promise<void> {
  for (const { monitor, report, assignment } of countedReports(state)) {
    for (const [finding, targets] of assignedFindings(state, assignment, report.findings)) {
      checkAudits(state, monitor, finding, targets);
      await pause();
    }
  }
}

function countedReports(state: NetworkState): {
  readonly monitor: MonitorRecord;
  readonly report: VerifiedReport;
  readonly assignment: LoggedAssignment;
}[] {
  const assignments = new Map(
    (state.open?.assignments ?? []).map((assignment) => [assignment.monitor, assignment]),
  );
  return activeMonitors(state).flatMap((monitor) => {
    const report = state.open?.reports[monitor.id];
    const assignment = assignments.get(monitor.id);
    return report?.connected && assignment ? [{ monitor, report, assignment }] : [];
  });
}

/** With the marks that they reported under; who has stated others since, and waits for approval, is heard of what it reported before. */
function activeMonitors({ monitors, open }: NetworkState): MonitorRecord[] {
  return Object.values(monitors)
    .filter(({ id, state }) => state === 'active' || (state === 'applied' && open?.reports[id] !== undefined))
    .map((monitor) => {
      const marks = open?.reports[monitor.id]?.marks;
      if (marks === undefined) return monitor;
      const { operator, networkPrefix, asn } = marks;
      return { ...monitor, operator, networkPrefix, asn, marksSince: marksSince(marks) };
    })
    .sort((a, b) => order(a.id, b.id));
}

function assignedFindings(
  state: NetworkState,
  { tasks }: LoggedAssignment,
  findings: readonly Finding[],
): (readonly [Finding, readonly AuditTarget[]])[] {
  const targets = new Map(tasks.map((task) => [task.provider, task.targets]));
  return findings.flatMap((finding) => {
    const given = targets.get(finding.provider);
    return given === undefined || state.providers[finding.provider] === undefined
      ? []
      : [[finding, given] as const];
  });
}

/** Signatures that were verified before the close: what follows from the same finding, targets and beacon is the same. */
const checked = new WeakMap<
  Finding,
  {
    readonly targets: readonly AuditTarget[];
    readonly beacon: string;
    readonly audits: readonly AuditReport[];
  }
>();

function checkAudits(
  { beacon, era }: NetworkState,
  monitor: MonitorRecord,
  finding: Finding,
  targets: readonly AuditTarget[],
): readonly AuditReport[] {
  const known = checked.get(finding);
  if (known?.targets === targets && known.beacon === beacon) return known.audits;
  const challenge = { beacon, era, provider: finding.provider, monitor: monitor.id };
  const audits = finding.audits.flatMap((audit) => {
    const target = targets[audit.target];
    if (target === undefined) return [];
    return [{ ...checkAudit(challenge, target, audit), target: audit.target, claim: audit.outcome }];
  });
  checked.set(finding, { targets, beacon, audits });
  return audits;
}
