import { beforeAll, describe, expect, test } from 'vitest';
import type { EraVerdict } from '../../../placement/oracle/types.ts';
import { SyntheticNetwork, type Alter, type Conduct } from './syntheticNetwork.ts';

const HONEST = 6;
/** Six that do as they should, then one of each kind that does not. */
const CONDUCT: readonly Conduct[] = [
  ...Array.from({ length: HONEST }, () => ({})),
  { lost: [7] },
  { wrong: [3, 11] },
  { latencyMs: 900, bytesPerSecond: 1_000_000 },
  { up: 0.5 },
  { claimsEmpty: true },
  { late: true },
];
const [DROPS, WRONG, SLOW, DOWN, LIES, ELSEWHERE] = [6, 7, 8, 9, 10, 11] as const;
const ERAS = 30;

function run(network: SyntheticNetwork): readonly EraVerdict[] {
  let verdicts: readonly EraVerdict[] = [];
  for (let era = 0; era < ERAS; era++) verdicts = network.era();
  return verdicts;
}

describe('twelve providers, seven monitors, thirty eras', () => {
  const network = new SyntheticNetwork({ providers: CONDUCT, monitors: 7 });
  let verdicts: readonly EraVerdict[];
  beforeAll(() => {
    verdicts = run(network);
  });
  const last = (number: number): EraVerdict => network.verdictOf(number, verdicts);

  test('who does as it should is active, with a score near 1', () => {
    for (let number = 0; number < HONEST; number++) {
      expect(last(number)).toMatchObject({ decision: 'up', state: 'active' });
      expect(last(number).placementScore).toBeGreaterThan(0.97);
      expect(last(number).components).toMatchObject({
        availability: 1,
        latency: 1,
        throughput: 1,
        capacity: 1,
      });
    }
  });

  test('lost shards are found by signed denials: disqualified', () => {
    expect(last(DROPS)).toMatchObject({ decision: 'up', state: 'disqualified' });
    expect(last(DROPS).components.integrity).toBeLessThan(0.96);
    expect(last(DROPS).components).toMatchObject({ availability: 1, latency: 1, throughput: 1 });
    expect(network.stateOf(DROPS).failures).toBeGreaterThanOrEqual(3);
  });

  test('wrong bytes are found by signed proofs that lead nowhere: disqualified', () => {
    expect(last(WRONG)).toMatchObject({ decision: 'up', state: 'disqualified' });
    expect(last(WRONG).components.integrity).toBeLessThan(0.96);
  });

  test('a slow provider is degraded, by latency and throughput alone', () => {
    expect(last(SLOW)).toMatchObject({ decision: 'up', state: 'degraded' });
    const { latency, throughput, availability, integrity } = last(SLOW).components;
    expect(latency).toBeLessThan(0.12);
    expect(throughput).toBeCloseTo(0.1, 9);
    expect(availability).toBe(1);
    expect(integrity).toBeGreaterThan(0.97);
    expect(last(SLOW).reason).toMatch(
      /^score \d+(\.\d+)? % is below 95 % .* lowest part: latency 9\.\d+ % \(p99 1024 ms, target 100 ms\)$/,
    );
  });

  test('one that is down half of the time is suspended, never disqualified', () => {
    expect(last(DOWN)).toMatchObject({ decision: 'up', state: 'suspended' });
    expect(last(DOWN).components.availability).toBe(0.5);
    expect(last(DOWN).reason).toMatch(/^availability 50 % is below 60 %$/);
    expect(network.stateOf(DOWN)).toMatchObject({ failures: 0 });
  });

  test('one that lies about its space is degraded', () => {
    expect(last(LIES)).toMatchObject({ decision: 'up', state: 'degraded' });
    expect(last(LIES).score).toBeCloseTo(0.8, 1);
    expect(last(LIES).components).toMatchObject({ capacity: 0.01, availability: 1, latency: 1 });
    expect(last(LIES).reason).toMatch(/; lowest part: capacity 1 % \(/);
  });

  test('one that fetches elsewhere to answer is suspended: quick to greet, late to prove', () => {
    expect(last(ELSEWHERE)).toMatchObject({ decision: 'up', state: 'suspended' });
    expect(last(ELSEWHERE).components.availability).toBe(1);
    expect(last(ELSEWHERE).components.integrity).toBeLessThan(0.1);
    expect(last(ELSEWHERE).reason).toMatch(
      /^possession not shown for \d+ eras: \d[\d.]* % of the challenges answered in time, \d[\d.]* % never; /,
    );
    expect(network.stateOf(ELSEWHERE)).toMatchObject({ failures: 0, audits: 0 });
  });

  test('honest monitors keep their place', () => {
    for (const monitor of Object.values(network.state.monitors)) {
      expect(monitor.state).toBe('active');
      expect(monitor.canaries).toHaveLength(20);
      expect(monitor.canaries).not.toContain(false);
      expect(monitor.agreements.at(-1)).toBeGreaterThan(0);
    }
  });
});

describe('two of seven monitors collude', () => {
  const parameters = { groupsMin: 5 };
  const smear: Alter = (findings) =>
    findings.map((finding) => ({
      ...finding,
      answered: 0,
      rttMinMs: 0,
      latency: [[80, 1000]],
      throughput: [0],
      space: { capacity: 1, free: 0 },
      audits: finding.audits.map(({ target }) => ({ target, outcome: 'silent', elapsedMs: 60_000 })),
    }));
  const praise: Alter = (findings) =>
    findings.map((finding) => ({
      ...finding,
      answered: finding.probes,
      latency: [[0, 1000]],
      throughput: [1e12],
      audits: finding.audits.flatMap((audit) => {
        if (audit.outcome === 'late') return [{ ...audit, outcome: 'ok' as const }];
        return audit.outcome === 'ok' ? [audit] : [];
      }),
    }));

  function committee(monitors: number, alter?: Alter): { network: SyntheticNetwork; all: EraVerdict[][] } {
    const network = new SyntheticNetwork({ providers: CONDUCT, monitors, parameters });
    for (const monitor of network.monitors.slice(5)) monitor.alter = alter;
    const all = Array.from({ length: ERAS }, () => [...network.era()]);
    return { network, all };
  }
  const without = committee(5);

  test('slander changes no decision, no state and no score', () => {
    const { all, network } = committee(7, smear);
    const honest = committee(7);
    for (const [era, verdicts] of all.entries()) {
      for (const [index, verdict] of verdicts.entries()) {
        // What is late counts by the number of audits that the gateway gave out: there, seven honest monitors are the measure.
        const isLate = verdict.provider === network.providers[ELSEWHERE]!.identity.id;
        const truth = (isLate ? honest : without).all[era]![index]!;
        expect(verdict).toMatchObject({ decision: truth.decision, state: truth.state });
        expectParts(verdict, truth);
        expect(verdict.score).toBeCloseTo(truth.score!, 9);
        expect(verdict.placementScore).toBeCloseTo(truth.placementScore!, 9);
        expect(verdict.settlementScore).toBeCloseTo(truth.settlementScore!, 9);
      }
    }
    expect(statesAfter(all)).toEqual(statesAfter(honest.all));
    expect(statesAfter(all)).toEqual(statesAfter(without.all));
  });

  test('praise changes no decision, no measured part and no state', () => {
    const { all } = committee(7, praise);
    for (const [era, verdicts] of all.entries()) {
      for (const [index, verdict] of verdicts.entries()) {
        const honest = without.all[era]![index]!;
        expect(verdict.decision).toBe(honest.decision);
        expectParts(verdict, honest);
      }
    }
    expect(statesAfter(all)).toEqual(statesAfter(without.all));
  });

  function statesAfter(all: readonly EraVerdict[][]): string[] {
    return all.at(-1)!.map(({ state }) => state);
  }

  function expectParts(verdict: EraVerdict, honest: EraVerdict): void {
    for (const part of ['availability', 'latency', 'throughput', 'capacity'] as const) {
      expect(verdict.components[part]).toBeCloseTo(honest.components[part]!, 9);
    }
  }
});
