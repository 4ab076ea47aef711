import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Identity } from '../../../placement/network/identity.ts';
import { joinProof } from '../../../placement/network/joinProof.ts';
import { joinTokenId } from '../../../placement/network/joinTokens.ts';
import type { Standing } from '../../../placement/network/messages.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import { encodeSigned, SIGNED_HEADER } from '../../../placement/provider/wire.ts';
import { describeProvider, Monitor, Party, TestNetwork } from './harness.ts';

/** A chain that nothing is revealed of: a real one takes a while to make. */
const CHAIN = { beaconTip: 'c'.repeat(64) };
const SESSION = '5'.repeat(32);

/** Answers /v1/hello, as whom a test says. */
class HelloServer {
  hits = 0;
  #server: Server;

  private constructor(identity: () => Identity) {
    this.#server = createServer((request, response) => {
      this.hits += 1;
      const { id, publicKey } = identity();
      const nonce = new URL(request.url!, 'http://x').searchParams.get('nonce')!;
      response.setHeader(
        SIGNED_HEADER,
        encodeSigned(signStatement(identity(), 'hello', { nonce, session: SESSION })),
      );
      response.end(
        JSON.stringify({ version: 1, provider: id, publicKey, session: SESSION, time: Date.now() }),
      );
    });
  }

  static async start(identity: () => Identity): Promise<HelloServer> {
    const server = new HelloServer(identity);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const proof = (token: string, id: string): string => joinProof(token, id).slice(-32);

describe('admission', () => {
  let network: TestNetwork;
  let hello: HelloServer;
  let provider: Party;
  let answering: Identity;

  beforeEach(async () => {
    network = await TestNetwork.start();
    provider = new Party(network);
    answering = provider.identity;
    hello = await HelloServer.start(() => answering);
  });

  afterEach(async () => {
    await hello.close();
    await network.close();
  });

  function register(party = provider, fields: object = {}): Promise<Standing> {
    const description = describeProvider(hello.endpoint);
    return network.service.registerProvider(party.sign('register-provider', { description, ...fields }));
  }

  function join(token: string): Promise<Standing> {
    return register(provider, { token: joinProof(token, provider.id) });
  }

  function heartbeat(fields: object = {}): Promise<Standing> {
    const said = { endpoint: hello.endpoint, capacity: 1e9, free: 5e8, shards: 0, ...fields };
    return network.service.heartbeat(provider.sign('heartbeat', said));
  }

  test('without a token an operator approves, and nothing is used before', async () => {
    expect(await register()).toMatchObject({ state: 'applied' });
    expect(network.registry.get(provider.id)).toBeUndefined();
    await network.service.commandProvider(provider.id, 'approve');
    expect(network.registry.get(provider.id)).toBeDefined();
    expect(await heartbeat()).toMatchObject({ state: 'vetting' });
    const [summary] = await network.service.providers();
    expect(summary).toMatchObject({ free: 5e8, heartbeatAgeMs: 0, state: 'vetting' });
  });

  test('a token admits at once, as often as it says', async () => {
    const token = await network.service.createToken('provider', 1, 1);
    expect(await join(token)).toMatchObject({ state: 'vetting' });
    // Registered already: the token is not needed again, and not spent.
    expect(await join(token)).toMatchObject({ state: 'vetting' });
    const other = new Party(network);
    answering = other.identity;
    const description = describeProvider('http://127.0.0.1:1');
    await expect(register(other, { token: joinProof(token, other.id), description })).rejects.toMatchObject({
      kind: 'Refused',
      message: expect.stringContaining('used up') as string,
    });
    expect(await network.service.tokens()).toEqual([]);
    expect(await network.service.tokens(true)).toMatchObject([{ role: 'provider', usesLeft: 0 }]);
  });

  test('a use is given back when the provider is not admitted', async () => {
    const token = await network.service.createToken('provider', 1, 1);
    answering = new Party(network).identity;
    await expect(join(token)).rejects.toMatchObject({ kind: 'Conflict' });
    answering = provider.identity;
    expect(await join(token)).toMatchObject({ state: 'vetting' });
  });

  test('many at once do not share one use', async () => {
    const token = await network.service.createToken('hypernode', 1, 1);
    const monitors = Array.from({ length: 8 }, () => new Monitor(network));
    const answers = await Promise.allSettled(
      monitors.map((monitor) => monitor.register('m', { token, ...CHAIN })),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test.each([
    ['another gateway’s', (token: string, id: string) => `sj_${'0'.repeat(32)}_${proof(token, id)}`],
    ['unknown', (token: string) => `${token.slice(0, -32)}${'0'.repeat(32)}`],
    ['another party’s', (token: string) => joinProof(token, 'a'.repeat(32))],
    ['made of a proof', (token: string, id: string) => joinProof(joinProof(token, id), id)],
    ['the token itself', (token: string) => token],
    ['no proof', () => 'sj_x'],
  ])('a proof that is %s is refused', async (_name, change) => {
    const token = await network.service.createToken('provider', 5, 1);
    await expect(register(provider, { token: change(token, provider.id) })).rejects.toMatchObject({
      kind: 'Refused',
    });
    expect(network.service.state.providers).toEqual({});
    expect(hello.hits).toBe(0);
  });

  test('a token is refused when it has expired, was removed, or is for another role', async () => {
    const token = await network.service.createToken('provider', 5, 1);
    await expect(new Monitor(network).register('m', { token })).rejects.toMatchObject({
      kind: 'Refused',
      message: 'the join token is not for a hypernode',
    });
    const [first] = await network.service.tokens();
    const removed = await network.service.createToken('provider', 5, 1);
    const removedId = joinTokenId(removed)!;
    expect(first!.id).toBe(joinTokenId(token));
    expect(await network.service.removeToken(removedId)).toBe(true);
    expect(await network.service.removeToken(removedId)).toBe(false);
    await expect(join(removed)).rejects.toMatchObject({
      kind: 'Refused',
      message: expect.stringContaining('not known') as string,
    });
    const { expiresAt } = first!;
    network.clock.advance(3_600_001);
    expect(await network.service.tokens()).toEqual([]);
    expect(await network.service.tokens(true)).toMatchObject([{ id: first!.id, usesLeft: 5 }]);
    await expect(join(token)).rejects.toMatchObject({
      kind: 'Refused',
      message: `the join token expired at ${new Date(expiresAt).toISOString()}`,
    });
    // It is not kept for ever.
    network.clock.advance(31 * 24 * 3_600_000);
    expect(await network.service.tokens(true)).toEqual([]);
  });

  test('what cannot be done in a state is answered with the state and what can', async () => {
    await register();
    await expect(network.service.commandProvider(provider.id, 'readmit')).rejects.toMatchObject({
      kind: 'Conflict',
      message: expect.stringMatching(
        /is applied: readmit is not .*; possible now: approve, drain, exit$/,
      ) as string,
    });
    await network.service.commandProvider(provider.id, 'approve');
    await expect(network.service.commandProvider(provider.id, 'approve')).rejects.toMatchObject({
      message: expect.stringMatching(
        /is vetting: only an applicant can be .*; possible now: drain, exit$/,
      ) as string,
    });
    await network.service.commandProvider(provider.id, 'exit');
    await expect(network.service.commandProvider(provider.id, 'drain')).rejects.toMatchObject({
      message: expect.stringMatching(/is exiting: .*it is gone once its shards are moved away/) as string,
    });
    const monitor = new Monitor(network);
    await monitor.register('m', { token: await network.service.createToken('hypernode', 1, 1), ...CHAIN });
    await expect(network.service.commandMonitor(monitor.id, 'approve')).rejects.toMatchObject({
      message: expect.stringMatching(/is active already; possible now: remove$/) as string,
    });
  });

  test('what is kept of a token does not give it away', async () => {
    const token = await network.service.createToken('provider', 1, 1);
    const [, , secret] = token.split('_');
    for (const note of network.catalog.notes.values()) expect(note).not.toContain(secret);
    expect(JSON.stringify(await network.service.tokens())).not.toContain(secret);
    await expect(network.service.createToken('provider', 0, 1)).rejects.toMatchObject({ kind: 'BadMessage' });
    await expect(network.service.createToken('provider', 1, Number.NaN)).rejects.toMatchObject({
      kind: 'BadMessage',
    });
  });

  test('another identity at the address of a provider is refused, until that one is gone', async () => {
    await register();
    await network.service.commandProvider(provider.id, 'approve');
    const other = new Party(network);
    answering = other.identity;
    await expect(register(other)).rejects.toMatchObject({ kind: 'Conflict' });
    expect(Object.keys(network.service.state.providers)).toEqual([provider.id]);
  });

  test('who cannot be met at its address is not taken', async () => {
    answering = new Party(network).identity;
    await expect(register()).rejects.toMatchObject({
      kind: 'Conflict',
      message: `another provider than this one answers at ${hello.endpoint}`,
    });
    expect(network.service.state.providers).toEqual({});
    const closed = await HelloServer.start(() => provider.identity);
    const gone = describeProvider(closed.endpoint);
    await closed.close();
    await expect(register(provider, { description: gone })).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  test('the gateway is not sent to addresses that are nobody’s business', async () => {
    for (const endpoint of ['http://169.254.169.254', 'http://[fe80::1]:81']) {
      const description = describeProvider(endpoint);
      await expect(register(provider, { description })).rejects.toMatchObject({ kind: 'Refused' });
    }
    const url = await network.listen();
    await expect(register(provider, { description: describeProvider(url) })).rejects.toMatchObject({
      kind: 'Refused',
    });
  });

  test('a new address is followed once the provider was met there', async () => {
    await register();
    await network.service.commandProvider(provider.id, 'approve');
    const moved = await HelloServer.start(() => answering);
    const { endpoint } = moved;
    answering = new Party(network).identity;
    await expect(heartbeat({ endpoint })).rejects.toMatchObject({ kind: 'Conflict' });
    expect(network.registry.get(provider.id)?.info.endpoint).toBe(hello.endpoint);
    answering = provider.identity;
    expect(await heartbeat({ endpoint })).toMatchObject({ state: 'vetting' });
    expect(network.registry.get(provider.id)?.info.endpoint).toBe(endpoint);
    expect(network.eventsOf('moved')).toEqual([{ kind: 'moved', provider: provider.id, endpoint }]);
    await moved.close();
    await network.stop();
    await network.open();
    expect(network.registry.get(provider.id)?.info.endpoint).toBe(endpoint);
  });

  test('replays, old statements and those for another gateway are refused', async () => {
    await register();
    const said = provider.sign('heartbeat', { endpoint: hello.endpoint, capacity: 1, free: 1, shards: 0 });
    await network.service.heartbeat(said);
    await expect(network.service.heartbeat(said)).rejects.toMatchObject({ kind: 'Refused' });
    await expect(heartbeat({ at: network.clock.now() - 700_000 })).rejects.toMatchObject({ kind: 'Refused' });
    await expect(heartbeat({ at: network.clock.now() + 700_000 })).rejects.toMatchObject({ kind: 'Refused' });
    await expect(heartbeat({ gateway: '0'.repeat(32) })).rejects.toMatchObject({ kind: 'Refused' });
    await expect(register(provider, { gateway: '0'.repeat(32) })).rejects.toMatchObject({ kind: 'Refused' });
    const stranger = new Party(network);
    await expect(
      network.service.heartbeat(
        stranger.sign('heartbeat', { endpoint: hello.endpoint, capacity: 1, free: 1, shards: 0 }),
      ),
    ).rejects.toMatchObject({ kind: 'NotFound' });
  });

  test('saying the same again adds nothing to the log, and saying other things without end is slowed down', async () => {
    await register();
    const { state } = network.service;
    await register();
    expect(network.service.state).toBe(state);
    await network.service.commandProvider(provider.id, 'approve');
    const answers: unknown[] = [];
    for (let i = 0; i < 20; i++) {
      const description = { ...describeProvider(hello.endpoint), capacity: i };
      answers.push(await register(provider, { description }).catch((error: unknown) => error));
    }
    expect(answers[0]).toMatchObject({ state: 'vetting' });
    expect(answers.at(-1)).toMatchObject({ kind: 'Unavailable' });
  });

  test('strangers cannot fill the list of applicants', async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 100 }, () => new Monitor(network).register('stranger', CHAIN)),
    );
    const taken = answers.filter(({ status }) => status === 'fulfilled').length;
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(100);
    expect(Object.keys(network.service.state.monitors)).toHaveLength(taken);
    // Who has a token does not stand in that line.
    const token = await network.service.createToken('hypernode', 1, 1);
    expect(await new Monitor(network).register('known', { token, ...CHAIN })).toMatchObject({
      state: 'active',
    });
  });

  test('names that are no party’s are not found', async () => {
    for (const id of ['__proto__', 'constructor', 'toString', '', '0'.repeat(32)]) {
      await expect(network.service.provider(id)).rejects.toMatchObject({ kind: 'NotFound' });
      await expect(network.service.commandProvider(id, 'approve')).rejects.toMatchObject({
        kind: 'NotFound',
      });
      await expect(network.service.commandMonitor(id, 'approve')).rejects.toMatchObject({ kind: 'NotFound' });
    }
  });
});
