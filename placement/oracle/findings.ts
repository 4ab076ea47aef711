import { NetworkError } from '../network/errors.ts';
import type { PartyId } from '../network/identity.ts';
import type { Finding } from '../network/messages.ts';
import type { ProviderId } from '../types.ts';
import { checkAudit, type AuditTarget, type CheckedAudit } from './evidence.ts';
import { independentGroups, order, type Group } from './groups.ts';
import type { LoggedAssignment, MonitorRecord, NetworkState } from './types.ts';

/** One audit that a monitor reported of a target it was given. */
export interface AuditReport extends CheckedAudit {
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
}

/** All that counts of an era's reports. */
export interface EraFindings {
  readonly era: number;
  /** In order of id, as of the close: one that was removed meanwhile counts no more. */
  readonly monitors: readonly MonitorRecord[];
  readonly groups: readonly Group[];
  readonly byProvider: ReadonlyMap<ProviderId, readonly MonitorFinding[]>;
  readonly byMonitor: ReadonlyMap<PartyId, readonly MonitorFinding[]>;
}

/**
 * Findings count of active monitors that passed their own connectivity check, on providers they were assigned.
 * @throws NetworkError 'Conflict' when no era is open
 */
export function eraFindings(state: NetworkState): EraFindings {
  if (state.open === undefined) throw new NetworkError('Conflict', 'no era is open');
  const { era, reports, assignments } = state.open;
  const monitors = Object.values(state.monitors)
    .filter((monitor) => monitor.state === 'active')
    .sort((a, b) => order(a.id, b.id));
  const assigned = new Map((assignments ?? []).map((assignment) => [assignment.monitor, assignment]));
  const all = monitors.flatMap((monitor) => {
    const report = reports[monitor.id];
    const assignment = assigned.get(monitor.id);
    if (report === undefined || !report.connected || assignment === undefined) return [];
    return findingsOf(state, monitor, assignment, report.findings);
  });
  return {
    era,
    monitors,
    groups: independentGroups(monitors),
    byProvider: Map.groupBy(all, ({ provider }) => provider),
    byMonitor: Map.groupBy(all, ({ monitor }) => monitor.id),
  };
}

function findingsOf(
  state: NetworkState,
  monitor: MonitorRecord,
  { tasks }: LoggedAssignment,
  findings: readonly Finding[],
): MonitorFinding[] {
  const targets = new Map(tasks.map((task) => [task.provider, task.targets]));
  return findings.flatMap((finding) => {
    const given = targets.get(finding.provider);
    if (given === undefined || state.providers[finding.provider] === undefined) return [];
    const { provider } = finding;
    const assigned = given.filter(({ canary, removed }) => canary === undefined && !removed).length;
    return [{ monitor, provider, finding, audits: checkAudits(state, monitor, finding, given), assigned }];
  });
}

function checkAudits(
  { beacon, era }: NetworkState,
  monitor: MonitorRecord,
  { provider, audits }: Finding,
  targets: readonly AuditTarget[],
): AuditReport[] {
  const challenge = { beacon, era, provider, monitor: monitor.id };
  return audits.flatMap((audit) => {
    const target = targets[audit.target];
    return target === undefined ? [] : [{ ...checkAudit(challenge, target, audit), claim: audit.outcome }];
  });
}
