import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { LEAF_BYTES } from '#erasure';
import { systemClock } from '#placement';
import { afterEach, expect, test } from 'vitest';
import { startProvider, type ProviderOptions } from '../../../placement/provider/daemon.ts';
import { faulty, type FaultyTransport } from '../../../placement/transports/faults.ts';
import { filesIn, scratch } from '../directories.ts';
import { ManualClock } from '../manualClock.ts';
import { sampleBytes } from '../shards.ts';
import { call, closing, DESCRIPTION, newSetting, put, putOf, raw, shown, type Setting } from './support.ts';

let setting: Setting;
afterEach(() => setting.dispose());

async function begin(options: Partial<ProviderOptions> = {}): Promise<void> {
  setting = await newSetting(options);
}

function dial(): Socket {
  const { hostname, port } = new URL(setting.provider.endpoint);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => undefined);
  return socket;
}

/** A put with its headers, and as much of its body as is given. */
function putHead(name: string, size: number, framing: string): string {
  const { text } = setting.grant({ op: 'put', shard: name, size });
  return `PUT /v1/shards/${name} HTTP/1.1\r\nhost: x\r\nauthorization: Shardway ${text}\r\n${framing}\r\n\r\n`;
}

async function files(): Promise<string[]> {
  return (await filesIn(setting.shards)).filter((path) => path !== 'provider.json');
}

async function expectAlive(): Promise<void> {
  expect((await call(setting.provider.endpoint, 'GET', '/v1/hello')).status).toBe(200);
  await put(setting, sampleBytes(1000));
}

test.each(['content-length: 1000032', 'transfer-encoding: chunked'])(
  'a truncated body never becomes a shard: %s',
  async (framing) => {
    await begin();
    const { stored: name, body } = putOf(sampleBytes(1_000_000));
    const socket = dial();
    socket.write(putHead(name, 1_000_000, framing));
    if (framing.startsWith('transfer')) socket.write(`${body.length.toString(16)}\r\n`);
    socket.write(body.subarray(0, 700_000));
    // It has begun to write.
    while ((await files()).length === 0) await pause(5);
    socket.destroy();
    while ((await files()).length > 0) await pause(5);
    const grant = setting.grant({ op: 'get', shard: name, size: 1 });
    const answer = await call(
      setting.provider.endpoint,
      'GET',
      `/v1/shards/${name}?first=0&count=1`,
      shown(grant),
    );
    expect(answer.status).toBe(404);
    await expectAlive();
  },
);

test('a body that says it is longer than its grant is refused before it is read', async () => {
  await begin({ limits: { lingerMs: 50 } });
  const { stored: name } = putOf(sampleBytes(10));
  const text = await raw(setting.provider.endpoint, putHead(name, 10, 'content-length: 1000000'));
  expect(text).toMatch(/^HTTP\/1.1 401 /);
  expect(text).toMatch(/the grant is for 10/);
  expect(await files()).toEqual([]);
  await expectAlive();
});

test.each([10, 600_000])('an endless body is cut at the size of its grant: %i bytes', async (size) => {
  await begin();
  const { stored: name } = putOf(sampleBytes(10));
  const socket = dial();
  const piece = Buffer.concat([Buffer.from('8000\r\n'), Buffer.alloc(0x8000, 7), Buffer.from('\r\n')]);
  const send = (): void => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on('drain', send);
  socket.write(putHead(name, size, 'transfer-encoding: chunked'));
  send();
  const text = await closing(socket);
  expect(text).toMatch(/^HTTP\/1.1 401 [^]*the body has more/);
  expect(await files()).toEqual([]);
  await expectAlive();
});

test('huge headers are answered with 431, and the daemon lives', async () => {
  await begin();
  const text = await raw(
    setting.provider.endpoint,
    `GET /v1/hello HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(200_000)}\r\n\r\n`,
  );
  expect(text).toMatch(/^HTTP\/1.1 431 /);
  const many = Array.from({ length: 50_000 }, (_, at) => `x-${at}: 1\r\n`).join('');
  expect(await raw(setting.provider.endpoint, `GET /v1/hello HTTP/1.1\r\nhost: x\r\n${many}\r\n`)).toMatch(
    /^HTTP\/1.1 431 /,
  );
  await expectAlive();
});

test('rubbish, and requests in two readings, are answered with 400', async () => {
  await begin();
  for (const bytes of [
    '\u0016\u0003\u0001\u0000',
    'GET / HTTP/9.9\r\n\r\n',
    'PUT /v1/shards/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET /v1/hello HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
  ]) {
    expect(await raw(setting.provider.endpoint, bytes)).toMatch(/^HTTP\/1.1 400 /);
  }
  await expectAlive();
});

test('headers that never end are cut', async () => {
  await begin({ limits: { headersTimeoutMs: 100 } });
  const silent = dial();
  const slow = dial();
  slow.write('GET /v1/hello HTTP/1.1\r\nhost: x\r\n');
  const dripping = setInterval(() => slow.write('x-a: 1\r\n'), 20);
  await Promise.all([closing(silent), closing(slow)]);
  clearInterval(dripping);
  await expectAlive();
});

test('a slow sender is cut, and leaves nothing behind', async () => {
  const clock = new ManualClock(Date.now());
  await begin({ clock });
  const { stored: name, body } = putOf(sampleBytes(1_000_000));
  const socket = dial();
  socket.write(putHead(name, 1_000_000, `content-length: ${body.length}`));
  socket.write(body.subarray(0, 400_000));
  while ((await files()).length === 0) await pause(5);
  const closed = closing(socket);
  // A few bytes now and then, for as long as it lasts.
  for (let at = 400_000; !socket.destroyed; at++) {
    socket.write(body.subarray(at, at + 1));
    clock.advance(10_000);
    await pause(2);
  }
  await closed;
  while ((await files()).length > 0) await pause(5);
  await expectAlive();
});

test('a reader that takes nothing is cut', async () => {
  const clock = new ManualClock(Date.now());
  await begin({ clock });
  const leaves = 1024;
  const { stored: name } = await put(setting, sampleBytes(leaves * LEAF_BYTES));
  const { text } = setting.grant({ op: 'get', shard: name, size: leaves });
  const socket = dial();
  socket.pause();
  socket.write(
    `GET /v1/shards/${name}?first=0&count=${leaves} HTTP/1.1\r\nhost: x\r\nauthorization: Shardway ${text}\r\n\r\n`,
  );
  // A paused socket does not see its end: it keeps writing to find out.
  while (!socket.destroyed) {
    clock.advance(10_000);
    socket.write('\r\n');
    await pause(2);
  }
  await expectAlive();
});

test('a connection that is idle is not held to a speed', async () => {
  const clock = new ManualClock(Date.now());
  await begin({ clock });
  const socket = dial();
  for (let request = 0; request < 3; request++) {
    socket.write('GET /v1/hello HTTP/1.1\r\nhost: x\r\n\r\n');
    const [text] = (await once(socket, 'data')) as [Buffer];
    expect(text.toString()).toMatch(/^HTTP\/1.1 200 /);
    clock.advance(60_000);
    await pause(2);
  }
  socket.destroy();
});

test('a put that waits to be told to continue is refused before its body, or told', async () => {
  await begin();
  const { stored: name, body } = putOf(sampleBytes(1000));
  const expecting = `content-length: ${body.length}\r\nexpect: 100-continue\r\nconnection: close`;
  expect(await raw(setting.provider.endpoint, putHead(name, 10, expecting))).toMatch(/^HTTP\/1.1 401 /);
  const socket = dial();
  socket.write(putHead(name, 1000, expecting));
  const [first] = (await once(socket, 'data')) as [Buffer];
  expect(first.toString()).toMatch(/^HTTP\/1.1 100 /);
  socket.write(body);
  expect(await closing(socket)).toMatch(/^HTTP\/1.1 201 /);
});

test('no more requests than allowed are under way, and one that was given up makes room', async () => {
  let storage: FaultyTransport | undefined;
  await begin({
    limits: { requestsMax: 1 },
    decorate: (inner) => (storage = faulty(inner, { seed: 1, rules: [] }, systemClock)),
  });
  const { stored: name } = await put(setting, sampleBytes(100));
  storage!.setPlan({ seed: 1, rules: [{ operations: ['get'], fault: { kind: 'blackhole' } }] });
  const { text } = setting.grant({ op: 'get', shard: name, size: 1 });
  const hanging = dial();
  hanging.write(
    `GET /v1/shards/${name}?first=0&count=1 HTTP/1.1\r\nhost: x\r\nauthorization: Shardway ${text}\r\n\r\n`,
  );
  while (storage!.injected.length === 0) await pause(5);
  const busy = await call(setting.provider.endpoint, 'GET', '/v1/hello');
  expect([busy.status, JSON.parse(busy.text)]).toEqual([
    503,
    { kind: 'Unavailable', error: 'too many requests are under way' },
  ]);
  hanging.destroy();
  while ((await call(setting.provider.endpoint, 'GET', '/v1/hello')).status === 503) await pause(5);
  await expectAlive();
});

test('no more leaves than allowed are in memory', async () => {
  await begin({ limits: { readBytesMax: 3 * LEAF_BYTES } });
  const { stored: name } = await put(setting, sampleBytes(5 * LEAF_BYTES));
  const read = (count: number) =>
    call(
      setting.provider.endpoint,
      'GET',
      `/v1/shards/${name}?first=0&count=${count}`,
      shown(setting.grant({ op: 'get', shard: name, size: count })),
    );
  expect((await read(4)).status).toBe(503);
  for (let round = 0; round < 10; round++) expect((await read(3)).status).toBe(200);
});

test('what the storage says is not told to strangers', async () => {
  const rules = [{ operations: ['get'], fault: { kind: 'fail', error: 'Unavailable' } }] as const;
  await begin({ decorate: (inner) => faulty(inner, { seed: 1, rules }, systemClock) });
  const { stored: name } = await put(setting, sampleBytes(100));
  const answer = await call(
    setting.provider.endpoint,
    'GET',
    `/v1/shards/${name}?first=0&count=1`,
    shown(setting.grant({ op: 'get', shard: name, size: 1 })),
  );
  expect([answer.status, JSON.parse(answer.text)]).toEqual([
    503,
    { kind: 'Unavailable', error: 'the storage cannot be used now' },
  ]);
  expect(setting.events).toContainEqual(
    expect.objectContaining({ kind: 'storage-failed', op: 'get', shard: name }),
  );
});

test('stops while a put is under way: it ends well', async () => {
  await begin();
  const { stored: name, body } = putOf(sampleBytes(600_000));
  const socket = dial();
  socket.write(putHead(name, 600_000, `content-length: ${body.length}`));
  socket.write(body.subarray(0, 500_000));
  while ((await files()).length === 0) await pause(5);
  const answered = closing(socket);
  const stopped = setting.provider.stop();
  socket.write(body.subarray(500_000));
  expect(await answered).toMatch(/^HTTP\/1.1 201 /);
  await stopped;
  expect(await files()).toEqual([`shards/${name.slice(0, 2)}/${name}`]);
});

test('speaks TLS where it has a certificate', async () => {
  const folder = await scratch();
  const [certFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')];
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x -addext subjectAltName=IP:127.0.0.1 -keyout ${keyFile} -out ${certFile}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  );
  const cert = await readFile(certFile);
  await begin();
  const { data, gateway } = { data: join(folder.path, 'data'), gateway: setting.gateway.url };
  const provider = await startProvider({
    ...DESCRIPTION,
    data,
    gateway,
    listen: { host: '127.0.0.1', port: 0 },
    tls: { cert, key: await readFile(keyFile) },
    clock: systemClock,
  });
  expect(provider.endpoint).toMatch(/^https:/);
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  get(`${provider.endpoint}/v1/hello`, { ca: cert, agent: false }, ({ statusCode }) =>
    resolve(statusCode),
  ).on('error', reject);
  expect(await promise).toBe(200);
  await provider.stop();
  await folder.remove();
});
