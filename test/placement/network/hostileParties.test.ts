import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Freshness } from '../../../placement/network/freshness.ts';
import type { Report } from '../../../placement/network/messages.ts';
import { activeMonitor, Monitor, TestNetwork, until } from './harness.ts';

const HOUR_MS = 3_600_000;

describe('what parties say', () => {
  let network: TestNetwork;

  beforeEach(async () => {
    network = await TestNetwork.start();
    await network.listen();
  });

  afterEach(async () => {
    await network.close();
  });

  test('a report tells of what was asked and nothing else, and its evidence is bounded', async () => {
    await network.addDaemon(1, await network.service.createToken('provider', 1, 1));
    await until(() => network.service.state.open !== undefined);
    const monitor = await activeMonitor(network);
    await network.nextEra();
    const { version: _v, gateway: _g, at: _a, ...said } = JSON.parse((await monitor.work()).body) as Report;
    const [finding] = said.findings;
    const [audit] = finding!.audits;
    const report = (findings: Report['findings']): Promise<void> =>
      network.service.report(monitor.sign('report', { ...said, findings }));
    const logged = network.service.state;
    for (const findings of [
      [...said.findings, { ...finding!, provider: '0'.repeat(32) }],
      [{ ...finding!, audits: [...finding!.audits, { ...audit!, target: finding!.audits.length }] }],
      [{ ...finding!, audits: [{ ...audit!, evidence: 'x'.repeat(4095) }] }],
      [{ ...finding!, audits: [{ ...audit!, evidence: { kind: { a: ['\u00e4'.repeat(2048)] } } }] }],
    ]) {
      await expect(report(findings)).rejects.toMatchObject({ kind: 'BadMessage' });
    }
    // No record was applied.
    expect(network.service.state).toBe(logged);
    await report(said.findings);
    expect(network.service.state.open!.reports[monitor.id]).toBeDefined();
  });

  test('an applicant changes what it says once an hour, through a restart too; a removed party not at all', async () => {
    const chain = { beaconTip: 'c'.repeat(64) };
    const applicant = new Monitor(network);
    await applicant.register('one', chain);
    const change = async (name: string): Promise<unknown> =>
      await applicant.register(name, chain).then(
        () => 'taken',
        (error: { kind: string }) => error.kind,
      );
    network.clock.advance(HOUR_MS / 2);
    expect(await change('two')).toBe('Unavailable');
    // Saying the same again is no change.
    expect(await change('one')).toBe('taken');
    await network.stop();
    await network.open();
    expect(await change('two')).toBe('Unavailable');
    network.clock.advance(HOUR_MS);
    expect(await change('two')).toBe('taken');
    expect(await change('three')).toBe('Unavailable');
    expect(network.service.state.monitors[applicant.id]!.operator).toBe('two');

    await network.service.commandMonitor(applicant.id, 'approve');
    expect(await change('two')).toBe('taken');
    await network.service.commandMonitor(applicant.id, 'remove');
    network.clock.advance(2 * HOUR_MS);
    expect(await change('three')).toBe('NotApproved');
    const token = await network.service.createToken('hypernode', 1, 1);
    await expect(applicant.register('three', { ...chain, token })).rejects.toMatchObject({
      kind: 'NotApproved',
    });
    expect(await network.service.tokens()).toMatchObject([{ usesLeft: 1 }]);
  });

  test('what a former run of the gateway took is not taken again', async () => {
    const monitor = await activeMonitor(network);
    await network.nextEra();
    const ask = (): ReturnType<Monitor['sign']> =>
      monitor.sign('assignment-request', { era: network.service.state.era });
    const captured = ask();
    await network.service.assignment(captured);
    await expect(network.service.assignment(captured)).rejects.toMatchObject({ kind: 'Refused' });
    await network.stop();
    network.clock.advance(1000);
    await network.open();
    network.service.start();
    await expect(network.service.assignment(captured)).rejects.toMatchObject({
      // To be tried again: an honest party has only to say it anew.
      retryable: true,
      message: expect.stringContaining(new Date(network.clock.now()).toISOString()) as string,
    });
    await network.service.assignment(ask());
  });
});

describe('freshness', () => {
  const MINUTE = 60_000;

  test('takes a time once, and only newer ones', () => {
    const freshness = new Freshness(0);
    freshness.check('a', 's', 5, 10);
    freshness.remember('a', 's', 5);
    expect(() => freshness.check('a', 's', 5, 10)).toThrow('not newer');
    expect(() => freshness.check('a', 's', 4, 10)).toThrow('not newer');
    freshness.check('a', 'other', 5, 10);
    freshness.check('b', 's', 5, 10);
    freshness.check('a', 's', 6, 10);
    expect(() => freshness.check('a', 's', 10 + 11 * MINUTE, 10)).toThrow('check the clock');
    expect(() => new Freshness(7).check('a', 's', 6, 10)).toThrow('before the gateway was started');
  });

  test('a clock that was ahead for a moment silences nobody, and lets nothing be said twice', () => {
    const freshness = new Freshness(0);
    const say = (at: number, now: number): void => {
      freshness.check('a', 's', at, now);
      freshness.remember('a', 's', at);
    };
    const day = 1440 * MINUTE;
    say(20 * MINUTE, 20 * MINUTE);
    say(day, day);
    expect(() => say(20 * MINUTE, 21 * MINUTE)).toThrow('not newer');
    say(21 * MINUTE, 21 * MINUTE);
    expect(() => say(21 * MINUTE, 21 * MINUTE)).toThrow('not newer');
    for (let now = 22 * MINUTE; now < day - 20 * MINUTE; now += MINUTE) say(now, now);
    expect(() => say(day, day)).toThrow('not newer');
  });
});
