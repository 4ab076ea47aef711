import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, request, type IncomingMessage, type Server } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createNetworkServer } from '../../../gateway/network/listener.ts';
import { NETWORK_LIMITS, type NetworkLimits } from '../../../gateway/network/types.ts';
import { GatewayClient } from '../../../placement/network/gatewayClient.ts';
import { createIdentity, partyId } from '../../../placement/network/identity.ts';
import { joinProof } from '../../../placement/network/joinProof.ts';
import { signStatement, type Signed } from '../../../placement/network/signed.ts';
import { encodeSigned } from '../../../placement/provider/wire.ts';
import { describeProvider, Monitor, Party, TestNetwork, until } from '../../placement/network/harness.ts';

const ROUTES = ['providers', 'heartbeats', 'hypernodes', 'assignments', 'reports'];
const KINDS = ['register-provider', 'heartbeat', 'register-hypernode', 'assignment-request', 'report'];

describe('network listener', () => {
  let network: TestNetwork;
  let url: string;
  let servers: Server[];

  beforeEach(async () => {
    servers = [];
    network = await TestNetwork.start();
    url = await listen();
  });

  afterEach(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await network.close();
  });

  async function listen(limits: Partial<NetworkLimits> = {}): Promise<string> {
    const onError = (error: Error): void => void network.faults.push(error);
    const server = createNetworkServer(network.service, {
      limits: { failuresMax: Infinity, ...limits },
      onError,
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function dial(): Socket {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    return socket;
  }

  function postReport(
    party: Party,
    report = party.sign('report', {}),
    intent = party.announce(report),
  ): Promise<Response> {
    const { kind, body, signer, signature } = report;
    const headers = { 'shardway-kind': kind, 'shardway-signer': signer, 'shardway-signature': signature };
    return post('reports', body, { ...headers, 'shardway-intent': encodeSigned(intent) });
  }

  /** The head of a report that says it is long, and a little of it. */
  function beginReport(party: Party, intent = party.announce({ body: '{' })): Socket {
    const socket = dial();
    const signer = party.identity.publicKey;
    socket.write(
      `POST /network/v1/reports HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nshardway-kind: report\r\nshardway-signer: ${signer}\r\nshardway-signature: AA\r\nshardway-intent: ${encodeSigned(intent)}\r\ncontent-length: ${16 * 1024 * 1024}\r\n\r\n{`,
    );
    return socket;
  }

  async function activeMonitor(name: string): Promise<Monitor> {
    const monitor = new Monitor(network);
    const token = await network.service.createToken('hypernode', 1, 1);
    await monitor.register(name, { token });
    return monitor;
  }

  /** All that a connection gives until it has this. */
  async function received(socket: Socket, pattern: RegExp): Promise<string> {
    let all = '';
    socket.on('data', (part: Buffer) => (all += part.toString()));
    await until(() => pattern.test(all));
    return all;
  }

  async function post(
    route: string,
    body: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return await fetch(`${url}/network/v1/${route}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
  }

  /** Status, and that the answer says what it has to and nothing more. */
  async function refusal(response: Response): Promise<number> {
    const text = await response.text();
    const body = JSON.parse(text) as { kind: string; error: string };
    expect(Object.keys(body)).toEqual(['kind', 'error']);
    expect(text).not.toMatch(/node_modules|\.ts:|at async/);
    return response.status;
  }

  test('says who it is', async () => {
    const response = await fetch(`${url}/network/v1/gateway`);
    const found = (await response.json()) as { id: string; publicKey: string };
    expect(found).toMatchObject({ version: 1, id: network.gateway.id });
    expect(partyId(found.publicKey)).toBe(found.id);
    expect(response.headers.get('x-powered-by')).toBeNull();
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  test('everything from registration to report, over HTTP', async () => {
    expect(await refusal(await fetch(`${url}/network/v1/era`))).toBe(503);
    const monitor = new Monitor(network);
    const token = await network.service.createToken('hypernode', 1, 1);
    const chain = { operator: 'o', networkPrefix: 'p', beaconTip: 'a'.repeat(64) };
    const proof = joinProof(token, monitor.id);
    const registration = monitor.sign('register-hypernode', { token: proof, ...chain });
    const registered = await post('hypernodes', JSON.stringify(registration));
    expect(registered.status).toBe(200);
    expect(await registered.json()).toMatchObject({ state: 'active' });
    await until(() => network.service.state.open !== undefined);
    const { era } = (await (await fetch(`${url}/network/v1/era`)).json()) as { era: number };
    const question = JSON.stringify(monitor.sign('assignment-request', { era }));
    const answer = await post('assignments', question);
    expect(await answer.json()).toMatchObject({ kind: 'assignment', signer: network.gateway.publicKey });
    // Asked again word for word, as an eavesdropper would.
    expect(await refusal(await post('assignments', question))).toBe(401);
    const nextEra = monitor.sign('assignment-request', { era: era + 1 });
    expect(await refusal(await post('assignments', JSON.stringify(nextEra)))).toBe(404);
  });

  test.each(ROUTES)('whatever comes to %s unasked is refused, and changes nothing', async (route) => {
    const { state } = network.service;
    const party = new Party(network);
    const bodies = fc.oneof(
      fc.json({ maxDepth: 3 }),
      fc.string({ maxLength: 200 }),
      fc
        .record({
          kind: fc.constantFrom(...KINDS, '__proto__'),
          body: fc.oneof(fc.json({ maxDepth: 2 }), fc.constant('{"__proto__":{"version":1}}')),
          signer: fc.constantFrom(party.identity.publicKey, createIdentity().publicKey, '', 'x'),
          signature: fc.base64String({ maxLength: 100 }),
        })
        .map((value) => JSON.stringify(value)),
      fc
        .tuple(
          fc.constantFrom(...KINDS),
          fc.dictionary(fc.string({ maxLength: 12 }), fc.jsonValue({ maxDepth: 1 })),
        )
        .map(([kind, value]) => JSON.stringify(signStatement(party.identity, kind, value))),
    );
    await fc.assert(
      fc.asyncProperty(bodies, async (body) => {
        const status = await refusal(await post(route, body));
        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
      }),
      { numRuns: 60 },
    );
    expect(network.service.state).toBe(state);
    expect(network.faults).toEqual([]);
  });

  test('a signature is good for one text, one kind and one party', async () => {
    const [one, other] = [new Party(network), new Party(network)];
    const said = { operator: 'o', networkPrefix: 'p', beaconTip: 'a'.repeat(64) };
    const [mine, theirs] = [one.sign('register-hypernode', said), other.sign('register-hypernode', said)];
    const heartbeat = one.sign('heartbeat', said);
    const forgeries: Signed[] = [
      { ...mine, signature: theirs.signature },
      { ...mine, signer: theirs.signer },
      { ...mine, body: theirs.body },
      { ...mine, body: mine.body.replace('"o"', '"x"') },
      { ...heartbeat, kind: 'register-hypernode' },
      { ...mine, signature: '' },
    ];
    for (const forgery of forgeries) {
      expect(await refusal(await post('hypernodes', JSON.stringify(forgery)))).toBe(401);
    }
    expect(await refusal(await post('heartbeats', JSON.stringify(mine)))).toBe(400);
    expect(network.service.state.monitors).toEqual({});
    expect((await post('hypernodes', JSON.stringify(mine))).status).toBe(200);
    expect(await refusal(await post('hypernodes', JSON.stringify(mine)))).toBe(401);
  });

  test('only active monitors are listened to', async () => {
    const monitor = new Monitor(network);
    const report = monitor.sign('report', {});
    expect(await refusal(await postReport(monitor))).toBe(404);
    await monitor.register('m', { beaconTip: 'a'.repeat(64) });
    expect(await refusal(await postReport(monitor))).toBe(403);
    expect(await refusal(await post('reports', JSON.stringify(report)))).toBe(400);
    expect(
      await refusal(
        await post('assignments', JSON.stringify(monitor.sign('assignment-request', { era: 0 }))),
      ),
    ).toBe(403);
  });

  test('long, compressed, misnamed and deep bodies are refused', async () => {
    const description = { ...describeProvider('http://127.0.0.1:1'), site: 'x'.repeat(70_000) };
    const long = JSON.stringify(new Party(network).sign('register-provider', { description }));
    expect(await refusal(await post('providers', long))).toBe(413);
    expect(await refusal(await post('providers', gzipSync(long), { 'content-encoding': 'gzip' }))).toBe(415);
    expect(await refusal(await post('providers', '{}', { 'content-type': 'text/plain' }))).toBe(400);
    expect(await refusal(await post('providers', '['.repeat(60_000)))).toBe(400);
    expect(await refusal(await post('providers', `${'['.repeat(30_000)}${']'.repeat(30_000)}`))).toBe(400);
    expect(network.faults).toEqual([]);
  });

  test('other routes and methods are not there', async () => {
    for (const path of [
      '/',
      '/network/v1',
      '/network/v1/providers',
      '/network/v1/era/',
      '/network/v2/gateway',
      '/%00',
    ]) {
      const response = await fetch(`${url}${path}`);
      expect([404, 503]).toContain(await refusal(response));
    }
    const response = await fetch(`${url}/network/v1/gateway`, { method: 'DELETE' });
    expect(await refusal(response)).toBe(404);
  });

  test('an address that fails again and again is sent away before it is listened to', async () => {
    url = await listen({ failuresMax: 5 });
    for (let i = 0; i < 5; i++) expect(await refusal(await post('heartbeats', '{}'))).toBe(400);
    const response = await post('heartbeats', '{}');
    expect(response.headers.get('retry-after')).not.toBeNull();
    expect(await refusal(response)).toBe(503);
    expect((await fetch(`${url}/network/v1/gateway`)).status).toBe(200);
  });

  test('reports of active monitors are taken, and again when they come again', async () => {
    const monitor = await activeMonitor('m');
    await until(() => network.service.state.open !== undefined);
    const report = await monitor.work();
    expect((await postReport(monitor, report)).status).toBe(200);
    const client = new GatewayClient(url);
    await client.report(report, monitor.announce(report));
    const stranger = new Party(network);
    const theirs = stranger.sign('report', {});
    await expect(client.report(theirs, stranger.announce(theirs))).rejects.toMatchObject({
      kind: 'NotFound',
    });
    await client.close();
  });

  test('a report is answered before it is read, unless its signer is an active monitor', async () => {
    const stranger = beginReport(new Monitor(network));
    expect(await received(stranger, /\}$/)).toMatch(/^HTTP\/1.1 404 /);
    const monitor = await activeMonitor('m');
    await until(() => network.service.state.open !== undefined);
    const unannounced = beginReport(monitor, monitor.sign('report', {}));
    expect(await received(unannounced, /\}$/)).toMatch(/^HTTP\/1.1 400 /);
  });

  test('nothing is parsed whose signature does not hold', async () => {
    const monitor = await activeMonitor('m');
    await until(() => network.service.state.open !== undefined);
    const forged: Signed = {
      kind: 'report',
      body: '['.repeat(300_000),
      signer: monitor.identity.publicKey,
      signature: signStatement(createIdentity(), 'report', {}).signature,
    };
    const parse = vi.spyOn(JSON, 'parse');
    try {
      expect((await postReport(monitor, forged)).status).toBe(401);
      expect(parse.mock.calls.every(([given]) => given.length < 10_000)).toBe(true);
    } finally {
      parse.mockRestore();
    }
  });

  test('one report of a signer is read at a time, and few of all: the rest wait for their turn', async () => {
    url = await listen({ reportsMax: 2 });
    const monitors = [await activeMonitor('1'), await activeMonitor('2'), await activeMonitor('3')];
    await until(() => network.service.state.open !== undefined);
    // The era may have begun when not all of them were there: the last of these has work.
    const { promised } = network.service.state.open!;
    const hasWork = ({ id }: Monitor): number => Number(promised[id] !== undefined);
    const [one, two, three] = monitors.toSorted((a, b) => hasWork(a) - hasWork(b)) as [
      Monitor,
      Monitor,
      Monitor,
    ];
    const report = await three.work();
    const held = beginReport(one);
    await until(async () => (await postReport(one)).status === 503);
    const other = beginReport(two);
    await until(async () => (await postReport(two)).status === 503);
    const waiting = postReport(three, report);
    await until(async () => (await postReport(three)).status === 503);
    held.destroy();
    expect((await waiting).status).toBe(200);
    other.destroy();
    await until(async () => (await postReport(two)).status === 400);
  });

  test('a report that waits too long is to come again, and leaves nothing behind', async () => {
    url = await listen({ reportsMax: 1, reportWaitMs: 50 });
    const [one, two] = [await activeMonitor('1'), await activeMonitor('2')];
    await until(() => network.service.state.open !== undefined);
    const held = beginReport(one);
    await until(async () => (await postReport(two)).status === 503);
    held.destroy();
    await until(async () => (await postReport(two)).status === 400);
  });

  test('what a body says of its length takes no room from others', async () => {
    url = await listen({ addressBytesMax: 65_536, statementBytesMax: 65_536 });
    const monitor = await activeMonitor('m');
    await until(() => network.service.state.open !== undefined);
    const head = 'POST /network/v1/heartbeats HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';
    const waiting = Array.from({ length: 20 }, () => dial());
    for (const socket of waiting) socket.write(`${head}content-length: 65536\r\n\r\n{`);
    for (let i = 0; i < 20; i++) beginReport(monitor);
    await until(async () => (await postReport(new Monitor(network))).status === 404);
    expect(await refusal(await post('heartbeats', '{}'))).toBe(400);
  });

  test('bodies under way are bounded, and given room again', async () => {
    url = await listen({ addressBytesMax: 60_000 });
    const waiting = dial();
    waiting.write(
      `POST /network/v1/heartbeats HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50000\r\n\r\n${'{'.repeat(45_000)}`,
    );
    const big = JSON.stringify({ body: 'x'.repeat(20_000) });
    await until(async () => (await post('heartbeats', big)).status === 503);
    waiting.destroy();
    await until(async () => (await post('heartbeats', big)).status === 400);
  });

  test('slow bodies are cut, reports and others', async () => {
    const slow = { windowMs: 50, bytesPerSecondMin: 1000 };
    const { report, statement } = NETWORK_LIMITS;
    url = await listen({
      report: { ...report, ...slow },
      statement: { ...statement, ...slow },
      lingerMs: 50,
    });
    const monitor = await activeMonitor('m');
    await until(() => network.service.state.open !== undefined);
    const sockets = [dial(), beginReport(monitor)];
    sockets[0]!.write(
      'POST /network/v1/heartbeats HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{',
    );
    const closed = sockets.map((socket) => once(socket, 'close'));
    const answers = sockets.map((socket) => received(socket, /\}$/));
    for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^HTTP\/1.1 408 /);
    await Promise.all(closed);
  });

  test('one address cannot hold all connections: strangers make way, those who are known do not', async () => {
    url = await listen({ addressConnectionsMax: 4 });
    const known = new Agent({ keepAlive: true, maxSockets: 1 });
    const party = new Party(network);
    const token = await network.service.createToken('hypernode', 1, 1);
    const registration = party.sign('register-hypernode', {
      token: joinProof(token, party.id),
      operator: 'o',
      networkPrefix: 'p',
      beaconTip: 'a'.repeat(64),
    });
    const ask = async (path: string, body?: string): Promise<[number | undefined, boolean]> => {
      const headers = { 'content-type': 'application/json' };
      const outgoing = request(`${url}/network/v1/${path}`, {
        agent: known,
        method: body === undefined ? 'GET' : 'POST',
        headers,
      });
      outgoing.end(body);
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
      await text(answer);
      return [answer.statusCode, outgoing.reusedSocket];
    };
    expect(await ask('hypernodes', JSON.stringify(registration))).toEqual([200, false]);
    const held = Array.from({ length: 10 }, () => dial());
    const closed = held.slice(0, 7).map((socket) => once(socket, 'close'));
    await Promise.all(closed);
    expect(held.slice(7).map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
    expect(await ask('gateway')).toEqual([200, true]);
    expect((await fetch(`${url}/network/v1/gateway`)).status).toBe(200);
    for (const socket of held) socket.destroy();
    known.destroy();
  });

  test('over TLS, who is known stays known', async () => {
    const [certFile, keyFile] = [join(network.root, 'cert.pem'), join(network.root, 'key.pem')];
    const made = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x -addext subjectAltName=IP:127.0.0.1 -keyout ${keyFile} -out ${certFile}`;
    execFileSync('openssl', made.split(' '), { stdio: 'ignore' });
    const [cert, key] = [await readFile(certFile), await readFile(keyFile)];
    const server = createNetworkServer(network.service, { tls: { cert, key } });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const agent = new TlsAgent({ keepAlive: true, maxSockets: 1, ca: cert });
    const kept = async (path: string, body?: string): Promise<string | string[] | undefined> => {
      const headers = { 'content-type': 'application/json' };
      const method = body === undefined ? 'GET' : 'POST';
      const outgoing = tlsRequest({ host: '127.0.0.1', port, agent, path, method, headers });
      outgoing.end(body);
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
      await text(answer);
      return answer.headers['keep-alive'];
    };
    const chain = { operator: 'o', networkPrefix: 'p', beaconTip: 'a'.repeat(64) };
    const party = new Party(network);
    const token = joinProof(await network.service.createToken('hypernode', 1, 1), party.id);
    const registration = party.sign('register-hypernode', { token, ...chain });
    expect(await kept('/network/v1/gateway')).toBe('timeout=5');
    await kept('/network/v1/hypernodes', JSON.stringify(registration));
    expect(await kept('/network/v1/gateway')).toBe('timeout=75');
    agent.destroy();
  });

  test('where all connections are taken, the oldest stranger makes way', async () => {
    url = await listen({ connectionsMax: 3 });
    const held = Array.from({ length: 3 }, () => dial());
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    const closed = once(held[0]!, 'close');
    expect((await fetch(`${url}/network/v1/gateway`)).status).toBe(200);
    await closed;
    expect(held.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
    for (const socket of held) socket.destroy();
  });

  test('a stranger is told that his connection is not kept for long, and it is not', async () => {
    url = await listen({ strangerIdleMs: 1000 });
    const socket = dial();
    const closed = once(socket, 'close');
    socket.write('GET /network/v1/gateway HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(await received(socket, /\}$/)).toMatch(/\r\nkeep-alive: timeout=1\r\n/i);
    await closed;
  });

  test('headers without end are cut', async () => {
    const { port } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      `GET /network/v1/gateway HTTP/1.1\r\nhost: x\r\n${`x-${'y'.repeat(100)}: z\r\n`.repeat(400)}`,
    );
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(data.toString()).toMatch(/^HTTP\/1\.1 431/);
    socket.destroy();
  });
});
