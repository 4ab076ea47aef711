import type { PartyId } from '../network/identity.ts';
import { committeeMedian, voiceOf, type Vote } from './aggregate.ts';
import { reachedOf, type MonitorFinding } from './findings.ts';
import type { Group } from './groups.ts';
import type { Fading } from './reputation.ts';
import { tidy } from './tidy.ts';
import type { OracleParameters, Silence } from './types.ts';

/** Fading per challenge: a monitor remembers its last hundred at a provider, since in one era it makes but a few. */
const FADING = 0.99;
/** Challenges without which a monitor says nothing about silence. */
const ASKED_MIN = 20;

/**
 * Challenges that each monitor made while the provider was there, and those that it left unanswered. A provider that has lost data and signs
 * no denial is found out by this alone, and three challenges of an era are too few for a median to see it.
 * @param findings of this era: of the committee that was drawn for the provider
 * @param groups of all active monitors; who is no more among them is forgotten
 */
export function rememberSilence(
  former: Silence,
  findings: readonly MonitorFinding[],
  groups: readonly Group[],
): Silence {
  const known = new Set(groups.flatMap(({ monitors }) => monitors));
  const next: Record<PartyId, { asked: number; silent: number }> = {};
  for (const [monitor, { asked, silent }] of Object.entries(former)) {
    if (known.has(monitor)) next[monitor] = { asked, silent };
  }
  for (const { monitor, audits, timed } of findings) {
    const reached = reachedOf(audits).length;
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

/** What is remembered fades with time where nothing was asked: below the least number of challenges, nothing is known any more. */
export function fadeSilence(silence: Silence, { elapsedMs, halfLifeMs }: Fading): Silence {
  const faded = 2 ** (-elapsedMs / halfLifeMs);
  return Object.fromEntries(
    Object.entries(silence).map(([monitor, { asked, silent }]) => [
      monitor,
      { asked: tidy(asked * faded), silent: tidy(silent * faded) },
    ]),
  );
}

/**
 * Share of challenges left unanswered, by the median of all groups, each by the median of its members; undefined where too few groups know
 * enough.
 * @param groups of all active monitors, drawn in this era or not
 */
export function silentShare(
  silence: Silence,
  groups: readonly Group[],
  { groupsMin, groupWeightMax }: Pick<OracleParameters, 'groupsMin' | 'groupWeightMax'>,
): number | undefined {
  const votes = groups.flatMap(({ monitors }): Vote[] => {
    const knowing = monitors.flatMap((id) => silence[id] ?? []).filter(({ asked }) => asked >= ASKED_MIN);
    const value = voiceOf(knowing.map(({ asked, silent }) => silent / asked));
    return value === undefined ? [] : [{ value, size: knowing.length }];
  });
  if (votes.length < groupsMin) return undefined;
  const share = committeeMedian(votes, groupWeightMax);
  return share === undefined ? undefined : tidy(share);
}
