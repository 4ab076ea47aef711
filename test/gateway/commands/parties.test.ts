import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { prefixOf } from '../../../gateway/commands/networkPrefix.ts';
import { monitorStatement, providerStatement } from '../../../gateway/commands/statement.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import type { ProviderDescription } from '../../../placement/network/messages.ts';
import type { Signed } from '../../../placement/network/signed.ts';

const outward = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

/** What a party says of itself to a gateway at this address. */
async function registered(host: string, path: string, ...flags: string[]): Promise<string> {
  const { id, publicKey } = createIdentity();
  const { promise, resolve } = Promise.withResolvers<string>();
  const server = createServer((request, response) => {
    if (request.method === 'POST') void json(request).then((said) => resolve((said as Signed).body));
    else response.end(JSON.stringify({ version: 1, id, publicKey, time: Date.now() }));
  });
  await new Promise<void>((listening) => server.listen(0, host, listening));
  const data = await mkdtemp(join(tmpdir(), 'shardway-party-'));
  const gateway = `http://${host}:${(server.address() as AddressInfo).port}`;
  const args = ['--conditions=shardway-source', 'gateway/main.ts', ...flags];
  const party = spawn(process.execPath, [...args, '--data', data, '--gateway', gateway, '--operator', 'o'], {
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => party.once('exit', resolve));
  onTestFinished(async () => {
    party.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
    await ended;
    await rm(data, { recursive: true });
  });
  const body = JSON.parse(await promise) as Record<string, unknown>;
  const place = (path === '' ? body : body[path]) as { networkPrefix: string };
  return place.networkPrefix;
}

test.runIf(outward !== undefined)('parties are in the network of their way to the gateway', async () => {
  const prefix = prefixOf(outward!);
  expect(await registered(outward!, '', 'hypernode')).toBe(prefix);
  const listen = ['--listen', '127.0.0.1:0', '--site', 's'];
  expect(await registered(outward!, 'description', 'provider', ...listen)).toBe(prefix);
});

/** A gateway that answers registrations as a test says, and the parties that are started for it in a folder of its own. */
async function gatewayFor(answer: (said: Said) => { status: number; body: object }) {
  const { id, publicKey } = createIdentity();
  const data = await mkdtemp(join(tmpdir(), 'shardway-party-'));
  const server = createServer((request, response) => {
    if (request.method !== 'POST') {
      response.end(JSON.stringify({ version: 1, id, publicKey, time: Date.now() }));
      return;
    }
    const respond = async (): Promise<void> => {
      const signed = (await json(request)) as Signed;
      const { status, body } = answer(JSON.parse(signed.body) as Said);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    void respond();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const gateway = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const running = new Set<ChildProcess>();
  const start = (command: string, ...flags: string[]) => {
    const args = ['gateway/main.ts', command, '--data', data, '--gateway', gateway, ...flags];
    const party = spawn(process.execPath, ['--conditions=shardway-source', ...args], {
      env: { PATH: process.env['PATH'], SHARDWAY_TOKEN: `sj_${id}_${'5e'.repeat(16)}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    running.add(party);
    const ended = Promise.all([once(party, 'exit'), text(party.stderr)]).then(([[code], stderr]) => ({
      code: code as number | null,
      stderr,
    }));
    return { stop: () => party.kill('SIGTERM'), ended };
  };
  onTestFinished(async () => {
    for (const party of running) party.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
    await rm(data, { recursive: true });
  });
  return { start };
}

interface Said {
  readonly description?: ProviderDescription;
  readonly operator?: string;
  readonly networkPrefix?: string;
  readonly asn?: number;
}

const REFUSED = { status: 401, body: { kind: 'Refused', error: 'the join token is used up' } };
const SERVE = ['--listen', '127.0.0.1:0'];

test.each([
  ['provider', SERVE],
  ['hypernode', []],
])('a new %s whose token is no good ends with the reason', async (command, flags) => {
  const { start } = await gatewayFor(() => REFUSED);
  const { code, stderr } = await start(command, ...flags).ended;
  expect(code).toBe(4);
  expect(stderr).toMatch(/^shardway: the gateway refuses this party for good: the join token is used up$/m);
});

test('a provider that is started again says what it said before, but for the flags it is given', async () => {
  let heard = Promise.withResolvers<ProviderDescription>();
  const { start } = await gatewayFor(({ description }) => {
    if (description) heard.resolve(description);
    return { status: 200, body: { state: 'vetting' } };
  });
  const says = async (...flags: string[]): Promise<ProviderDescription> => {
    heard = Promise.withResolvers();
    const { stop, ended } = start('provider', ...SERVE, ...flags);
    const description = await heard.promise;
    stop();
    expect((await ended).code).toBe(0);
    return description;
  };
  const place = ['--region', 'eu', '--site', 'fra1', '--operator', 'acme'];
  const rest = ['--network-prefix', '203.0.113.7/24', '--class', 'hdd', '--capacity', '5GB'];
  const first = await says(...place, ...rest);
  expect(first).toMatchObject({
    region: 'eu',
    site: 'fra1',
    operator: 'acme',
    networkPrefix: '203.0.113.0/24',
    storageClass: 'hdd',
    capacity: 5e9,
  });
  const { endpoint: _former, ...said } = first;
  expect(await says('--site', 'fra2')).toMatchObject({ ...said, site: 'fra2' });
});

test('what is not given is what was stated before, and else the default', async () => {
  const gateway = 'http://127.0.0.1:1';
  const stated = await monitorStatement({ gateway, operator: 'o', asn: '64500', location: '50.1,8.7' }, {});
  expect(stated).toEqual({
    operator: 'o',
    asn: 64_500,
    location: { latitude: 50.1, longitude: 8.7 },
    networkPrefix: '127.0.0.0/24',
  });
  // Without asking for a way to the gateway, which may be away.
  expect(await monitorStatement({ gateway: 'http://gateway.invalid' }, stated)).toEqual(stated);
  expect(await monitorStatement({ gateway, networkPrefix: '2001:db8::1/48' }, stated)).toMatchObject({
    operator: 'o',
    networkPrefix: '2001:db8:0::/48',
  });
  expect(await providerStatement({ gateway }, {})).toMatchObject({
    region: 'default',
    storageClass: 'ssd',
    capacity: 0,
  });
});
