import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '#placement';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NetworkError } from '../../../placement/network/errors.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { issueGrant } from '../../../placement/network/issueGrant.ts';
import { joinProof } from '../../../placement/network/joinProof.ts';
import type { Heartbeat, ProviderRegistration } from '../../../placement/network/messages.ts';
import {
  startProvider,
  type ProviderEvent,
  type ProviderOptions,
  type RunningProvider,
} from '../../../placement/provider/daemon.ts';
import { keepStated, readStated } from '../../../placement/provider/stated.ts';
import { helloSchema } from '../../../placement/provider/wire.ts';
import { scratch } from '../directories.ts';
import { call, DESCRIPTION, shown, SmallGateway } from './support.ts';

let folder: Awaited<ReturnType<typeof scratch>>;
let gateway: SmallGateway;
let running: RunningProvider[];
beforeEach(async () => {
  folder = await scratch();
  gateway = await new SmallGateway().start();
  running = [];
});
afterEach(async () => {
  for (const provider of running) await provider.stop();
  await gateway.stop();
  await folder.remove();
});

/** What happened, in order, to be waited for. */
class Events {
  readonly all: ProviderEvent[] = [];
  #waiting: (() => void)[] = [];

  readonly add = (event: ProviderEvent): void => {
    this.all.push(event);
    for (const wake of this.#waiting.splice(0)) wake();
  };

  async until(holds: (event: ProviderEvent) => boolean, from = 0): Promise<ProviderEvent> {
    for (;;) {
      const found = this.all.slice(from).find(holds);
      if (found) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

async function start(
  options: Partial<ProviderOptions> = {},
): Promise<{ provider: RunningProvider; events: Events }> {
  const events = new Events();
  const provider = await startProvider({
    ...DESCRIPTION,
    data: folder.path,
    listen: { host: '127.0.0.1', port: 0 },
    gateway: gateway.url,
    clock: systemClock,
    heartbeatMs: 20,
    onEvent: events.add,
    ...options,
  });
  running.push(provider);
  return { provider, events };
}

/** Status of a request with a good grant. */
async function served({ endpoint, id }: RunningProvider): Promise<number> {
  const hello = helloSchema.parse(JSON.parse((await call(endpoint, 'GET', '/v1/hello')).text));
  const grant = issueGrant(gateway.identity, {
    op: 'space',
    holder: gateway.identity.id,
    provider: id,
    size: 0,
    expires: hello.time + 60_000,
    session: hello.session,
  });
  return (await call(endpoint, 'GET', '/v1/space', shown(grant))).status;
}

const isStanding = (state: string) => (event: ProviderEvent) =>
  event.kind === 'standing' && event.standing.state === state;
const isFailure = (kind: string) => (event: ProviderEvent) =>
  event.kind === 'heartbeat-failed' && event.error instanceof NetworkError && event.error.kind === kind;
const isRegistration = (message: ProviderRegistration | Heartbeat): message is ProviderRegistration =>
  'description' in message;

test('registers with what it offers and the proof of its token, then sends heartbeats that are always newer', async () => {
  const token = gateway.token();
  const { provider } = await start({ token });
  await gateway.until(() => gateway.heartbeats.length >= 3);
  expect(gateway.registrations).toHaveLength(1);
  expect(gateway.registrations[0]).toMatchObject({
    gateway: gateway.identity.id,
    token: joinProof(token, provider.id),
    description: { ...DESCRIPTION, endpoint: provider.endpoint },
  });
  expect(gateway.heartbeats[0]).toMatchObject({
    endpoint: provider.endpoint,
    capacity: DESCRIPTION.capacity,
    shards: 0,
  });
  expect(JSON.stringify(gateway.registrations)).not.toContain(token);
  const times = [...gateway.registrations, ...gateway.heartbeats].map(({ at }) => at);
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  expect(provider.standing()).toEqual({ state: 'vetting' });
});

test('keeps asking while it has only applied, answers hello meanwhile and nothing else', async () => {
  gateway.answer = () => ({ state: 'applied' });
  const { provider, events } = await start();
  await events.until(isStanding('applied'));
  expect(await served(provider)).toBe(401);
  await gateway.until(() => gateway.heartbeats.length >= 2);
  gateway.answer = () => ({ state: 'vetting' });
  await events.until(isStanding('vetting'));
  expect(await served(provider)).toBe(200);
});

test('waits for a gateway that is not there yet', async () => {
  await gateway.stop();
  const { provider, events } = await start();
  await events.until(isFailure('Unavailable'));
  expect(provider.standing()).toBeUndefined();
  expect(await served(provider)).toBe(401);
  await gateway.start();
  await events.until(isStanding('vetting'));
  expect(await served(provider)).toBe(200);
});

test('survives a restart of the gateway without registering again', async () => {
  const { provider, events } = await start();
  await gateway.until(() => gateway.heartbeats.length >= 1);
  await gateway.stop();
  await events.until(isFailure('Unavailable'));
  expect(await served(provider)).toBe(200);
  const before = gateway.heartbeats.length;
  await gateway.start();
  await gateway.until(() => gateway.heartbeats.length > before);
  expect(gateway.registrations).toHaveLength(1);
});

test('registers again with a gateway that has forgotten it', async () => {
  const { events } = await start();
  await gateway.until(() => gateway.heartbeats.length >= 1);
  gateway.answer = (message) => {
    if (isRegistration(message)) return { state: 'active' };
    throw new NetworkError('NotFound', 'not registered');
  };
  await events.until(isStanding('active'));
  expect(gateway.registrations).toHaveLength(2);
});

test('serves at once after a restart, even while its gateway is away', async () => {
  const first = await start({ token: gateway.token() });
  await first.events.until(isStanding('vetting'));
  await first.provider.stop();
  await gateway.stop();
  const { provider, events } = await start({ token: gateway.token() });
  await events.until(isFailure('Unavailable'));
  expect(provider.id).toBe(first.provider.id);
  expect(await served(provider)).toBe(200);
  const before = gateway.heartbeats.length;
  await gateway.start();
  await gateway.until(() => gateway.heartbeats.length > before);
  expect(gateway.registrations).toHaveLength(1);
});

test('tells a changed description by a registration, without the token that was used up', async () => {
  const first = await start({ token: gateway.token() });
  await first.events.until(isStanding('vetting'));
  await first.provider.stop();
  const { events } = await start({ token: gateway.token(), site: 'fra2' });
  await events.until(isStanding('vetting'));
  expect(
    gateway.registrations.map(({ description: { site }, token }) => [site, token !== undefined]),
  ).toEqual([
    ['fra1', true],
    ['fra2', false],
  ]);
});

test('shows its token again to a gateway that does not know it without', async () => {
  const first = await start({ token: gateway.token() });
  await first.events.until(isStanding('vetting'));
  await first.provider.stop();
  gateway.answer = (message) => {
    if (isRegistration(message) && message.token !== undefined) return { state: 'active' };
    throw new NetworkError('NotFound', 'not registered');
  };
  const { events } = await start({ token: gateway.token() });
  await events.until(isStanding('active'));
});

test('a changed address is told by the next heartbeat', async () => {
  let advertise = 'http://10.0.0.1:9100';
  const { provider } = await start({ advertise: () => advertise });
  await gateway.until(() => gateway.heartbeats.length >= 1);
  expect(gateway.heartbeats[0]?.endpoint).toBe('http://10.0.0.1:9100');
  advertise = 'http://10.0.0.2:9100';
  await gateway.until(() => gateway.heartbeats.at(-1)?.endpoint === 'http://10.0.0.2:9100');
  expect(provider.endpoint).toBe(advertise);
  expect(gateway.registrations).toHaveLength(1);
});

test('another gateway at the address is not told anything', async () => {
  const first = await start();
  await first.events.until(isStanding('vetting'));
  await first.provider.stop();
  const impostor = await new SmallGateway().start();
  const { provider, events } = await start({ gateway: impostor.url });
  await events.until(isFailure('BadIdentity'));
  await impostor.stop();
  expect([impostor.registrations, impostor.heartbeats]).toEqual([[], []]);
  expect(await served(provider)).toBe(200);
});

test('a token of another gateway is not shown to this one', async () => {
  const token = `sj_${createIdentity().id}_${'0'.repeat(32)}`;
  const { provider } = await start({ token });
  expect((await provider.refused).message).toMatch(/was expected \(the join token is of it\)/);
  expect(gateway.registrations).toEqual([]);
  await expect(stat(join(folder.path, 'gateway.json'))).rejects.toThrow(/ENOENT/);
});

test('its key is its own to read, and no secret is in its events', async () => {
  const token = gateway.token();
  gateway.answer = () => {
    throw new NetworkError('Refused', 'the token is used up');
  };
  const { provider, events } = await start({ token });
  await provider.refused;
  const { mode } = await stat(join(folder.path, 'identity.pem'));
  expect(mode & 0o777).toBe(0o600);
  const pem = await readFile(join(folder.path, 'identity.pem'), 'utf8');
  const told = events.all.map((event) => JSON.stringify(event) + String('error' in event ? event.error : ''));
  expect(told.join()).not.toContain(token.slice(-32));
  expect(told.join()).not.toContain(pem.split('\n')[1]);
});

test.each(['Refused', 'Conflict', 'NotApproved', 'BadMessage'] as const)(
  'a provider that is new and is answered %s gives up, and says why',
  async (kind) => {
    gateway.answer = () => {
      throw new NetworkError(kind, 'the reason');
    };
    const { provider, events } = await start({ token: gateway.token() });
    expect(await provider.refused).toMatchObject({ kind, message: 'the reason' });
    expect(events.all.at(-1)).toMatchObject({ kind: 'refused', error: { kind } });
    expect(gateway.registrations).toHaveLength(1);
    expect(await served(provider)).toBe(401);
  },
);

test('a provider that is new goes on while the gateway has no time for it', async () => {
  gateway.answer = () => {
    throw new NetworkError('Unavailable', 'too many changes are being registered: try again later');
  };
  const token = gateway.token();
  const { provider, events } = await start({ token });
  await events.until(isFailure('Unavailable'));
  gateway.answer = () => ({ state: 'vetting' });
  await events.until(isStanding('vetting'));
  expect(gateway.registrations.map((said) => said.token)).toEqual([
    joinProof(token, provider.id),
    joinProof(token, provider.id),
  ]);
});

test('an applicant that the operator refuses gives up', async () => {
  gateway.answer = () => ({ state: 'applied' });
  const { provider, events } = await start();
  await events.until(isStanding('applied'));
  gateway.answer = () => ({ state: 'gone', note: 'refused by the operator' });
  expect(await provider.refused).toMatchObject({
    kind: 'NotApproved',
    message: expect.stringContaining('refused by the operator') as string,
  });
});

test('an applicant is not sent away by what a gateway says in passing', async () => {
  gateway.answer = () => ({ state: 'applied' });
  const { events } = await start();
  await events.until(isStanding('applied'));
  gateway.answer = () => {
    throw new NetworkError('BadMessage', 'a proxy in between');
  };
  await events.until(isFailure('BadMessage'));
  gateway.answer = () => ({ state: 'vetting' });
  await events.until(isStanding('vetting'));
});

test('one that was accepted before does not end for a token that is used up', async () => {
  const first = await start({ token: gateway.token() });
  await first.events.until(isStanding('vetting'));
  await first.provider.stop();
  let known = false;
  gateway.answer = (message) => {
    if (isRegistration(message) && message.token !== undefined) {
      throw new NetworkError('Refused', 'the join token is used up');
    }
    known ||= isRegistration(message) && gateway.registrations.length > 3;
    if (known) return { state: 'active' };
    throw new NetworkError('NotFound', 'not registered');
  };
  const { events } = await start({ token: gateway.token(), site: 'fra2' });
  await events.until(isStanding('active'));
  expect(events.all.some(isFailure('Refused'))).toBe(true);
});

test('what it says of itself is kept for its next start, for it alone', async () => {
  expect(await readStated(folder.path)).toEqual({});
  const stated = { region: 'eu', site: 'fra1', capacity: 5, asn: 64_500, advertise: 'http://x:1' };
  await keepStated(folder.path, stated);
  expect(await readStated(folder.path)).toEqual(stated);
  expect((await stat(join(folder.path, 'stated.json'))).mode & 0o777).toBe(0o600);
  await writeFile(join(folder.path, 'stated.json'), '{"version":1,"stated":{"region":5}}');
  await expect(readStated(folder.path)).rejects.toMatchObject({ kind: 'Tampered' });
});

test.each([
  [{ region: 'no spaces here' }, /region/],
  [{ token: 'rubbish' }, /token/],
  [{ gateway: 'http://user:secret@127.0.0.1' }, /address of a gateway/],
  [{ gateway: 'ftp://127.0.0.1' }, /address of a gateway/],
  [{ listen: { host: '0.0.0.0', port: 0 } }, /advertise/],
  [{ advertise: 'http://x/path' }, /advertise/],
] as const)('refuses to start with %j', async (options, reason) => {
  await expect(start(options)).rejects.toThrow(reason);
});

test('refuses to go on without the shards it has held, or with those of another', async () => {
  const { provider, events } = await start();
  await events.until(isStanding('vetting'));
  await provider.stop();
  const marker = join(folder.path, 'shards', 'provider.json');
  const text = await readFile(marker, 'utf8');
  await rm(join(folder.path, 'shards'), { recursive: true });
  await expect(start()).rejects.toThrow(/mount its disk/);
  const { mkdir } = await import('node:fs/promises');
  await mkdir(join(folder.path, 'shards'));
  await writeFile(marker, text.replace(provider.id, createIdentity().id));
  await expect(start()).rejects.toThrow(/another provider/);
  await writeFile(join(folder.path, 'gateway.json'), '{"version":2}');
  await expect(start()).rejects.toThrow(/which gateway/);
});

test('a data folder is of one daemon at a time', async () => {
  const { provider } = await start();
  await expect(start()).rejects.toMatchObject({
    kind: 'BadConfiguration',
    message: expect.stringMatching(
      new RegExp(`in use by another process \\(pid ${process.pid} on `),
    ) as string,
  });
  // The one that was refused has not let the other in.
  await expect(start()).rejects.toThrow(/in use/);
  await provider.stop();
  expect((await start()).provider.id).toBe(provider.id);
});

test('a start that fails gives the data folder back', async () => {
  await expect(start({ advertise: 'http://x/path' })).rejects.toThrow(/advertise/);
  await start();
});

test('offers what the disk has free when it is not told how much', async () => {
  await start({ capacity: 0 });
  await gateway.until(() => gateway.heartbeats.length >= 1);
  const { capacity, free } = gateway.heartbeats[0]!;
  expect(capacity).toBeGreaterThan(0);
  expect(free).toBeLessThanOrEqual(capacity);
  expect(gateway.registrations[0]?.description.capacity).toBe(capacity);
});
