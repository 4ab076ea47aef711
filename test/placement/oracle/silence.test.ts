import { describe, expect, test } from 'vitest';
import { committeeOf } from '../../../placement/network/committee.ts';
import type { MonitorFinding } from '../../../placement/oracle/findings.ts';
import { independentGroups } from '../../../placement/oracle/groups.ts';
import { fadeSilence, rememberSilence, silentShare } from '../../../placement/oracle/silence.ts';
import type { MonitorRecord, Silence } from '../../../placement/oracle/types.ts';
import { seededRandom } from '../../../placement/time.ts';

const PARAMETERS = { groupsMin: 7, groupWeightMax: 1 / 7 };
const CHALLENGES = 3;

function monitorsOf(count: number): MonitorRecord[] {
  return Array.from({ length: count }, (_, number) => {
    const id = number.toString(16).padStart(32, '0');
    const marks = { operator: `o${number}`, networkPrefix: `p${number}`, asn: undefined };
    return { id, ...marks, state: 'active' } as MonitorRecord;
  });
}

function findingOf(monitor: MonitorRecord, unanswered: (at: number) => boolean): MonitorFinding {
  const audits = Array.from({ length: CHALLENGES }, (_, at) => ({
    finding: unanswered(at) ? 'silent' : 'passed',
  }));
  return { monitor, timed: true, audits } as unknown as MonitorFinding;
}

describe('silence', () => {
  test.each([7, 22, 60])('of 30 %% is seen by %d monitors, drawn or not', (count) => {
    const monitors = monitorsOf(count);
    const groups = independentGroups(monitors);
    const random = seededRandom(count);
    let silence: Silence = {};
    for (let era = 0; era < 40; era++) {
      const committee = committeeOf('p', monitors, groups, `beacon ${era}`);
      const findings = committee.map((monitor) => findingOf(monitor, () => random.fraction() < 0.3));
      silence = rememberSilence(silence, findings, groups);
    }
    const share = silentShare(silence, groups, PARAMETERS);
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.4);
  });

  test('is forgotten of monitors that are active no more', () => {
    const monitors = monitorsOf(8);
    const all = rememberSilence(
      {},
      monitors.map((monitor) => findingOf(monitor, () => true)),
      independentGroups(monitors),
    );
    expect(Object.keys(all)).toHaveLength(8);
    expect(rememberSilence(all, [], independentGroups(monitors))).toEqual(all);
    const left = rememberSilence(all, [], independentGroups(monitors.slice(1)));
    expect(Object.keys(left)).toEqual(monitors.slice(1).map(({ id }) => id));
  });

  test('of a group is the median of those members that know enough', () => {
    const groups = Array.from({ length: 7 }, (_, at) => ({
      name: `${at}`,
      monitors: [`a${at}`, `b${at}`, `c${at}`],
    }));
    const silence = Object.fromEntries(
      groups.flatMap(({ monitors: [honest, other, liar] }) => [
        [honest!, { asked: 30, silent: 0 }],
        [other!, { asked: 40, silent: 0 }],
        [liar!, { asked: 100, silent: 100 }],
      ]),
    );
    expect(silentShare(silence, groups, PARAMETERS)).toBe(0);
    const few = Object.fromEntries(groups.map(({ monitors }) => [monitors[0]!, { asked: 19, silent: 19 }]));
    expect(silentShare(few, groups, PARAMETERS)).toBeUndefined();
  });

  test('fades with time until too little is known', () => {
    const groups = independentGroups(monitorsOf(7));
    const silence = Object.fromEntries(
      groups.map(({ monitors }) => [monitors[0]!, { asked: 100, silent: 50 }]),
    );
    const fading = { elapsedMs: 1, halfLifeMs: 1 };
    const once = fadeSilence(silence, fading);
    expect(Object.values(once)[0]).toEqual({ asked: 50, silent: 25 });
    const thrice = fadeSilence(fadeSilence(once, fading), fading);
    expect(silentShare(once, groups, PARAMETERS)).toBe(0.5);
    expect(silentShare(thrice, groups, PARAMETERS)).toBeUndefined();
  });
});
