import { forEachBounded } from '../concurrency.ts';
import { NetworkError } from '../network/errors.ts';
import type { PartyId } from '../network/identity.ts';
import type { Finding } from '../network/messages.ts';
import type { ProviderId } from '../types.ts';
import { checkAudit, checkAuditAside, type AuditTarget, type CheckedAudit } from './evidence.ts';
import { groupWeights, independentGroups, marksSince, order, type Group } from './groups.ts';
import { bySecondRules } from './parameters.ts';
import { plausible } from './plausible.ts';
import type { Stepwise } from './stepwise.ts';
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
/** Most weight of one provider in that: the largest could otherwise hide that it is late itself. */
const PROVIDER_WEIGHT_MAX = 1 / PROVIDERS_MIN;

/** Findings verified at the same time: the pool has four threads, and files are read and written by them, too. */
const ASIDE_MAX = 2;

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
  /** Bytes at each provider; undefined by the first rules, which count providers by head. */
  readonly stored: StoredBytes;
}

type StoredBytes = ReadonlyMap<ProviderId, number> | undefined;

/**
 * Findings count of active monitors that passed their own connectivity check, on providers they were assigned.
 * @throws NetworkError 'Conflict' when no era is open
 */
export function* eraFindings(state: NetworkState): Stepwise<EraFindings> {
  if (state.open === undefined) throw new NetworkError('Conflict', 'no era is open');
  const monitors = activeMonitors(state);
  const byProvider = new Map<ProviderId, MonitorFinding[]>();
  const byMonitor = new Map<PartyId, readonly MonitorFinding[]>();
  const given = new Map<PartyId, LoggedAssignment['tasks']>();
  const stored = storedBytes(state);
  for (const counted of countedReports(state)) {
    const { id } = counted.monitor;
    const own = yield* monitorFindings(state, counted, stored);
    byMonitor.set(id, own);
    given.set(id, counted.assignment.tasks);
    for (const finding of own) {
      const known = byProvider.get(finding.provider);
      if (known === undefined) byProvider.set(finding.provider, [finding]);
      else known.push(finding);
    }
    yield;
  }
  return {
    era: state.open.era,
    monitors,
    groups: independentGroups(monitors, state.parameters),
    byProvider,
    byMonitor,
    given,
    stored,
  };
}

function* monitorFindings(
  state: NetworkState,
  { monitor, report, assignment }: CountedReport,
  stored: StoredBytes,
): Stepwise<readonly MonitorFinding[]> {
  const found: Omit<MonitorFinding, 'timed'>[] = [];
  for (const [finding, targets] of assignedFindings(state, assignment, report.findings)) {
    found.push({
      monitor,
      provider: finding.provider,
      finding: plausible(finding, targets.length),
      audits: checkAudits(state, monitor, finding, targets),
      assigned: targets.filter(({ canary, removed }) => canary === undefined && !removed).length,
    });
    yield;
  }
  const timed = !isLate(found, stored);
  return found.map((one) => ({ ...one, timed }));
}

/** By the gateway's records. */
function storedBytes({ open, parameters }: NetworkState): StoredBytes {
  if (!bySecondRules(parameters)) return undefined;
  return new Map(open?.observation?.providers.map((seen) => [seen.provider, seen.storedBytes]));
}

/**
 * The monitor was slow itself: an overloaded machine finds everyone late, and must not be taken for their accuser. Providers count by what
 * is stored there: with many that hold next to nothing and answer late, somebody could otherwise have nobody's lateness count.
 */
function isLate(own: readonly Omit<MonitorFinding, 'timed'>[], stored: StoredBytes): boolean {
  const shares = own.flatMap(({ provider, audits }) => {
    const share = lateShare(audits);
    return share === undefined ? [] : [{ share, bytes: Math.max(1, stored?.get(provider) ?? 1) }];
  });
  if (shares.length < PROVIDERS_MIN) return false;
  const weights = groupWeights(
    shares.map(({ bytes }) => bytes),
    PROVIDER_WEIGHT_MAX,
  );
  const late = weights.filter((_, index) => shares[index]!.share > LATE_SHARE_MAX);
  return late.reduce((sum, weight) => sum + weight, 0) > 0.5 + 1e-9;
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
 * Verifies the evidence of the open era's reports on other threads, so that the score after it need not: a signature takes a tenth of a
 * millisecond, and a network of thousands has two hundred thousand. Changes no outcome.
 * @param pause lets other work go on; called after each finding
 */
export async function verifyEvidence(state: NetworkState, pause: () => Promise<unknown>): Promise<void> {
  for (const { monitor, report, assignment } of countedReports(state)) {
    const findings = assignedFindings(state, assignment, report.findings);
    await forEachBounded(findings, ASIDE_MAX, async ([finding, targets]) => {
      await checkAuditsAside(state, monitor, finding, targets);
      await pause();
    });
  }
}

interface CountedReport {
  readonly monitor: MonitorRecord;
  readonly report: VerifiedReport;
  readonly assignment: LoggedAssignment;
}

function countedReports(state: NetworkState): CountedReport[] {
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
  const known = knownAudits(finding, targets, beacon);
  if (known !== undefined) return known;
  const challenge = { beacon, era, provider: finding.provider, monitor: monitor.id };
  const audits = givenAudits(finding, targets).map(([audit, target]) =>
    reportOf(audit, checkAudit(challenge, target, audit)),
  );
  checked.set(finding, { targets, beacon, audits });
  return audits;
}

async function checkAuditsAside(
  { beacon, era }: NetworkState,
  monitor: MonitorRecord,
  finding: Finding,
  targets: readonly AuditTarget[],
): Promise<void> {
  if (knownAudits(finding, targets, beacon) !== undefined) return;
  const challenge = { beacon, era, provider: finding.provider, monitor: monitor.id };
  const audits: AuditReport[] = [];
  for (const [audit, target] of givenAudits(finding, targets)) {
    audits.push(reportOf(audit, await checkAuditAside(challenge, target, audit)));
  }
  checked.set(finding, { targets, beacon, audits });
}

function knownAudits(
  finding: Finding,
  targets: readonly AuditTarget[],
  beacon: string,
): readonly AuditReport[] | undefined {
  const known = checked.get(finding);
  return known?.targets === targets && known.beacon === beacon ? known.audits : undefined;
}

/** What is said of targets that were never given says nothing. */
function givenAudits(
  { audits }: Finding,
  targets: readonly AuditTarget[],
): (readonly [Finding['audits'][number], AuditTarget])[] {
  return audits.flatMap((audit) => {
    const target = targets[audit.target];
    return target === undefined ? [] : [[audit, target] as const];
  });
}

function reportOf({ target, outcome }: Finding['audits'][number], audit: CheckedAudit): AuditReport {
  return { ...audit, target, claim: outcome };
}
