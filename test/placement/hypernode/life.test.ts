import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock, seededRandom } from '#placement';
import { isPreimage } from '../../../placement/network/beacon.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { joinProof } from '../../../placement/network/joinProof.ts';
import { startHyperNode } from '../../../placement/hypernode/hyperNode.ts';
import { lose, newFolder, newGateway, newMonitor, newProvider } from './setting.ts';
import type { TestGateway } from './testGateway.ts';

describe('joining', () => {
  test('waits until an operator has approved it', async () => {
    const gateway = await newGateway();
    gateway.standing = 'applied';
    gateway.openEra(1);
    const monitor = await newMonitor(gateway, { location: { latitude: 47, longitude: 8 }, asn: 64_500 });
    while (gateway.registrations.length < 3) await gateway.changed();
    expect(monitor.standing()).toEqual({ state: 'applied' });
    expect(gateway.reports).toEqual([]);
    gateway.standing = 'active';
    const report = await gateway.report();
    expect(monitor.standing()).toEqual({ state: 'active' });
    const [registration] = gateway.registrations;
    expect(registration).toMatchObject({ asn: 64_500, location: { latitude: 47, longitude: 8 } });
    expect(isPreimage(report.reveal, registration!.beaconTip)).toBe(true);
  });

  test('waits for a gateway that is not there yet, and outlives one that goes away', async () => {
    const gateway = await newGateway();
    gateway.refuse.set('gateway', 'Unavailable');
    const monitor = await newMonitor(gateway);
    expect((await monitor.event('gateway-away')).text).toBe('the test says Unavailable');
    expect(monitor.standing()).toBeUndefined();
    gateway.refuse.clear();
    gateway.openEra(1, 1000);
    await gateway.report(1);
    gateway.refuse.set('era', 'Unavailable');
    gateway.refuse.set('assignments', 'Unavailable');
    gateway.openEra(2);
    await gateway.changed();
    gateway.refuse.delete('era');
    await gateway.changed();
    gateway.refuse.clear();
    await gateway.report(2);
    expect(gateway.reports.map(({ era }) => era)).toEqual([1, 2]);
  });

  test('shows the proof of its token, and checks that it is of the gateway that answers', async () => {
    const gateway = await newGateway();
    gateway.openEra(1);
    const { id } = await newMonitor(gateway, { token: gateway.token });
    await gateway.report();
    expect(gateway.registrations[0]).toMatchObject({ token: joinProof(gateway.token, id) });
    expect(JSON.stringify(gateway.registrations)).not.toContain(gateway.token);
    const strange = await newMonitor(gateway, { token: `sj_${'0'.repeat(32)}_${'5e'.repeat(16)}` });
    expect((await strange.event('gateway-refused')).text).toContain('was expected');
    expect(gateway.registrations).toHaveLength(1);
  });

  test('a token that is none, and one of another gateway than it belongs to, are refused at once', async () => {
    const gateway = await newGateway();
    const data = await newFolder();
    await expect(newMonitor(gateway, { token: 'secret' })).rejects.toMatchObject({ kind: 'BadMessage' });
    gateway.openEra(1);
    const monitor = await newMonitor(gateway, { data });
    await gateway.report();
    await monitor.stop();
    const token = `sj_${'0'.repeat(32)}_${'5e'.repeat(16)}`;
    await expect(newMonitor(gateway, { data, token })).rejects.toMatchObject({ kind: 'Refused' });
  });

  test('another gateway at the address gets no registration', async () => {
    const [gateway, other] = [await newGateway(), await newGateway()];
    const data = await newFolder();
    gateway.openEra(1);
    const first = await newMonitor(gateway, { data });
    await gateway.report();
    await first.stop();
    const monitor = await newMonitor(other, { data });
    expect((await monitor.event('gateway-refused')).text).toContain('was expected');
    expect(other.registrations).toEqual([]);
  });
});

describe('a refusal', () => {
  test('of a token ends a monitor that is new', async () => {
    const gateway = await newGateway();
    gateway.spent = true;
    const monitor = await newMonitor(gateway, { token: gateway.token });
    expect(await monitor.refused).toMatchObject({ kind: 'Refused', message: 'the join token is used up' });
    expect((await monitor.event('gateway-refused')).text).toBe('the join token is used up');
    expect(gateway.registrations).toHaveLength(1);
  });

  test('by the operator ends a monitor that was never active', async () => {
    const gateway = await newGateway();
    gateway.standing = 'applied';
    const monitor = await newMonitor(gateway);
    await monitor.event('waiting');
    gateway.standing = 'removed';
    expect(await monitor.refused).toMatchObject({ kind: 'NotApproved' });
  });

  test('of a token leaves one that was active before without it', async () => {
    const gateway = await newGateway();
    const data = await newFolder();
    const first = await newMonitor(gateway, { data, token: gateway.token });
    await first.event('registered');
    await first.stop();
    gateway.spent = true;
    const second = await newMonitor(gateway, { data, token: gateway.token });
    await second.event('gateway-refused');
    await second.event('registered');
    expect(gateway.registrations.map(({ token }) => token !== undefined)).toEqual([true, true, false]);
  });

  test('that may pass is waited out', async () => {
    const gateway = await newGateway();
    gateway.refuse.set('hypernodes', 'Unavailable');
    const monitor = await newMonitor(gateway, { token: gateway.token });
    await monitor.event('gateway-away');
    gateway.refuse.clear();
    await monitor.event('registered');
  });
});

describe('assignments', () => {
  test.each<[string, (gateway: TestGateway) => void]>([
    ['for another monitor', (gateway) => (gateway.forge = (each) => ({ ...each, monitor: '0'.repeat(32) }))],
    ['for another era', (gateway) => (gateway.forge = (each) => ({ ...each, era: each.era + 1 }))],
    [
      'that gives a provider a key that is not its own',
      (gateway) => {
        const { id } = createIdentity();
        const { publicKey } = createIdentity();
        const endpoint = 'http://127.0.0.1:1';
        gateway.tasks = (monitor) => [gateway.task(monitor, { id, publicKey, endpoint }, [])];
      },
    ],
    [
      'that another than the gateway has signed',
      (gateway) => Object.assign(gateway, { identity: createIdentity() }),
    ],
  ])('%s are not worked on', async (_what, spoil) => {
    const gateway = await newGateway();
    const monitor = await newMonitor(gateway);
    await monitor.event('registered');
    spoil(gateway);
    gateway.openEra(5);
    await monitor.event('gateway-refused');
    expect(gateway.posted).toEqual([]);
  });

  test('a monitor that has none in this era works in the next', async () => {
    const gateway = await newGateway();
    gateway.refuse.set('assignments', 'NotFound');
    gateway.openEra(1, 500);
    const monitor = await newMonitor(gateway);
    await monitor.event('gateway-refused');
    gateway.refuse.clear();
    gateway.openEra(2);
    expect((await gateway.report()).era).toBe(2);
  });
});

describe('reports', () => {
  test('one an era, each with the next value of its chain', async () => {
    const gateway = await newGateway();
    gateway.openEra(1, 900);
    await newMonitor(gateway);
    await gateway.report(1);
    gateway.openEra(2, 900);
    await gateway.report(2);
    gateway.openEra(4);
    await gateway.report(3);
    const [first, second, third] = gateway.reports.map(({ reveal }) => reveal);
    expect(isPreimage(second!, first!)).toBe(true);
    expect(isPreimage(third!, second!)).toBe(true);
    expect(gateway.reports.map(({ era }) => era)).toEqual([1, 2, 4]);
    expect(gateway.posted).toHaveLength(3);
  });

  test('are sent again until the gateway takes them', async () => {
    const gateway = await newGateway();
    gateway.refuse.set('reports', 'Unavailable');
    gateway.openEra(1);
    const monitor = await newMonitor(gateway);
    await gateway.called('reports', 2);
    gateway.refuse.clear();
    await gateway.report();
    expect((await monitor.event('reported')).era).toBe(1);
    expect(gateway.posted).toHaveLength(1);
  });

  test('that the gateway does not take are lost, and said to be', async () => {
    const gateway = await newGateway();
    gateway.refuse.set('reports', 'BadMessage');
    gateway.openEra(1);
    const monitor = await newMonitor(gateway);
    expect(await monitor.event('report-lost')).toMatchObject({ era: 1, text: 'the test says BadMessage' });
  });
});

describe('a monitor that is cut off', () => {
  test('says so, and nothing of providers', async () => {
    const gateway = await newGateway();
    const providers = await Promise.all([newProvider(), newProvider(), newProvider()]);
    await Promise.all(providers.map((provider) => provider.close()));
    gateway.tasks = (monitor) =>
      providers.map((provider) => gateway.task(monitor, provider, [provider.hold()]));
    gateway.openEra(1, 3000);
    const monitor = await newMonitor(gateway);
    const report = await gateway.report();
    await Promise.all(providers.map((provider) => provider.listen()));
    expect(report.connectivity).toEqual({ checked: 4, reached: 1 });
    expect(report.findings).toEqual([]);
    expect((await monitor.event('offline')).text).toContain('1 of 4');
  });

  test('in the middle of an era blames no provider for it', async () => {
    const gateway = await newGateway();
    const providers = await Promise.all([newProvider(), newProvider(), newProvider(), newProvider()]);
    gateway.tasks = (monitor) =>
      providers.map((provider) => gateway.task(monitor, provider, [provider.hold()]));
    let hellos = 0;
    for (const provider of providers) {
      // Beyond its own check and the first visits nothing comes through, in either direction.
      provider.script = (_route, response) => {
        if (++hellos > 12) response.destroy();
        return hellos > 12;
      };
    }
    gateway.openEra(1);
    await newMonitor(gateway);
    const report = await gateway.report();
    expect(report.connectivity).toEqual({ checked: 5, reached: 5 });
    expect(hellos).toBeGreaterThan(12);
    for (const { audits, probes, answered } of report.findings) {
      expect(answered).toBe(probes);
      expect(audits.filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    }
  });
});

describe('a restart', () => {
  test('in the middle of an era: the work is done anew, spent grants are held against nobody', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    const data = await newFolder();
    const shards = [provider.hold(), provider.hold()];
    gateway.tasks = (monitor) => [gateway.task(monitor, provider, shards)];
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    provider.script = (route, response) => {
      if (route !== 'prove') return false;
      resolve();
      response.destroy();
      return true;
    };
    gateway.openEra(1);
    const first = await newMonitor(gateway, { data });
    await asked;
    await first.stop();
    expect(gateway.posted).toEqual([]);
    let proofs = 0;
    provider.script = (route, response) => {
      if (route !== 'prove' || ++proofs > 1) return false;
      response.writeHead(401).end('{"kind":"Refused","error":"the grant was used before"}');
      return true;
    };
    const second = await newMonitor(gateway, { data });
    expect(second.id).toBe(first.id);
    const [finding] = (await gateway.report()).findings;
    expect(finding!.audits.map(({ outcome }) => outcome)).toEqual(['ok']);
  });

  test('before the gateway has the report: the same report goes out, and no value is shown twice', async () => {
    const gateway = await newGateway();
    const data = await newFolder();
    gateway.refuse.set('reports', 'Unavailable');
    gateway.openEra(1, 30_000);
    const first = await newMonitor(gateway, { data });
    await gateway.called('reports');
    await first.stop();
    gateway.refuse.clear();
    const second = await newMonitor(gateway, { data });
    const one = await gateway.report(1);
    await second.stop();
    // Restarted once more, with the report made and taken: the gateway is shown the same again, and has it already.
    const third = await newMonitor(gateway, { data });
    while (gateway.posted.length < 2) await gateway.changed();
    await third.stop();
    expect(gateway.posted[1]).toEqual(gateway.posted[0]);
    gateway.openEra(2);
    await newMonitor(gateway, { data });
    const two = await gateway.report(2);
    expect(two.reveal).not.toBe(one.reveal);
    expect(isPreimage(two.reveal, one.reveal)).toBe(true);
  });

  test('is refused when it is not known what was shown', async () => {
    const gateway = await newGateway();
    const data = await newFolder();
    const first = await newMonitor(gateway, { data });
    await first.stop();
    await lose(join(data, 'reveals.json'));
    const again = startHyperNode({
      data,
      gateway: gateway.url,
      operator: 'watcher',
      networkPrefix: '192.0.2.0/24',
      clock: systemClock,
      random: seededRandom(1),
    });
    await expect(again).rejects.toMatchObject({ kind: 'Tampered' });
  });
});
