import type { PartyId } from '../network/identity.ts';
import type { ProviderId } from '../types.ts';
import { answeredShare, answeringProviders } from './answered.ts';
import type { EraFindings, MonitorFinding } from './findings.ts';
import { bySecondRules } from './parameters.ts';
import type { Stepwise } from './stepwise.ts';
import { tidy } from './tidy.ts';
import type { EraVerdict, MonitorRecord, MonitorVerdict, NetworkState, OracleParameters } from './types.ts';

/** Fewer canaries than this remove nobody, where the window holds as many. */
const CANARIES_MIN = 10;
/** Eras whose agreement is looked at. */
const AGREEMENTS = 8;
/** A monitor that got answers to this share of its probes, and no bad audit, says that a provider is good. */
const GOOD_FROM = 0.9;
/** Who has answers to less than this share of what it was given, two eras in a row, where others were answered, has not asked. */
const ANSWERED_MIN = 0.5;

/** Verdicts on all monitors that were active, in order of id. */
export function* judgeMonitors(
  state: NetworkState,
  findings: EraFindings,
  verdicts: readonly Pick<EraVerdict, 'provider' | 'decision'>[],
): Stepwise<MonitorVerdict[]> {
  const decisions = new Map(verdicts.map(({ provider, decision }) => [provider, decision]));
  const agreements = yield* agreementsOf(findings);
  const answering = bySecondRules(state.parameters)
    ? yield* answeringProviders(findings)
    : new Set<ProviderId>();
  const judged: MonitorVerdict[] = [];
  for (const monitor of findings.monitors) {
    const report = state.open?.reports[monitor.id];
    const isMute = showsNoAnswers(monitor, answeredShare(findings, monitor.id, answering));
    const unanswered = isMute ? answering : new Set<ProviderId>();
    const work = yield* workOf(findings, monitor.id, { decisions, unanswered });
    judged.push(judge(monitor, report, work, agreements.get(monitor.id), state.parameters));
  }
  return judged;
}

function judge(
  monitor: MonitorRecord,
  report: { readonly connected: boolean } | undefined,
  { canaries: told, share }: Work,
  agreement: number | undefined,
  { canary }: OracleParameters,
): MonitorVerdict {
  const canaries = [...monitor.canaries, ...told].slice(-canary.window);
  const agreements = [...monitor.agreements, ...(agreement === undefined ? [] : [agreement])].slice(
    -AGREEMENTS,
  );
  const right = canaries.filter(Boolean).length;
  const accuracy = canaries.length === 0 ? undefined : tidy(right / canaries.length);
  const removed =
    accuracy !== undefined &&
    canaries.length >= Math.min(CANARIES_MIN, canary.window) &&
    accuracy < canary.accuracyMin;
  return {
    monitor: monitor.id,
    reported: report !== undefined,
    connected: report?.connected ?? false,
    canaryAccuracy: accuracy,
    agreement,
    work: share,
    state: removed ? 'removed' : monitor.state,
    reason: removed
      ? `removed: ${right} of its last ${canaries.length} canaries reported right, and ${canary.accuracyMin} is the least share`
      : monitor.state === 'applied'
        ? monitor.reason
        : reasonOf(report, agreements),
    canaries,
    agreements,
  };
}

function reasonOf(
  report: { readonly connected: boolean } | undefined,
  agreements: readonly number[],
): string {
  const flag = agreesByChance(agreements)
    ? `; over ${AGREEMENTS} eras its reports agree with others' no more than by chance`
    : '';
  if (report === undefined) return `did not report${flag}`;
  if (!report.connected) return `was cut off itself: its findings do not count${flag}`;
  return `reported${flag}`;
}

function agreesByChance(agreements: readonly number[]): boolean {
  return agreements.length >= AGREEMENTS && agreements.reduce((sum, each) => sum + each, 0) <= 0;
}

interface Work {
  /** Its canaries of this era, right or not. */
  readonly canaries: readonly boolean[];
  /** Share of the audits given to it that it has done; undefined where none were given. */
  readonly share: number | undefined;
}

/**
 * What a monitor made of what it was given. A report that its evidence does not bear out is as bad as a wrong canary, and so is a canary that
 * it does not report at all, at a provider that was up, when it has left out most of what it was given: an honest one runs out of time at
 * a provider that is slow, or away at the wrong moment. Where it is mute, that there was no answer is as bad. An audit is done when the
 * provider's signature shows it; that there was no answer is accepted of a provider that was not decided 'up'.
 * @param unanswered the providers that answered others and of whom a monitor that is mute has no answers
 */
function* workOf(
  { byMonitor, given }: EraFindings,
  monitor: PartyId,
  {
    decisions,
    unanswered,
  }: {
    readonly decisions: ReadonlyMap<ProviderId, EraVerdict['decision']>;
    readonly unanswered: ReadonlySet<ProviderId>;
  },
): Stepwise<Work> {
  const findings = new Map(byMonitor.get(monitor)?.map((finding) => [finding.provider, finding]));
  const canaries: boolean[] = [];
  let [asked, done] = [0, 0];
  const isIdle = leavesOutMost(given.get(monitor) ?? [], findings, decisions);
  for (const { provider, targets } of given.get(monitor) ?? []) {
    const decision = decisions.get(provider);
    if (decision === undefined) continue;
    const audits = new Map(findings.get(provider)?.audits.map((audit) => [audit.target, audit]));
    for (const [place, target] of targets.entries()) {
      const audit = audits.get(place);
      asked++;
      if (audit !== undefined && !audit.false && (audit.signed || decision !== 'up')) done++;
      const isLeftOut = (isIdle && audit === undefined) || (unanswered.has(provider) && !audit?.signed);
      const skipped = isLeftOut && target.canary !== undefined && decision === 'up';
      const right = audit?.canary ?? (audit?.false || skipped ? false : undefined);
      if (right !== undefined) canaries.push(right);
    }
    yield;
  }
  return { canaries, share: asked === 0 ? undefined : tidy(done / asked) };
}

/** It calls silent or away what answers others, and did so in the era before: once may be an accident. */
function showsNoAnswers({ last }: MonitorRecord, share: number | undefined): boolean {
  return share !== undefined && share < ANSWERED_MIN && (last?.work ?? 1) < ANSWERED_MIN;
}

/** Of what it was given at providers that were up, more than half is not in its report. */
function leavesOutMost(
  tasks: NonNullable<ReturnType<EraFindings['given']['get']>>,
  findings: ReadonlyMap<ProviderId, MonitorFinding>,
  decisions: ReadonlyMap<ProviderId, EraVerdict['decision']>,
): boolean {
  const up = tasks.filter(({ provider }) => decisions.get(provider) === 'up');
  const given = up.reduce((sum, { targets }) => sum + targets.length, 0);
  const reported = up.reduce((sum, { provider }) => sum + (findings.get(provider)?.audits.length ?? 0), 0);
  return 2 * reported < given;
}

/**
 * Correlated Agreement of each monitor with those of other groups (Shnayder et al., EC 2016), over one binary signal per provider: P(match on
 * the shared provider) − P(match on two different ones). Saying the same of all earns exactly 0, whatever it is. Nobody is judged by an era
 * in which the others said the same of all providers.
 */
function* agreementsOf({ monitors, groups, byMonitor }: EraFindings): Stepwise<Map<PartyId, number>> {
  const signals = new Map<PartyId, Signals>();
  for (const { id } of monitors) {
    signals.set(id, signalsOf(byMonitor.get(id) ?? []));
    yield;
  }
  const groupOf = new Map(groups.flatMap((group) => group.monitors.map((id) => [id, group.name] as const)));
  const agreements = new Map<PartyId, number>();
  for (const { id } of monitors) {
    const scores: number[] = [];
    for (const peer of monitors) {
      if (groupOf.get(peer.id) === groupOf.get(id)) continue;
      const score = agreement(signals.get(id)!, signals.get(peer.id)!);
      if (score !== undefined) scores.push(score);
      yield;
    }
    if (scores.length > 0) {
      agreements.set(id, tidy(scores.reduce((sum, score) => sum + score, 0) / scores.length));
    }
  }
  return agreements;
}

type Signals = ReadonlyMap<ProviderId, boolean>;

function signalsOf(findings: readonly MonitorFinding[]): Signals {
  return new Map(
    findings
      .filter(({ finding }) => finding.probes > 0)
      .map(({ provider, finding, audits }) => {
        // Canaries are known to be missing: they tell nothing of the provider.
        const bad = audits.some(({ canary, claim, finding }) =>
          canary === undefined && finding !== 'nothing' ? claim !== 'ok' : false,
        );
        return [provider, !bad && finding.answered >= GOOD_FROM * finding.probes];
      }),
  );
}

/** @returns undefined where they share fewer than two providers, or the peer says the same of all */
function agreement(mine: Signals, peer: Signals): number | undefined {
  let [count, good, others, matches] = [0, 0, 0, 0];
  for (const [provider, isGood] of mine) {
    const isOther = peer.get(provider);
    if (isOther === undefined) continue;
    count++;
    if (isGood) good++;
    if (isOther) others++;
    if (isGood === isOther) matches++;
  }
  if (count < 2 || others === 0 || others === count) return undefined;
  // Matches over all pairs of providers; those on different ones are what is left without the shared.
  const all = good * others + (count - good) * (count - others);
  return (matches * count - all) / (count * (count - 1));
}
