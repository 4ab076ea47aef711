import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Identity } from '../../../placement/network/identity.ts';
import { checkCompact, openStatement, type Signed } from '../../../placement/network/signed.ts';
import { applyRecord } from '../../../placement/oracle/state.ts';
import { hyperNodeRegistrationSchema } from '../../../placement/network/messages.ts';
import { activeMonitor, describeProvider, Monitor, Party, TestNetwork } from './harness.ts';

let network: TestNetwork;
beforeEach(async () => {
  network = await TestNetwork.start();
});
afterEach(() => network.close());

const CHAIN = { operator: 'o', networkPrefix: 'p', beaconTip: 'c'.repeat(64) };
const REFUSAL = { kind: 'BadMessage', message: expect.stringContaining('as short as') as string };

/** The same said with more bytes, and signed. */
function wider(identity: Identity, { kind, body, signer }: Signed, widen: (body: string) => string): Signed {
  const wide = widen(body);
  const signature = identity.sign(Buffer.from(`shardway ${kind}\n${wide}`)).toString('base64url');
  return { kind, body: wide, signer, signature };
}

const WAYS: readonly [string, (body: string) => string][] = [
  ['blanks before it', (body) => ' '.repeat(1000) + body],
  ['blanks in it', (body) => body.replace('{', `{${'\n'.repeat(1000)}`)],
  ['a name said twice', (body) => body.replace('{', `{"operator":"${'x'.repeat(1000)}",`)],
  ['letters escaped', (body) => body.replace('version', 'versio\\u006e')],
  ['digits that say nothing', (body) => body.replace('"version":1', '"version":1.000000')],
];

test.each(WAYS)('nobody fills the log with %s', async (_, widen) => {
  const monitor = new Monitor(network);
  const statement = wider(monitor.identity, monitor.sign('register-hypernode', CHAIN), widen);
  // It is what it should be, but for its length.
  expect(openStatement(statement, 'register-hypernode', hyperNodeRegistrationSchema).value.version).toBe(1);
  await expect(network.service.registerHyperNode(statement)).rejects.toMatchObject(REFUSAL);
  expect(network.service.state.monitors).toEqual({});
});

test('reports, registrations and heartbeats are all asked to be short', async () => {
  const monitor = await activeMonitor(network);
  const report = await monitor.work();
  const blanks = (body: string): string => `${body}   `;
  await expect(network.service.report(wider(monitor.identity, report, blanks))).rejects.toMatchObject(
    REFUSAL,
  );
  await network.service.report(report);
  const party = new Party(network);
  const description = describeProvider('http://127.0.0.1:1');
  const registration = party.sign('register-provider', { description });
  await expect(
    network.service.registerProvider(wider(party.identity, registration, blanks)),
  ).rejects.toMatchObject(REFUSAL);
  const said = { endpoint: description.endpoint, capacity: 1, free: 1, shards: 0 };
  const heartbeat = wider(party.identity, party.sign('heartbeat', said), blanks);
  await expect(network.service.heartbeat(heartbeat)).rejects.toMatchObject(REFUSAL);
});

test('what an older log holds is taken as it is', () => {
  const monitor = new Monitor(network);
  const statement = wider(monitor.identity, monitor.sign('register-hypernode', CHAIN), (body) => `${body} `);
  const { state } = network.service;
  const after = applyRecord(state, {
    at: state.at,
    kind: 'hypernode-registered',
    statement,
    approved: false,
  });
  expect(Object.keys(after.monitors)).toEqual([monitor.id]);
});

test('what JSON.stringify writes is short', () => {
  for (const value of [
    { a: -0, b: 1e21, c: 'ü"\\\u2028\ud800', d: { 7: 1, 3: [] } },
    ['__proto__'],
    null,
    0.1,
  ]) {
    expect(() => checkCompact({ body: JSON.stringify(value) })).not.toThrow();
  }
});
