import { connect } from 'node:net';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetworkLimits } from '../../../gateway/network/types.ts';
import { createIdentity, partyId } from '../../../placement/network/identity.ts';
import { joinProof } from '../../../placement/network/joinProof.ts';
import { signStatement, type Signed } from '../../../placement/network/signed.ts';
import { describeProvider, Monitor, Party, TestNetwork, until } from '../../placement/network/harness.ts';

const ROUTES = ['providers', 'heartbeats', 'hypernodes', 'assignments', 'reports'];
const KINDS = ['register-provider', 'heartbeat', 'register-hypernode', 'assignment-request', 'report'];

describe('network listener', () => {
  let network: TestNetwork;
  let url: string;

  beforeEach(async () => {
    network = await TestNetwork.start();
    url = await listen();
  });

  afterEach(async () => {
    await network.close();
  });

  function listen(limits: Partial<NetworkLimits> = { failuresMax: Infinity }): Promise<string> {
    return network.listen(limits);
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
    const report = JSON.stringify(monitor.sign('report', {}));
    expect(await refusal(await post('reports', report))).toBe(404);
    await monitor.register('m', { beaconTip: 'a'.repeat(64) });
    expect(await refusal(await post('reports', report))).toBe(403);
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
    expect(await refusal(await post('reports', long))).toBe(404);
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

  test('bodies under way are bounded, and given room again', async () => {
    url = await listen({ addressBytesMax: 100_000 });
    const { port } = new URL(url);
    const waiting = connect(Number(port), '127.0.0.1');
    await once(waiting, 'connect');
    waiting.write(
      'POST /network/v1/reports HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90000\r\n\r\n{',
    );
    const big = JSON.stringify({ body: 'x'.repeat(20_000) });
    await until(async () => (await post('heartbeats', big)).status === 503);
    waiting.destroy();
    await until(async () => (await post('heartbeats', big)).status === 400);
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
