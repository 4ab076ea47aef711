import type { PartyId } from '../network/identity.ts';
import { committeeMedian, type Vote } from './aggregate.ts';
import type { MonitorFinding } from './findings.ts';
import { tidy } from './tidy.ts';
import type { EraVerdict, OracleParameters, Silence } from './types.ts';

/** Fading per challenge: a monitor remembers its last hundred at a provider, since in one era it makes but a few. */
const FADING = 0.99;
/** Challenges without which a group says nothing about silence. */
const ASKED_MIN = 20;

/**
 * Challenges that each monitor made while the provider was there, and those that it left unanswered. A provider that has lost data and signs
 * no denial is found out by this alone, and three challenges of an era are too few for a median to see it.
 * @param findings of this era; monitors that are no more among the groups are forgotten
 */
export function rememberSilence(
  former: Silence,
  findings: readonly MonitorFinding[],
  groups: EraVerdict['groups'],
): Silence {
  const known = new Set(groups.flatMap(({ monitors }) => monitors));
  const next: Record<PartyId, { asked: number; silent: number }> = {};
  for (const [monitor, { asked, silent }] of Object.entries(former)) {
    if (known.has(monitor)) next[monitor] = { asked, silent };
  }
  for (const { monitor, audits, timed } of findings) {
    const reached = audits.filter(({ finding }) => finding !== 'nothing' && finding !== 'unreachable').length;
    if (!timed || reached === 0) continue;
    const silent = audits.filter(({ finding }) => finding === 'silent').length;
    const before = next[monitor.id] ?? { asked: 0, silent: 0 };
    const faded = FADING ** reached;
    next[monitor.id] = {
      asked: tidy(before.asked * faded + reached),
      silent: tidy(before.silent * faded + silent),
    };
  }
  return next;
}

/** Share of challenges left unanswered, by the committee's median; undefined where too few groups know enough. */
export function silentShare(
  silence: Silence,
  groups: EraVerdict['groups'],
  { groupsMin, groupWeightMax }: Pick<OracleParameters, 'groupsMin' | 'groupWeightMax'>,
): number | undefined {
  const votes = groups.flatMap(({ monitors }): Vote[] => {
    const members = monitors.flatMap((id) => silence[id] ?? []);
    const asked = members.reduce((sum, one) => sum + one.asked, 0);
    const silent = members.reduce((sum, one) => sum + one.silent, 0);
    return asked < ASKED_MIN ? [] : [{ value: silent / asked, size: monitors.length }];
  });
  if (votes.length < groupsMin) return undefined;
  const share = committeeMedian(votes, groupWeightMax);
  return share === undefined ? undefined : tidy(share);
}
