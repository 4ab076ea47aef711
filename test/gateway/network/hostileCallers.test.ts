/** Callers that would keep others from being heard. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Callers } from '../../../gateway/network/callers.ts';
import { createNetworkServer } from '../../../gateway/network/listener.ts';
import { NETWORK_LIMITS, type NetworkLimits } from '../../../gateway/network/types.ts';
import { GatewayClient } from '../../../placement/network/gatewayClient.ts';
import { signStatement, type Signed } from '../../../placement/network/signed.ts';
import { encodeSigned } from '../../../placement/provider/wire.ts';
import { activeMonitor, Monitor, Party, TestNetwork, until } from '../../placement/network/harness.ts';

let network: TestNetwork;
let server: Server;
let port: number;

beforeEach(async () => {
  network = await TestNetwork.start();
  await listen();
});
afterEach(async () => {
  await close();
  await network.close();
});

async function listen(limits: Partial<NetworkLimits> = {}): Promise<void> {
  server = createNetworkServer(network.service, { limits });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
}

async function close(): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function dial(): Socket {
  return connect(port, '127.0.0.1').on('error', () => undefined);
}

/** The beginning of a report that says it is long. */
function beginReport(signer: string, intent: Signed): Socket {
  const socket = dial();
  socket.write(
    `POST /network/v1/reports HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nshardway-kind: report\r\nshardway-signer: ${signer}\r\nshardway-signature: AA\r\nshardway-intent: ${encodeSigned(intent)}\r\ncontent-length: 16000000\r\n\r\n{`,
  );
  return socket;
}

async function statusOf(socket: Socket): Promise<string> {
  const [data] = (await once(socket, 'data')) as [Buffer];
  return data.toString().slice(9, 12);
}

test('nobody takes a monitor’s place at the gate by its public key, or by what it has signed before', async () => {
  const monitor = await activeMonitor(network);
  const { publicKey } = monitor.identity;
  const stranger = new Party(network);
  const client = new GatewayClient(`http://127.0.0.1:${port}`);
  const report = await monitor.work();
  const seen = monitor.announce(report);
  const forged = { ...stranger.announce(report), signer: publicKey };
  expect(await statusOf(beginReport(publicKey, forged))).toBe('401');
  const elsewhere = monitor.sign('report-intent', {
    gateway: '0'.repeat(32),
    era: 0,
    report: '0'.repeat(64),
  });
  expect(await statusOf(beginReport(publicKey, elsewhere))).toBe('401');
  // Of another kind, and of another era.
  const question = monitor.sign('assignment-request', { era: 0, report: '0'.repeat(64) });
  expect(await statusOf(beginReport(publicKey, question))).toBe('400');
  const early = monitor.sign('report-intent', { era: network.service.state.era + 1, report: '0'.repeat(64) });
  expect(await statusOf(beginReport(publicKey, early))).toBe('404');
  // None of them holds the gate.
  await client.report(report, monitor.announce(report));
  expect(await statusOf(beginReport(publicKey, seen))).toBe('401');
  const mine = await activeMonitor(network);
  expect(await statusOf(beginReport(publicKey, mine.announce(report)))).toBe('401');
  await client.close();
});

test('a report is the one that was announced', async () => {
  const monitor = await activeMonitor(network);
  const report = await monitor.work();
  const client = new GatewayClient(`http://127.0.0.1:${port}`);
  const other = monitor.announce({ body: `${report.body} ` });
  await expect(client.report(report, other)).rejects.toMatchObject({
    kind: 'Refused',
    message: 'the report is not the one that was announced',
  });
  expect(network.service.state.open!.reports).toEqual({});
  await client.report(report, monitor.announce(report));
  expect(Object.keys(network.service.state.open!.reports)).toEqual([monitor.id]);
  await client.close();
});

test('however many addresses fail, none that did not is taken for them', () => {
  let now = 0;
  const callers = new Callers({ ...NETWORK_LIMITS, failuresMax: 3 }, () => now);
  for (let i = 0; i < 5000; i++) {
    for (let time = 0; time < 3; time++) callers.noteFailure(`10.1.${i >> 8}.${i & 255}`);
  }
  expect(callers.mayCall('192.0.2.1')).toBe(true);
  expect(callers.mayCall('10.1.0.1')).toBe(false);
  // Memory is bounded: beyond it, they are not counted.
  expect(callers.mayCall('10.1.19.0')).toBe(true);
  now = 60_001;
  expect(callers.mayCall('10.1.0.1')).toBe(true);
});

test('who has only applied makes way as any other stranger', async () => {
  await close();
  await listen({ addressConnectionsMax: 4 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const applicant = new Monitor(network);
  const said = applicant.sign('register-hypernode', {
    operator: 'o',
    networkPrefix: 'p',
    beaconTip: 'c'.repeat(64),
  });
  const outgoing = request({
    host: '127.0.0.1',
    port,
    agent,
    method: 'POST',
    path: '/network/v1/hypernodes',
    headers: { 'content-type': 'application/json' },
  });
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  outgoing.once('socket', (socket) => socket.once('close', () => resolve()));
  outgoing.end(JSON.stringify(said));
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  expect(JSON.parse(await text(answer))).toMatchObject({ state: 'applied' });
  const others = Array.from({ length: 4 }, dial);
  await gone;
  for (const socket of others) socket.destroy();
  agent.destroy();
});

/** The assignment of a network of thousands. */
async function widenAssignment(monitor: Monitor): Promise<void> {
  const path = join(network.folder, `era-${network.service.state.era}`, `${monitor.id}.json`);
  const signed = JSON.parse(await readFile(path, 'utf8')) as Signed;
  await writeFile(path, JSON.stringify({ ...signed, body: signed.body + ' '.repeat(15_000_000) }));
}

function ask(monitor: Monitor): Socket {
  const body = JSON.stringify(
    signStatement(monitor.identity, 'assignment-request', {
      version: 1,
      gateway: network.gateway.id,
      at: Math.floor(network.clock.now()) + ++asked * 1000,
      era: network.service.state.era,
    }),
  );
  const socket = dial();
  socket.pause();
  socket.write(
    `POST /network/v1/assignments HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  return socket;
}
let asked = 0;

const connections = (): Promise<number> =>
  new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });

test('who asks and does not read is cut off, and holds no more than two long answers until then', async () => {
  const monitor = await activeMonitor(network);
  await widenAssignment(monitor);
  await close();
  await listen({ answerTimeoutMs: 2000 });
  const unread = [ask(monitor), ask(monitor)];
  await until(async () => (await connections()) === 2);
  // Both are under way: the next one hears of it, and so does not take its part of the memory.
  for (let refused = false; !refused;) {
    const third = ask(monitor);
    refused = (await statusOf(third.resume())) === '503';
    third.destroy();
  }
  await until(async () => (await connections()) === 0);
  for (const socket of unread) socket.destroy();
  const again = ask(monitor).resume();
  expect(await statusOf(again)).toBe('200');
  again.destroy();
});
