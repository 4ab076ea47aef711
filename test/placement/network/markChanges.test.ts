import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { joinProof } from '../../../placement/network/joinProof.ts';
import type { ProviderDescription, Standing } from '../../../placement/network/messages.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import type { RunningProvider } from '../../../placement/provider/daemon.ts';
import { encodeSigned, SIGNED_HEADER } from '../../../placement/provider/wire.ts';
import { describeProvider, Party, TestNetwork, until } from './harness.ts';

let network: TestNetwork;
let daemon: RunningProvider;
let at: number;

beforeEach(async () => {
  network = await TestNetwork.start();
  await network.listen();
  daemon = await network.addDaemon(1, await network.service.createToken('provider', 1, 1));
  await until(() => network.registry.all().length === 1);
  at = Math.floor(network.clock.now()) + 60_000;
});
afterEach(() => network.close());

const record = () => network.service.state.providers[daemon.id]!;
const domain = () => network.registry.all()[0]!.info.domain;

/** As the daemon itself would say it, if it were told to. */
function state(changes: Partial<ProviderDescription>, token?: string): Promise<Standing> {
  const said = {
    version: 1,
    gateway: network.gateway.id,
    at: ++at,
    ...(token !== undefined && { token: joinProof(token, daemon.id) }),
    description: { ...record().description, ...changes },
  };
  return network.service.registerProvider(signStatement(daemon.identity, 'register-provider', said));
}

test.each<[string, Partial<ProviderDescription>]>([
  ['region', { region: 'elsewhere' }],
  ['site', { site: 'elsewhere' }],
  ['operator', { operator: 'somebody' }],
  ['network prefix', { networkPrefix: '192.0.2.0/24' }],
  ['storage class', { storageClass: 'hdd' }],
])('a provider that was let in cannot state another %s by itself', async (word, changes) => {
  const [before, known] = [network.service.state, domain()];
  await expect(state(changes)).rejects.toMatchObject({
    kind: 'NotApproved',
    message: expect.stringMatching(
      new RegExp(`${word} \\S+ instead of \\S+: .*new join token, or the operator's approval`),
    ) as string,
  });
  expect(network.service.state.providers).toEqual(before.providers);
  expect(domain()).toEqual(known);
});

test('what does not decide where shards may lie goes on as before, and the same again is nothing new', async () => {
  expect(await state({ capacity: 2e9, location: { latitude: 1, longitude: 2 } })).toMatchObject({
    state: 'vetting',
  });
  expect(record().description).toMatchObject({ capacity: 2e9 });
  const { providers } = network.service.state;
  expect(await state({})).toMatchObject({ state: 'vetting' });
  expect(network.service.state.providers).toBe(providers);
});

test('a new token lets it in with other marks, and is spent by that alone', async () => {
  const token = await network.service.createToken('provider', 1, 1);
  await state({ capacity: 3e9 }, token);
  expect(await network.service.tokens()).toMatchObject([{ usesLeft: 1 }]);
  expect(await state({ site: 'elsewhere' }, token)).toMatchObject({ state: 'vetting' });
  expect(await network.service.tokens()).toEqual([]);
  expect(domain()).toMatchObject({ site: 'elsewhere' });
  await expect(state({ site: 'back' }, token)).rejects.toMatchObject({ kind: 'Refused' });
});

test('the operator sees what is asked for, and approves that and nothing else', async () => {
  const { stateSince } = record();
  await expect(network.service.commandProvider(daemon.id, 'approve')).rejects.toMatchObject({
    kind: 'Conflict',
  });
  await expect(state({ operator: 'somebody' })).rejects.toMatchObject({ kind: 'NotApproved' });
  // What is shown does not change under the operator's eyes.
  await expect(state({ operator: 'somebody-else' })).rejects.toMatchObject({ kind: 'NotApproved' });
  const { reason } = await network.service.provider(daemon.id);
  expect(reason).toContain('; asks for operator somebody instead of operator-1: approve it');
  await network.service.commandProvider(daemon.id, 'approve');
  expect(domain()).toMatchObject({ operator: 'somebody' });
  expect(record()).toMatchObject({ state: 'vetting', stateSince });
  expect((await network.service.provider(daemon.id)).reason).not.toContain('asks for');
  // It is in the log.
  await network.stop();
  await network.open();
  expect(record().description.operator).toBe('somebody');
});

test('an applicant cannot slip other marks in while it is being approved', async () => {
  const applicant = new Party(network);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  let waiting = false;
  const hello = async (url: string, response: ServerResponse): Promise<void> => {
    const nonce = new URL(url, 'http://x').searchParams.get('nonce')!;
    const session = '5'.repeat(32);
    const { id, publicKey } = applicant.identity;
    const signed = signStatement(applicant.identity, 'hello', { nonce, session });
    response.setHeader(SIGNED_HEADER, encodeSigned(signed));
    response.end(JSON.stringify({ version: 1, provider: id, publicKey, session, time: Date.now() }));
  };
  const prompt = createServer((request, response) => void hello(request.url!, response));
  const slow = createServer((request, response) => {
    waiting = true;
    void held.then(() => hello(request.url!, response));
  });
  const endpoints: string[] = [];
  for (const server of [prompt, slow]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    endpoints.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  try {
    const register = (endpoint: string, operator: string): Promise<Standing> => {
      const description = { ...describeProvider(endpoint, 2), operator };
      return network.service.registerProvider(applicant.sign('register-provider', { description }));
    };
    expect(await register(endpoints[0]!, 'operator-2')).toMatchObject({ state: 'applied' });
    network.clock.advance(3_600_001);
    // The gateway asks at the address before it takes the statement: meanwhile an operator lets it in.
    const slipped = register(endpoints[1]!, 'somebody').catch((error: unknown) => error);
    await until(() => waiting);
    await network.service.commandProvider(applicant.id, 'approve');
    release();
    expect(await slipped).toMatchObject({ kind: 'NotApproved' });
    expect(network.service.state.providers[applicant.id]).toMatchObject({
      state: 'vetting',
      description: { operator: 'operator-2' },
    });
  } finally {
    for (const server of [prompt, slow]) {
      server.closeAllConnections();
      server.close();
    }
  }
});
