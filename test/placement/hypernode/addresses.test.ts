import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { AddressRules } from '../../../placement/network/addressRules.ts';
import { ProviderLine } from '../../../placement/hypernode/providerLine.ts';
import { requestSlots } from '../../../placement/hypernode/slots.ts';
import { isPrivateAddress } from '../../../placement/hypernode/membership.ts';
import { newGateway, newMonitor, newProvider } from './setting.ts';

const PUBLIC: AddressRules = { allowPrivate: false, listeners: () => [] };

function lineTo(endpoint: string, addresses: AddressRules): ProviderLine {
  const line = new ProviderLine(endpoint, {
    limits: { connectMs: 2000 },
    slots: requestSlots(4),
    stopwatch: () => performance.now(),
    addresses,
  });
  onTestFinished(() => line.close());
  return line;
}

async function asked(host: string, addresses: AddressRules): Promise<{ kind: string; requests: number }> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const line = lineTo(`http://${host}:${(server.address() as AddressInfo).port}`, addresses);
  const { kind } = await line.get('/v1/hello', {}, { bytesMax: 1000, ms: 2000 });
  await line.close();
  server.closeAllConnections();
  return { kind, requests };
}

test.each(['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]'])(
  'a monitor of a public gateway does not go to %s',
  async (host) => {
    expect(await asked(host, PUBLIC)).toEqual({ kind: 'unreachable', requests: 0 });
  },
);

test('a monitor of a gateway in a private network goes to its neighbours', async () => {
  expect(await asked('127.0.0.1', { ...PUBLIC, allowPrivate: true })).toEqual({
    kind: 'answer',
    requests: 1,
  });
});

test.each(['169.254.169.254', '[fe80::1]', '[fd00:ec2::254]', '100.100.100.200'])(
  'no monitor goes to %s',
  async (host) => {
    const line = lineTo(`http://${host}`, { ...PUBLIC, allowPrivate: true });
    const exchange = await line.get('/latest/meta-data', {}, { bytesMax: 1000, ms: 2000 });
    expect(exchange).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('not an address that a provider can have') as string,
    });
  },
);

test.each([
  ['127.0.0.1', true],
  ['::1', true],
  ['10.2.3.4', true],
  ['::ffff:192.168.1.1', true],
  ['203.0.113.9', false],
  ['2001:db8::1', false],
  ['169.254.169.254', false],
  ['fe80::1', false],
  [undefined, false],
])('the gateway is in a private network: %s %s', (address, is) => {
  expect(isPrivateAddress(address)).toBe(is);
});

test('where the gateway was met decides: one on this machine may have providers here, but not at link-local addresses', async () => {
  const [gateway, provider] = [await newGateway(), await newProvider()];
  const { id, publicKey } = provider;
  gateway.tasks = (monitor) => [
    gateway.task(monitor, provider, [provider.hold()]),
    gateway.task(monitor, { id, publicKey, endpoint: 'http://169.254.169.254' }, [provider.hold()]),
  ];
  gateway.openEra(1);
  await newMonitor(gateway);
  const { findings } = await gateway.report();
  expect(findings.map(({ answered, audits }) => [answered, audits[0]!.outcome])).toEqual([
    [4, 'ok'],
    [0, 'unreachable'],
  ]);
});
