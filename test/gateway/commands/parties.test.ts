import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { prefixOf } from '../../../gateway/commands/networkPrefix.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
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
