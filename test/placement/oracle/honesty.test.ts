import { describe, expect, test } from 'vitest';
import type { Signed } from '../../../placement/network/signed.ts';
import { seededRandom } from '../../../placement/time.ts';
import type { Random } from '../../../placement/types.ts';
import { SyntheticNetwork, type Alter, type Conduct } from './syntheticNetwork.ts';

/** Providers that differ, so that there is something to agree on. */
const MIXED: readonly Conduct[] = [
  {},
  {},
  {},
  { late: true },
  { up: 0.5 },
  { lost: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] },
];
const HUSHED: Conduct = { hushed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] };
const alwaysOk: Alter = (findings) =>
  findings.map((finding) => ({
    ...finding,
    answered: finding.probes,
    audits: finding.audits.map((audit) => ({ ...audit, outcome: 'ok' as const })),
  }));

/** Its answer is of a chunk that no provider holds. */
function isCanary(net: SyntheticNetwork, evidence: unknown): boolean {
  const { chunk } = JSON.parse((evidence as Signed | undefined)?.body ?? '{}') as { chunk?: string };
  const held = net.providers.some(({ shards }) => shards.some((shard) => shard.chunk === chunk));
  return chunk !== undefined && !held;
}

describe('monitors', () => {
  const idle: Alter = (findings) =>
    findings.map(({ provider }) => ({
      provider,
      probes: 1,
      answered: 1,
      latency: [],
      throughput: [],
      audits: [],
    }));

  test.each<[string, Alter]>([
    ['that reports no audits', idle],
    ['that reports of no provider', () => []],
  ])('one %s has done no work, and is removed by the canaries that it left out', (_, alter) => {
    const net = new SyntheticNetwork({ providers: [{}, {}, {}, {}], monitors: 8 });
    net.monitors[7]!.alter = alter;
    net.era();
    expect(net.monitorOf(7).last).toMatchObject({ reported: true, connected: true, work: 0 });
    expect(net.monitorOf(0).last).toMatchObject({ work: 1 });
    for (let era = 0; era < 12; era++) net.era();
    expect(net.monitorOf(7)).toMatchObject({ state: 'removed' });
    expect(net.monitorOf(0)).toMatchObject({ state: 'active' });
  });

  /** Asks nobody, and says this of all. */
  const mute =
    (outcome: 'silent' | 'unreachable'): Alter =>
    (findings) =>
      findings.map((finding) => ({
        ...finding,
        answered: 0,
        latency: [],
        throughput: [],
        audits: finding.audits.map(({ target }) => ({ target, outcome, elapsedMs: 0 })),
      }));

  test.each(['silent', 'unreachable'] as const)(
    'one that calls everything %s is removed by the answers that others have',
    (outcome) => {
      const net = new SyntheticNetwork({ providers: [{}, {}, {}, {}, {}], monitors: 9 });
      net.monitors[0]!.alter = mute(outcome);
      for (let era = 0; era < 16; era++) net.era();
      expect(net.monitorOf(0)).toMatchObject({ state: 'removed' });
      for (let honest = 1; honest < 9; honest++) {
        expect(net.monitorOf(honest).canaries).not.toContain(false);
      }
    },
  );

  test('four of seven that call everything silent are shown up by the answers of three', () => {
    const net = new SyntheticNetwork({ providers: [{}, {}, {}, {}, {}], monitors: 7 });
    for (const monitor of net.monitors.slice(0, 4)) monitor.alter = mute('silent');
    for (let era = 0; era < 16; era++) net.era();
    const states = net.monitors.map((_, number) => net.monitorOf(number).state);
    expect(states).toEqual([...Array<string>(4).fill('removed'), ...Array<string>(3).fill('active')]);
  });

  test('one bad era removes nobody, and neither does every second', () => {
    const net = new SyntheticNetwork({ providers: [{}, {}, {}, {}, {}], monitors: 9 });
    for (let era = 0; era < 30; era++) {
      net.monitors[0]!.alter = era % 2 === 0 ? mute('unreachable') : undefined;
      net.era();
    }
    expect(net.monitorOf(0)).toMatchObject({ state: 'active' });
    expect(net.monitorOf(0).canaries).not.toContain(false);
  });

  /** Of this monitor, each answer that it would have had is lost with this chance: what is away for one may be there for another. */
  function lossy(random: Random, share: number): Alter {
    return (findings) =>
      findings.map((finding) => ({
        ...finding,
        audits: finding.audits.map((audit) =>
          random.fraction() < share
            ? { target: audit.target, outcome: 'unreachable' as const, elapsedMs: 0 }
            : audit,
        ),
      }));
  }

  test.each<[string, readonly Conduct[], number]>([
    ['most providers are down', [{}, {}, { up: 0 }, { up: 0 }, { up: 0 }], 0],
    ['most are there half of the time', [{}, { up: 0.5 }, { up: 0.5 }, { up: 0.4 }, { up: 0.6 }], 0],
    ['most are silent', [{}, { silent: true }, { silent: true }, { silent: true }, { silent: true }], 0],
    ['all but one are late', [{}, { late: true }, { late: true }, { late: true }, { late: true }], 0],
    ['all are silent about half of what they have', [HUSHED, HUSHED, HUSHED, HUSHED, HUSHED], 0],
    ['a fifth of all answers is lost, to each monitor others', [{}, {}, {}, {}, {}], 0.2],
    ['half of all answers are lost, to each monitor others', [{}, {}, {}, {}, {}], 0.5],
    ['there is one provider, and a third of its answers is lost', [{}], 1 / 3],
  ])('an honest one keeps its place where %s', (_, providers, lost) => {
    const net = new SyntheticNetwork({ providers, monitors: 7 });
    const random = seededRandom(3);
    if (lost > 0) for (const monitor of net.monitors) monitor.alter = lossy(random, lost);
    for (let era = 0; era < 60; era++) net.era();
    for (let number = 0; number < 7; number++) {
      expect(net.monitorOf(number)).toMatchObject({ state: 'active' });
    }
  });

  test('small providers that answer three of seven, and are silent towards the others, have none of these removed', () => {
    const small: Conduct = { silentTo: [3, 4, 5, 6], part: 0.001 };
    const net = new SyntheticNetwork({
      providers: [{}, {}, {}, small, small, small, small, small, small],
      monitors: 7,
    });
    for (let era = 0; era < 20; era++) net.era();
    for (let number = 0; number < 7; number++) {
      expect(net.monitorOf(number)).toMatchObject({ state: 'active' });
    }
    expect(net.monitorOf(6).last!.work).toBeLessThan(0.5);
  });

  test('one that calls every audit unanswered has done the work of those that were not answered', () => {
    const net = new SyntheticNetwork({ providers: [{}, {}, {}, { up: 0 }], monitors: 8 });
    net.monitors[7]!.alter = (findings) =>
      findings.map((finding) => ({
        ...finding,
        audits: finding.audits.map(({ target }) => ({ target, outcome: 'unreachable', elapsedMs: 0 })),
      }));
    net.era();
    expect(net.monitorOf(7).last!.work).toBeLessThan(0.3);
    expect(net.monitorOf(7).last!.work).toBeGreaterThan(0.2);
    expect(net.monitorOf(0).last).toMatchObject({ work: 1, canaryAccuracy: 1 });
  });

  test('one that could not ask a canary of a provider that is down, or that was cut off, is not blamed', () => {
    const net = new SyntheticNetwork({ providers: [{ up: 0 }, { up: 0 }, {}], monitors: 8 });
    net.monitors[7]!.alter = (findings) =>
      findings.map((finding) => (finding.answered === 0 ? { ...finding, audits: [] } : finding));
    net.monitors[6]!.alter = () => [];
    net.monitors[6]!.connectivity = { checked: 5, reached: 0 };
    for (let era = 0; era < 8; era++) net.era();
    expect(net.monitorOf(7).canaries).not.toContain(false);
    expect(net.monitorOf(6)).toMatchObject({ state: 'active', canaries: [] });
    expect(net.monitorOf(6).last!.work).toBeUndefined();
  });

  test('one that says “ok” of everything is removed by its canaries, and its reports are taken no more', () => {
    const net = new SyntheticNetwork({ providers: [{}, {}, {}, {}], monitors: 8 });
    net.monitors[3]!.alter = alwaysOk;
    let eras = 0;
    while (net.monitorOf(3).state === 'active' && eras < 20) {
      net.era();
      eras++;
    }
    expect(net.monitorOf(3)).toMatchObject({ state: 'removed' });
    expect(net.monitorOf(3).canaries.length).toBeGreaterThanOrEqual(10);
    expect(net.monitorOf(3).reason).toMatch(/canaries reported right/);
    expect(net.monitorOf(0)).toMatchObject({ state: 'active' });
    const [verdict] = net.era();
    expect(verdict!.groups).toHaveLength(7);
    expect(net.state.open).toBeUndefined();
  });

  test('false reports weigh like wrong canaries', () => {
    const net = new SyntheticNetwork({ providers: [{ late: true }, { silent: true }], monitors: 7 });
    net.monitors[0]!.alter = (findings) =>
      findings.map((finding) => ({
        ...finding,
        audits: finding.audits.map(({ evidence: _evidence, ...audit }) =>
          audit.outcome === 'silent' ? { ...audit, outcome: 'ok' as const } : audit,
        ),
      }));
    for (let era = 0; era < 4; era++) net.era();
    expect(net.monitorOf(0)).toMatchObject({ state: 'removed' });
    expect(net.monitorOf(1)).toMatchObject({ state: 'active' });
  });

  test('agreement by chance is flagged, not punished: praise without looking earns 0', () => {
    const net = new SyntheticNetwork({ providers: MIXED, monitors: 7 });
    // It passes canaries by luck or leak, and says of everything else what others like to hear.
    net.monitors[2]!.alter = (findings) =>
      findings.map((finding) => ({
        ...finding,
        answered: finding.probes,
        audits: finding.audits.filter((audit) => audit.outcome === 'ok' || isCanary(net, audit.evidence)),
      }));
    for (let era = 0; era < 8; era++) net.era();
    expect(net.monitorOf(2).agreements).toEqual(Array.from({ length: 8 }, () => 0));
    expect(net.monitorOf(2)).toMatchObject({ state: 'active' });
    expect(net.monitorOf(2).reason).toMatch(/no more than by chance/);
    for (const honest of [0, 1, 3, 4, 5, 6]) {
      expect(Math.min(...net.monitorOf(honest).agreements)).toBeGreaterThan(0.05);
      expect(net.monitorOf(honest).reason).toBe('reported');
    }
  });

  test('where everyone is well nobody is judged by agreement', () => {
    const net = new SyntheticNetwork({ providers: [{}, {}, {}], monitors: 7 });
    net.era();
    expect(net.monitorOf(0).agreements).toEqual([]);
    expect(net.monitorOf(0).last!.agreement).toBeUndefined();
  });

  test('those of one group do not vouch for each other', () => {
    const net = new SyntheticNetwork({ providers: MIXED, monitors: 0 });
    net.addMonitor(0, { operator: 'ring' });
    net.addMonitor(1, { operator: 'ring' });
    net.era();
    expect(net.monitorOf(0).last!.reported).toBe(true);
    expect(net.monitorOf(0).last!.agreement).toBeUndefined();
  });

  test('one that did not report is said so', () => {
    const net = new SyntheticNetwork({ providers: [{}], monitors: 7 });
    net.monitors[0]!.quiet = true;
    net.era();
    expect(net.monitorOf(0).last).toMatchObject({ reported: false, connected: false, state: 'active' });
  });
});
