import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import type { ProviderOptions } from '../../../placement/provider/daemon.ts';
import { sampleBytes } from '../shards.ts';
import { call, newSetting, put, shown, type Setting } from './support.ts';

let setting: Setting;
let sockets: Socket[] = [];
const agents: Agent[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const agent of agents) agent.destroy();
  sockets = [];
  await setting.dispose();
});

async function begin(limits: ProviderOptions['limits']): Promise<void> {
  setting = await newSetting({ limits: limits ?? {} });
}

async function dial(): Promise<Socket> {
  const { hostname, port } = new URL(setting.provider.endpoint);
  const socket = connect({ host: hostname, port: Number(port) });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** One connection that is kept; says the status, and whether the connection was there before. */
function caller(): (
  path: string,
  headers?: Record<string, string>,
) => Promise<[number | undefined, boolean, string | undefined]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agents.push(agent);
  return async (path, headers = {}) => {
    const outgoing = get(`${setting.provider.endpoint}${path}`, { agent, headers });
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    await text(answer);
    const told = answer.headers['keep-alive'];
    return [answer.statusCode, outgoing.reusedSocket, Array.isArray(told) ? told[0] : told];
  };
}

test('one address cannot hold all connections: strangers make way, holders of grants do not', async () => {
  await begin({ addressConnectionsMax: 4 });
  const { stored: name } = await put(setting, sampleBytes(100));
  const ask = caller();
  const grant = shown(setting.grant({ op: 'get', shard: name, size: 1 }));
  const read = `/v1/shards/${name}?first=0&count=1`;
  expect(await ask(read, grant)).toEqual([200, false, 'timeout=75']);
  const held: Socket[] = [];
  for (let i = 0; i < 8; i++) held.push(await dial());
  for (const socket of held.slice(0, 5)) if (!socket.destroyed) await once(socket, 'close');
  expect(held.slice(5).map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  expect((await ask('/v1/hello')).slice(0, 2)).toEqual([200, true]);
  expect((await call(setting.provider.endpoint, 'GET', '/v1/hello')).status).toBe(200);
});

test('where all connections are taken, the oldest stranger makes way', async () => {
  await begin({ connectionsMax: 3 });
  const held = [await dial(), await dial(), await dial()];
  const closed = once(held[0]!, 'close');
  expect((await call(setting.provider.endpoint, 'GET', '/v1/hello')).status).toBe(200);
  await closed;
  expect(held.slice(1).map(({ destroyed }) => destroyed)).toEqual([false, false]);
});

test('a stranger is told that his connection is not kept for long, and it is not', async () => {
  await begin({ strangerIdleMs: 1000 });
  const socket = await dial();
  const closed = once(socket, 'close');
  socket.resume();
  socket.write('GET /v1/hello HTTP/1.1\r\nhost: x\r\n\r\n');
  await closed;
});

test.each([
  '/v1/hello',
  '/v1/shards/../hello',
  '/v1/space/%2e%2e/hello',
  `/v1/shards/${'a'.repeat(32)}.1?first=0&count=1`,
])('nobody is known by what needs no grant, or by a grant that is none: %s', async (path) => {
  await begin({ addressConnectionsMax: 2 });
  const stranger = await dial();
  const closed = once(stranger, 'close');
  stranger.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Shardway eyJ9.AA\r\n\r\n`);
  const [answer] = (await once(stranger, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/\r\nkeep-alive: timeout=5\r\n/i);
  await dial();
  await dial();
  await closed;
});
