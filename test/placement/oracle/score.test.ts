import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Signed } from '../../../placement/network/signed.ts';
import { capacityHonesty } from '../../../placement/oracle/capacity.ts';
import { distanceKm, refutesLocation } from '../../../placement/oracle/location.ts';
import { movingAverage, scoreOf } from '../../../placement/oracle/product.ts';
import { addAudits as added, integrityOf } from '../../../placement/oracle/reputation.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import { verifyEvidence } from '../../../placement/oracle/findings.ts';
import { plausible } from '../../../placement/oracle/plausible.ts';
import { scoreEra, scoreEraStepwise } from '../../../placement/oracle/score.ts';
import { inTurns } from '../../../placement/oracle/stepwise.ts';
import type { Measurement } from '../../../placement/oracle/measure.ts';
import { HOUR, SyntheticNetwork, type Conduct } from './syntheticNetwork.ts';

const network = (conduct: Conduct, monitors = 7, parameters = {}): SyntheticNetwork =>
  new SyntheticNetwork({ providers: [conduct], monitors, parameters });

describe('the score', () => {
  const whole = { availability: 1, integrity: 1, latency: 1, throughput: 1, capacity: 1 };

  test('is the weighted geometric mean of its parts', () => {
    expect(scoreOf(whole)).toBe(1);
    expect(scoreOf({ ...whole, availability: 0.5 })).toBeCloseTo(0.5 ** 0.35, 11);
    expect(
      scoreOf({ availability: 0.9, integrity: 0.8, latency: 0.7, throughput: 0.6, capacity: 0.5 }),
    ).toBeCloseTo(0.9 ** 0.35 * 0.8 ** 0.35 * 0.7 ** 0.15 * 0.6 ** 0.1 * 0.5 ** 0.05, 11);
    expect(scoreOf({ ...whole, capacity: 0 })).toBe(0);
  });

  test('leaves out what is not measured, in proportion', () => {
    const none = {
      availability: undefined,
      integrity: undefined,
      latency: undefined,
      throughput: undefined,
      capacity: undefined,
    };
    expect(scoreOf(none)).toBeUndefined();
    expect(scoreOf({ ...none, availability: 0.5 })).toBeCloseTo(0.5, 11);
    expect(scoreOf({ ...none, availability: 0.5, latency: 0.25 })).toBeCloseTo(0.5 ** 0.7 * 0.25 ** 0.3, 11);
  });

  test('is averaged by half-lives of time', () => {
    expect(movingAverage(undefined, 0.4, HOUR, 6 * HOUR)).toBe(0.4);
    expect(movingAverage(1, 0, 6 * HOUR, 6 * HOUR)).toBeCloseTo(0.5, 11);
    const twice = movingAverage(movingAverage(1, 0, HOUR, 6 * HOUR), 0, HOUR, 6 * HOUR);
    expect(twice).toBeCloseTo(movingAverage(1, 0, 2 * HOUR, 6 * HOUR), 11);
  });
});

describe('integrity', () => {
  const none = { alpha: 0, beta: 0, audits: 0, failures: 0, timely: 1 };
  const fading = { elapsedMs: HOUR, halfLifeMs: 6 * HOUR };
  const addAudits = (former: typeof none, measured: Measurement) => added(former, measured, fading);
  const era = (passed: number, missing: number, reached = passed + missing, unproven = 0): Measurement =>
    ({
      audits: { passed, missing, wrong: 0, late: 0, silent: 0 },
      reached,
      unproven,
    }) as unknown as Measurement;
  const { vetting } = ORACLE_DEFAULTS;
  const judge = (evidence: typeof none, vetted = true) =>
    integrityOf({ ...evidence, vetted }, undefined, { vetting });

  test('fades by 0.999 an audit: a thousand are remembered', () => {
    const one = addAudits(none, era(1, 0));
    expect(one).toMatchObject({ alpha: 1, beta: 0, audits: 1 });
    expect(addAudits(one, era(0, 1))).toMatchObject({ alpha: 0.999, beta: 1, audits: 1, failures: 1 });
    let evidence = none;
    for (let i = 0; i < 500; i++) evidence = { ...evidence, ...addAudits(evidence, era(20, 0)) };
    expect(evidence.alpha).toBeCloseTo(1000, 0);
    expect(evidence.audits).toBe(10_000);
  });

  test('of an era’s audits does not depend on their order', () => {
    const forwards = addAudits(addAudits(none, era(1, 0)), era(0, 1));
    const backwards = addAudits(addAudits(none, era(0, 1)), era(1, 0));
    const together = addAudits(none, era(1, 1));
    expect(together.alpha).toBeCloseTo((forwards.alpha + backwards.alpha) / 2, 11);
    expect(together.beta).toBeCloseTo((forwards.beta + backwards.beta) / 2, 11);
  });

  test('is the mean while audits are few, and the 5 % lower bound after', () => {
    expect(judge(none).value).toBeUndefined();
    expect(judge(addAudits(none, era(99, 0))).value).toBeCloseTo(
      1 - 1 / addAudits(none, era(99, 0)).alpha,
      3,
    );
    const hundred = addAudits(none, era(100, 0));
    expect(judge(hundred).value).toBeCloseTo(0.05 ** (1 / (hundred.alpha + 1)), 9);
    expect(judge(hundred)).toMatchObject({ broken: false, disqualifying: false, timely: 1 });
  });

  test('at or below 0.96 breaks the score outside vetting; three conclusive failures disqualify', () => {
    const failed = addAudits(none, era(100, 2));
    expect(judge(failed)).toMatchObject({ broken: true, disqualifying: false });
    expect(judge(failed, false)).toMatchObject({ broken: false });
    expect(judge(addAudits(none, era(40, 3)))).toMatchObject({ disqualifying: true });
    expect(judge(addAudits(none, era(40, 2)))).toMatchObject({ disqualifying: false });
    expect(judge(addAudits(none, era(400, 3)))).toMatchObject({ disqualifying: false });
  });

  test('is lowered, never raised, by what monitors say without proof', () => {
    const proven = addAudits(none, era(200, 0));
    expect(judge(proven).value).toBe(judge({ ...proven, timely: 0.999 }).value);
    const doubted = { ...proven, timely: 0.7 };
    expect(judge(doubted)).toMatchObject({ value: 0.7, disqualifying: false, broken: false });
  });

  test('forgets a late hour as it forgets other measurements', () => {
    let evidence = addAudits(none, era(0, 0, 20, 20));
    expect(evidence.timely).toBeCloseTo(2 ** (-1 / 6), 9);
    for (let hour = 0; hour < 18; hour++) evidence = addAudits(evidence, era(20, 0));
    expect(evidence.timely).toBeGreaterThan(0.98);
    expect(evidence.failures).toBe(0);
  });
});

describe('capacity', () => {
  const GB = 1e9;
  /** Sizes in GB. */
  const seen = (stored: number, used: number, writes = 0, refusedWithSpace = 0) => ({
    provider: '',
    shards: 1,
    storedBytes: stored * GB,
    space: { capacity: 1000 * GB, free: (1000 - used) * GB },
    writes,
    refusedWithSpace,
    reads: 0,
    wrongReads: 0,
    egressBytes: 0,
    repairEgressBytes: 0,
  });

  test('is what it took of what it said it had room for', () => {
    expect(capacityHonesty(undefined, undefined, 5)).toBeUndefined();
    expect(capacityHonesty(seen(0, 0, 3, 1), undefined, undefined)).toBe(0.75);
    // Never 0: one era of it alone brings no score to naught, and three make a provider degraded.
    expect(capacityHonesty(seen(0, 0, 0, 1), undefined, undefined)).toBe(0.01);
  });

  test('is refuted by less used than is stored, unless deletes or writes in between explain it', () => {
    expect(capacityHonesty(seen(500, 500), seen(500, 500), undefined)).toBe(1);
    expect(capacityHonesty(seen(500, 100), seen(500, 100), undefined)).toBe(0.2);
    // What was written since the last heartbeat is no lie.
    expect(capacityHonesty(seen(0.2, 0), seen(0, 0), undefined)).toBe(1);
    // 400 of 500 were deleted in the era: before it, it said what was true then.
    expect(capacityHonesty(seen(500, 100), seen(0, 500), undefined)).toBe(1);
  });

  test('is not compared where nothing was said in the era before: all may have been deleted since', () => {
    const { space: _space, ...unheard } = seen(100, 100);
    expect(capacityHonesty(seen(100, 0), unheard, undefined)).toBeUndefined();
    expect(capacityHonesty(seen(100, 0), undefined, undefined)).toBeUndefined();
    expect(capacityHonesty(unheard, seen(100, 50), undefined)).toBe(0.5);
  });

  test('alone never makes a score 0', () => {
    const honesty = capacityHonesty(seen(500, 0), seen(500, 0), undefined);
    expect(honesty).toBe(0.01);
    expect(
      scoreOf({ availability: 1, integrity: 1, latency: 1, throughput: 1, capacity: honesty }),
    ).toBeGreaterThan(0.79);
    expect(capacityHonesty(seen(0, 500), undefined, 0)).toBe(0.01);
  });

  test('is refuted by telling monitors another story', () => {
    expect(capacityHonesty(seen(0, 500), undefined, 480 * GB)).toBe(1);
    expect(capacityHonesty(seen(0, 500), undefined, 50 * GB)).toBe(0.1);
  });
});

describe('location', () => {
  const frankfurt = { latitude: 50.11, longitude: 8.68 };
  const newYork = { latitude: 40.71, longitude: -74.01 };

  test('is a great circle away', () => {
    expect(distanceKm(frankfurt, frankfurt)).toBe(0);
    expect(distanceKm(frankfurt, newYork)).toBeCloseTo(6200, -2);
    expect(distanceKm({ latitude: 0, longitude: 0 }, { latitude: 0, longitude: 180 })).toBeCloseTo(
      Math.PI * 6371,
      6,
    );
  });

  test('is refuted by an answer faster than light in fibre, by a majority', () => {
    expect(refutesLocation(frankfurt, newYork, 61)).toBe(true);
    expect(refutesLocation(frankfurt, newYork, 63)).toBe(false);
    const verdict = (near: number, monitors = 7) => {
      const locations = Array.from({ length: monitors }, (_, index) => (index < near ? frankfurt : newYork));
      const net = new SyntheticNetwork({ providers: [{ location: newYork }], monitors, locations });
      return net.era()[0]!;
    };
    expect(verdict(4)).toMatchObject({ score: 0, decision: 'up' });
    expect(verdict(4).locationRefutedBy).toHaveLength(4);
    expect(verdict(4).reason).toMatch(/location refuted by 4 monitors/);
    expect(verdict(3).score).toBeGreaterThan(0.9);
    expect(verdict(3).locationRefutedBy).toHaveLength(3);
  });

  test('is not refuted by two monitors that alone say where they are', () => {
    const locations = [frankfurt, frankfurt];
    const net = new SyntheticNetwork({ providers: [{ location: newYork }], monitors: 7, locations });
    expect(net.era()[0]!.score).toBeGreaterThan(0.9);
  });
});

describe('a decision', () => {
  test('with too few groups is none, and leaves everything as it is', () => {
    const net = network({ up: 0 }, 6);
    const before = net.stateOf(0);
    const [verdict] = net.era();
    expect(verdict).toMatchObject({ decision: 'NO_DECISION', score: undefined, state: 'vetting' });
    expect(verdict!.reason).toMatch(/6 independent groups reported and 7 are needed/);
    const { last: _last, reason: _reason, ...after } = net.stateOf(0);
    expect(before).toMatchObject(after);
  });

  test('“down” takes more than half of at least seven groups', () => {
    const down = network({ up: 0 }).era()[0]!;
    expect(down).toMatchObject({ decision: 'down', score: 0, components: { availability: 0 } });
    const net = network({ up: 0 });
    for (const monitor of net.monitors.slice(0, 4)) {
      monitor.alter = (findings) => findings.map((finding) => ({ ...finding, answered: 10 }));
    }
    expect(net.era()[0]).toMatchObject({ decision: 'up', components: { availability: 1 } });
  });

  test('“up” is settled by one signed answer, whoever has it', () => {
    const net = network({ up: 1 });
    for (const monitor of net.monitors.slice(1)) {
      monitor.alter = (findings) =>
        findings.map((finding) => ({ ...finding, answered: 0, latency: [], throughput: [], audits: [] }));
    }
    expect(net.era()[0]).toMatchObject({ decision: 'up', components: { availability: 0 } });
  });

  test('does not count a monitor that is cut off itself, nor one that is removed before the close', () => {
    const net = network({ up: 1 }, 8);
    net.monitors[7]!.connectivity = { checked: 5, reached: 2 };
    net.monitors[7]!.alter = (findings) => findings.map((finding) => ({ ...finding, answered: 0 }));
    const [verdict] = net.era();
    expect(verdict!.groups).toHaveLength(7);
    expect(net.monitorOf(7).last).toMatchObject({ reported: true, connected: false, canaries: [] });
    const [next] = net.era(() => {
      net.record({ kind: 'hypernode-command', monitor: net.monitors[0]!.identity.id, command: 'remove' });
    });
    expect(next).toMatchObject({ score: undefined });
    expect(next!.groups).toHaveLength(6);
  });

  /** An era that is about to close, with every kind of answer; one of the proofs is signed by another. */
  function aboutToClose(): SyntheticNetwork {
    const conducts = [
      {},
      { lost: [1, 2, 3] },
      { late: true },
      { wrong: [4, 5] },
      { silent: true },
      { up: 0.5 },
    ];
    const net = new SyntheticNetwork({ providers: conducts, monitors: 7 });
    net.monitors[3]!.alter = ([first, ...others]) => {
      const stranger = net.monitors[0]!.identity.publicKey;
      const audits = first!.audits.map((audit) => ({
        ...audit,
        evidence: { ...(audit.evidence as Signed), signer: stranger },
      }));
      return [{ ...first!, audits }, ...others];
    };
    net.monitors[4]!.alter = ([first, ...others]) => {
      const audits = first!.audits.map((audit) => ({
        ...audit,
        evidence: { ...(audit.evidence as Signed), signature: 'A'.repeat(86) },
      }));
      return [{ ...first!, audits }, ...others];
    };
    const assignments = net.open();
    for (const [index, monitor] of net.monitors.entries()) {
      net.report(monitor, net.reportOf(monitor, assignments[index]!));
    }
    net.record({ kind: 'assignments', era: 0, assignments });
    return net;
  }

  test('is the same when its evidence was verified beforehand, on other threads', async () => {
    const net = aboutToClose();
    const outcome = scoreEra(structuredClone(net.state), net.now);
    let pauses = 0;
    await verifyEvidence(net.state, () => Promise.resolve(pauses++));
    expect(pauses).toBe(6 * 7);
    expect(scoreEra(net.state, net.now)).toEqual(outcome);
    // Those of two monitors bear a signature that is not the provider's.
    const { audits } = net.verdictOf(0, outcome.providers);
    expect(audits).toEqual({ passed: 5 * 3, late: 0, wrong: 0, missing: 0, silent: 0 });
    expect(outcome.monitors.filter(({ canaries }) => canaries.includes(false))).toHaveLength(2);
    // What was verified for one beacon is not taken for another: every nonce is then wrong.
    const moved = scoreEra({ ...net.state, beacon: '0'.repeat(64) }, net.now);
    expect(moved.providers[0]!.audits.passed).toBe(0);
  });

  test('is the same wherever it is interrupted, and whatever happens meanwhile', async () => {
    const net = aboutToClose();
    const outcome = scoreEra(structuredClone(net.state), net.now);
    const steps = scoreEraStepwise(net.state, net.now);
    let interruptions = 0;
    let step = steps.next();
    for (; !step.done; step = steps.next()) {
      interruptions++;
      // Somebody registers; an operator sends a provider away.
      if (interruptions === 10) net.addMonitor(20);
      if (interruptions === 60) {
        const provider = net.providers[0]!.identity.id;
        net.record({ kind: 'provider-command', provider, command: 'drain' });
      }
    }
    expect(step.value).toEqual(outcome);
    // At least after each finding, each provider and each monitor.
    expect(interruptions).toBeGreaterThanOrEqual(6 * 7 + 6 + 7);
    expect(await inTurns(scoreEraStepwise(structuredClone(net.state), net.now), () => turn())).toEqual(
      scoreEra(net.state, net.now),
    );
  });

  test('needs the assignments that were given: a finding without one counts nothing', () => {
    const net = network({});
    const assignments = net.open();
    for (const [index, monitor] of net.monitors.entries()) {
      net.report(monitor, net.reportOf(monitor, assignments[index]!));
    }
    expect(scoreEra(net.state, net.now).providers[0]).toMatchObject({ decision: 'NO_DECISION', groups: [] });
    expect(() => scoreEra({ ...net.state, open: undefined }, net.now)).toThrow(/no era is open/);
  });
});

describe('a group of several monitors', () => {
  const claimed = { latitude: 40.71, longitude: -74.01 };
  const location = { latitude: 50.11, longitude: 8.68 };
  /** Seven operators with three monitors each; one of each three lies as loudly as it can. */
  function verdict(lie: boolean) {
    const net = new SyntheticNetwork({ providers: [{ location: claimed, rttMinMs: 70 }], monitors: 0 });
    for (let number = 0; number < 21; number++) {
      net.addMonitor(number, { operator: `watch${number % 7}`, location });
    }
    for (const { identity } of lie ? net.monitors.slice(14) : []) {
      net.monitors.find((monitor) => monitor.identity === identity)!.alter = (findings) =>
        findings.map((finding) => ({
          ...finding,
          probes: 1e9,
          answered: 0,
          rttMinMs: 0,
          latency: [[60, 1e9]],
          throughput: Array.from({ length: 16 }, () => 1),
          audits: finding.audits.map(({ target }) => ({ target, outcome: 'silent', elapsedMs: 5000 })),
        }));
    }
    return net.era()[0]!;
  }

  test('speaks by the median of its members: none drowns the others with large counts', () => {
    const [honest, slandered] = [verdict(false), verdict(true)];
    expect(slandered.groups).toHaveLength(7);
    expect(slandered.locationRefutedBy).toHaveLength(7);
    // Fewer proofs, and nothing else.
    const { integrity: _integrity, ...components } = honest.components;
    expect(slandered).toMatchObject({ decision: 'up', components });
    expect(slandered.score).toBeGreaterThan(0.9);
    expect(slandered.groups.map(({ answered, p99Ms }) => ({ answered, p99Ms }))).toEqual(
      honest.groups.map(({ answered, p99Ms }) => ({ answered, p99Ms })),
    );
    expect(honest.score).toBeGreaterThan(0.9);
  });

  test('counts no more than its assignment can have given rise to', () => {
    const finding = { provider: '', probes: 1e9, answered: 5e8, throughput: [], audits: [] };
    const cut = plausible(
      {
        ...finding,
        latency: [
          [3, 9e8],
          [60, 1e8],
        ],
      },
      4,
    );
    expect(cut).toMatchObject({
      probes: 100,
      answered: 50,
      latency: [
        [3, 18],
        [60, 2],
      ],
    });
    const fair = { ...finding, probes: 10, answered: 9, latency: [[3, 4] as [number, number]] };
    expect(plausible(fair, 4)).toBe(fair);
  });
});

describe('the life cycle', () => {
  const until = (net: SyntheticNetwork, state: string, most: number): number => {
    for (let era = 1; era <= most; era++) {
      net.era();
      if (net.stateOf(0).state === state) return era;
    }
    throw new Error(`still ${net.stateOf(0).state}: ${net.stateOf(0).reason}`);
  };
  const quick = { vetting: { audits: 20, days: 0 } };

  test('vetting takes its audits and its days', () => {
    expect(until(network({}, 7, { vetting: { audits: 100, days: 0 } }), 'active', 10)).toBe(5);
    expect(until(network({}, 7, { vetting: { audits: 1, days: 0.5 } }), 'active', 20)).toBe(12);
    expect(until(network({}, 7, { vetting: { audits: 210, days: 0.1 } }), 'active', 20)).toBe(10);
  });

  test('degraded after three eras below 0.95, back after twelve above 0.97', () => {
    const net = network({}, 7, quick);
    until(net, 'active', 1);
    net.providers[0]!.conduct = { latencyMs: 2000 };
    const eras = until(net, 'degraded', 20);
    expect(net.stateOf(0).erasBelow).toBe(3);
    expect(eras).toBeGreaterThanOrEqual(3);
    net.providers[0]!.conduct = {};
    expect(until(net, 'active', 60)).toBeGreaterThan(12);
    expect(net.stateOf(0).erasAbove).toBe(12);
  });

  test('suspended by downtime, never disqualified, and back after twelve available eras', () => {
    const net = network({}, 7, quick);
    until(net, 'active', 1);
    net.providers[0]!.conduct = { up: 0 };
    until(net, 'suspended', 10);
    for (let era = 0; era < 30; era++) net.era();
    expect(net.stateOf(0)).toMatchObject({ state: 'suspended', failures: 0 });
    expect(net.stateOf(0).last!.decision).toBe('down');
    net.providers[0]!.conduct = {};
    for (let era = 0; era < 25; era++) net.era();
    expect(net.stateOf(0).state).toBe('suspended');
    expect(net.stateOf(0).reason).toMatch(/of 12 eras available again/);
    for (let era = 0; era < 20; era++) net.era();
    expect(['active', 'degraded']).toContain(net.stateOf(0).state);
  });

  test('suspended in vetting goes back to vetting', () => {
    const net = network({ up: 0.5 }, 7, { vetting: { audits: 10_000, days: 0 } });
    until(net, 'suspended', 1);
    net.providers[0]!.conduct = {};
    expect(until(net, 'vetting', 60)).toBeGreaterThan(12);
  });

  test('silence about data is suspended, not disqualified', () => {
    const net = network({ silent: true }, 7, quick);
    until(net, 'suspended', 20);
    expect(net.stateOf(0)).toMatchObject({ failures: 0, audits: 0, erasLate: 3 });
    expect(net.stateOf(0).last!.audits.silent).toBe(21);
  });

  test('silence about some of the data is found, though no era’s median shows it', () => {
    // One of twenty shards: three challenges of a group seldom meet it.
    const net = network({ hushed: [0] }, 7, quick);
    until(net, 'suspended', 120);
    expect(net.stateOf(0)).toMatchObject({ failures: 0 });
    expect(net.stateOf(0).reason).toMatch(/possession not shown/);
    net.providers[0]!.conduct = {};
    expect(until(net, 'active', 80)).toBeGreaterThan(12);
  });

  test('silence is remembered of monitors that are not heard of in every era', () => {
    const net = network({ hushed: [0, 1, 2] }, 14, quick);
    for (let era = 0; era < 40; era++) {
      for (const [number, monitor] of net.monitors.entries()) monitor.quiet = number % 2 === era % 2;
      net.era();
    }
    expect(Object.keys(net.stateOf(0).silence)).toHaveLength(14);
    expect(net.stateOf(0)).toMatchObject({ state: 'suspended', failures: 0 });
  });

  test('who is leaving or disqualified stays so, with its score going on', () => {
    const net = network({ lost: [0, 1, 2, 3, 4, 5, 6, 7] }, 7, quick);
    until(net, 'disqualified', 3);
    net.providers[0]!.conduct = {};
    for (let era = 0; era < 5; era++) net.era();
    expect(net.stateOf(0).state).toBe('disqualified');
    expect(net.stateOf(0).reason).toMatch(/audits were answered with wrong bytes or a denial/);
    const leaving = network({}, 7, quick);
    leaving.era();
    leaving.record({
      kind: 'provider-command',
      provider: leaving.providers[0]!.identity.id,
      command: 'exit',
    });
    leaving.era();
    expect(leaving.stateOf(0)).toMatchObject({ state: 'exiting' });
    expect(leaving.stateOf(0).reason).toMatch(/leaving/);
  });

  test.each<[string, Conduct, string]>([
    ['late', { late: true }, 'vetting'],
    ['silent', { hushed: [0, 1, 2, 3, 4, 5] }, 'active'],
  ])('suspended because it was %s, and emptied: back after some days of being there', (_, conduct, back) => {
    const net = network(conduct, 7, quick);
    until(net, 'suspended', 30);
    for (let era = 0; era < 24; era++) net.era();
    net.providers[0]!.conduct = { empty: true };
    net.era();
    expect(net.stateOf(0).state).toBe('suspended');
    until(net, back, 60);
  });

  test('who is not there, or not asked by anyone who counts, gains nothing by it', () => {
    const net = network({ late: true }, 7, quick);
    until(net, 'suspended', 30);
    const { timely } = net.stateOf(0);
    net.providers[0]!.conduct = { up: 0, empty: true };
    net.era();
    expect(net.stateOf(0).last).toMatchObject({ decision: 'down' });
    for (const monitor of net.monitors) monitor.quiet = true;
    net.era();
    expect(net.stateOf(0).timely).toBe(timely);
  });

  test('a gap of days between eras weighs no more than two eras', () => {
    const net = network({}, 7, quick);
    until(net, 'active', 1);
    net.now += 72 * HOUR;
    net.providers[0]!.conduct = { up: 0 };
    net.era();
    expect(net.stateOf(0).availability).toBeCloseTo(2 ** (-2 / 6), 9);
    expect(net.stateOf(0).state).toBe('active');
  });
});
