/** Clients that hold on to what they get: memory stays within its budgets, and others are served. */
import { afterEach, expect, test } from 'vitest';
import { createHttpServer } from '../../gateway/http/server.ts';
import type { HttpServer, HttpServerOptions } from '../../gateway/http/server.ts';
import type { S3Handler } from '../../gateway/s3/wire.ts';
import { dial, send } from './wire.ts';

const MIB = 1024 * 1024;
const servers: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.drain(0)));
});

async function start(
  handle: S3Handler,
  limits: NonNullable<HttpServerOptions['limits']>,
): Promise<{ endpoint: string; server: HttpServer }> {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const server = createHttpServer({ handle, log, uploadMemory: 8 * MIB, limits });
  servers.push(server);
  const { port } = await server.listen(0, '127.0.0.1');
  return { endpoint: `http://127.0.0.1:${port}`, server };
}

/** Reads the body to its end; what goes wrong on the way is the answer. */
const reading: S3Handler = async (wire) => {
  let bytes = 0;
  try {
    for await (const piece of wire.body) bytes += piece.length;
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'none';
    return { operation: 'Test', response: { status: 503, headers: [['x-code', code]] } };
  }
  return { operation: 'Test', response: { status: 200, headers: [['x-bytes', String(bytes)]] } };
};

const put = (length: number, body = ''): string =>
  `PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${body}`;

test('uploads that stall give way to those that wait; small bodies do not wait for them', async () => {
  const { endpoint, server } = await start(reading, {
    crowdedWindowMs: 50,
    crowdedBytesPerSecondMin: 1024 * MIB,
  });
  const stalled = await Promise.all(Array.from({ length: 20 }, () => dial(endpoint)));
  for (const socket of stalled) socket.write(put(1024 * MIB, 'x'.repeat(1000)));
  const small = await send(endpoint, put(4, 'fine'));
  expect(small.headers.get('x-bytes')).toBe('4');
  const large = await send(endpoint, put(100_000, 'y'.repeat(100_000)));
  expect(large.headers.get('x-bytes')).toBe('100000');
  expect(server.uploads.reserved).toBeLessThanOrEqual(7 * MIB);
  for (const socket of stalled) socket.destroy();
});

test('an upload that stalls alone is left in peace', async () => {
  const { endpoint } = await start(reading, { crowdedWindowMs: 10, crowdedBytesPerSecondMin: 1024 * MIB });
  const socket = await dial(endpoint);
  let answer = '';
  socket.on('data', (text: Buffer) => (answer += text.toString('latin1')));
  socket.write(put(100_000, 'x'.repeat(1000)));
  for (let turn = 0; turn < 20; turn++) await send(endpoint, put(4, 'fine'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(answer).toBe('');
  socket.write('x'.repeat(99_000));
  await new Promise((resolve) => socket.once('data', resolve));
  expect(answer).toContain('x-bytes: 100000');
  socket.destroy();
});

/** Endless objects of 64 KiB pieces; counts those that have begun to be read and not ended. */
function endless(): { handle: S3Handler; open: () => number; begun: () => number } {
  let open = 0;
  let begun = 0;
  async function* body(): AsyncGenerator<Uint8Array> {
    open += 1;
    begun += 1;
    try {
      for (;;) yield Buffer.alloc(64 * 1024);
    } finally {
      open -= 1;
    }
  }
  const headers = [['content-length', String(2 ** 40)]] as const;
  return {
    handle: () => Promise.resolve({ operation: 'Test', response: { status: 200, headers, body: body() } }),
    open: () => open,
    begun: () => begun,
  };
}

const GET = 'GET /b/k HTTP/1.1\r\nhost: x\r\n\r\n';

test('clients that never read hold no more than the download memory, and give way', async () => {
  const { handle, open, begun } = endless();
  const { endpoint } = await start(handle, { downloadBytes: 2 * MIB, crowdedStallMs: 20 });
  const sockets = await Promise.all(Array.from({ length: 12 }, () => dial(endpoint)));
  for (const socket of sockets) {
    socket.pause();
    socket.write(GET);
  }
  let most = 0;
  while (begun() < 12) {
    most = Math.max(most, open());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // 8 MiB of memory are four shares of 2 MiB.
  expect(most).toBe(4);
  expect(open()).toBeLessThanOrEqual(4);
  for (const socket of sockets) socket.destroy();
});

test('requests sent ahead are answered one at a time, and cut when they are too many', async () => {
  const { handle, begun } = endless();
  const { endpoint, server } = await start(handle, { pipelinedMax: 4 });
  const socket = await dial(endpoint);
  socket.pause();
  socket.write(GET.repeat(5));
  while (begun() < 1) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([begun(), server.active]).toEqual([1, 1]);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(GET);
  socket.resume();
  await closed;
  expect(begun()).toBe(1);
});

test('requests sent ahead are all answered, in order', async () => {
  const handle: S3Handler = (wire) =>
    Promise.resolve({ operation: 'Test', response: { status: 200, body: wire.head.rawPath } });
  const { endpoint } = await start(handle, {});
  const socket = await dial(endpoint);
  let answers = '';
  socket.on('data', (text: Buffer) => (answers += text.toString('latin1')));
  const paths = Array.from({ length: 10 }, (_, at) => `/bucket/${at}.`);
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
  while (!answers.includes('/bucket/9.')) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(answers.match(/\/bucket\/\d\./g)).toEqual(paths);
  socket.destroy();
});
