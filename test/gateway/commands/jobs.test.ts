/** Jobs that a command asks a gateway for, as seen by the command. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { publishAddress } from '../../../gateway/admin/address.ts';
import { AdminClient, NoGatewayError } from '../../../gateway/admin/client.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function clientOf(answer: RequestListener): Promise<AdminClient> {
  const data = await mkdtemp(join(tmpdir(), 'shardway-jobs-'));
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(async () => {
    server.closeAllConnections();
    server.close();
    await rm(data, { recursive: true });
  });
  const { port } = server.address() as AddressInfo;
  await publishAddress(data, { url: `http://127.0.0.1:${port}`, token: 'token', pid: process.pid });
  return await AdminClient.connect(data);
}

test.each([
  ['ends', (socket: { end(): unknown }) => socket.end()],
  ['is cut', (socket: { destroy(): unknown }) => socket.destroy()],
])('a connection that %s in the middle of a job is a gateway that has stopped', async (_, end) => {
  let seen = 0;
  const client = await clientOf((_request, response) => {
    response.write(`${JSON.stringify({ progress: { done: 1 } })}\n`, () =>
      setTimeout(() => end(response.socket!), 20),
    );
  });
  const running = client.run('check', {}, () => seen++);
  await expect(running).rejects.toBeInstanceOf(NoGatewayError);
  await expect(running).rejects.toThrow('stopped before the job was done');
  expect(seen).toBe(1);
});

test("a job's own failure is told as it is", async () => {
  const client = await clientOf((_request, response) => {
    response.end(`${JSON.stringify({ error: 'two jobs at once' })}\n`);
  });
  await expect(client.run('check', {}, () => undefined)).rejects.toThrow(/^two jobs at once$/);
});
