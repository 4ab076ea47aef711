import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { makeCertificate } from '../../support/programs.ts';
import { Wire, handler, readAll, start, statusOf, stopAll } from './harness.ts';
import type { Running } from './harness.ts';

afterEach(stopAll);

/** Ms. Longer than any test. */
const NEVER = 600_000;
const WHOLE = handler(async ({ body }) => {
  await readAll(body);
  return { status: 200, body: 'whole' };
});
const GET = 'GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n';

function expectLast(response: string): void {
  expect(statusOf(response)).toBe(200);
  expect(response).toMatch(/^connection: close\r\n[^]*\r\n\r\nwhole$/m);
}

async function used(port: number): Promise<Wire> {
  const wire = new Wire(port).send(GET);
  await wire.until('whole');
  return wire;
}

async function startTls(): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'shardway-drain-'));
  const { cert, key } = makeCertificate(folder);
  const tls = { cert: readFileSync(cert), key: readFileSync(key) };
  rmSync(folder, { recursive: true });
  return await start(WHOLE, { tls });
}

test('a request that comes while draining, on a connection kept or made before, gets a whole answer, and the last', async () => {
  const { port, server } = await start(WHOLE);
  const kept = await used(port);
  const fresh = new Wire(port);
  const begun = new Wire(port).send(GET.slice(0, 20));
  const drained = server.drain(NEVER);
  await sleep(100);
  kept.send(GET);
  fresh.send(GET);
  begun.send(GET.slice(20));
  for (const wire of [fresh, begun]) expectLast(await wire.closed());
  expectLast((await kept.closed()).split('whole').slice(1).join('whole'));
  expect(await drained).toBe(true);
});

test('over TLS, too', async () => {
  const { port, server } = await startTls();
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }).setEncoding('latin1');
  let received = '';
  socket.on('data', (text: string) => (received += text)).write(GET);
  await expect.poll(() => received).toContain('whole');
  received = '';
  const drained = server.drain(NEVER);
  await sleep(100);
  socket.write(GET);
  await once(socket, 'close');
  expectLast(received);
  expect(await drained).toBe(true);
});

test('those are accepted and answered that connected before the drain', async () => {
  const { port, server } = await start(WHOLE);
  const wires = Array.from({ length: 20 }, () => new Wire(port).send(GET));
  // They connect in this turn of the event loop, and the server would accept them in the next ones.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const drained = server.drain(NEVER);
  for (const wire of wires) expectLast(await wire.closed());
  expect(await drained).toBe(true);
});

test('requests sent behind one under way are answered before their connection closes', async () => {
  const hold = Promise.withResolvers<void>();
  const { port, server } = await start(
    handler(async ({ head }) => {
      await hold.promise;
      return { status: 200, body: head.rawPath };
    }),
  );
  const wire = new Wire(port).send(['/1', '/2', '/3'].map((path) => GET.replace('/b/k', path)).join(''));
  while (server.active === 0) await sleep(1);
  const drained = server.drain(NEVER);
  hold.resolve();
  expect((await wire.closed()).match(/^\/\d/gm)).toEqual(['/1', '/2', '/3']);
  expect(await drained).toBe(true);
});

test.each(['http', 'https'])(
  '%s: connections that bring nothing do not hold up a drain',
  async (protocol) => {
    const { port, server } = protocol === 'http' ? await start(WHOLE) : await startTls();
    // Over TLS a handshake that does not begin, and one that goes no further than that.
    const fresh = new Wire(port);
    const begun = new Wire(port).send(protocol === 'http' ? GET.slice(0, 20) : '\x16\x03\x01\x02');
    const kept = protocol === 'http' ? await used(port) : undefined;
    await sleep(20);
    expect(await server.drain(NEVER)).toBe(true);
    for (const wire of [fresh, begun, kept]) await wire?.closed();
  },
  // The time-outs of heads and of handshakes come later.
  15_000,
);

test('a connection is given time only where somebody has asked of late', async () => {
  const [quiet, busy] = [await start(WHOLE), await start(WHOLE)];
  const wires = [await used(quiet.port), await used(busy.port)];
  await sleep(1_100);
  wires.push(await used(busy.port));
  const ended: string[] = [];
  await Promise.all([
    busy.server.drain(NEVER).then(() => ended.push('busy')),
    quiet.server.drain(NEVER).then(() => ended.push('quiet')),
  ]);
  expect(ended).toEqual(['quiet', 'busy']);
  for (const wire of wires) await wire.closed();
});

/** Nobody runs for a while, neither the gateway nor its client. */
function standStill(): void {
  for (const end = performance.now() + 1_500; performance.now() < end;);
}

test('time in which the process stands still does not count: a request that comes thereafter is answered', async () => {
  const { port, server } = await start(WHOLE);
  const kept = await used(port);
  const drained = server.drain(NEVER);
  await sleep(100);
  standStill();
  await sleep(10);
  kept.send(GET);
  expectLast((await kept.closed()).split('whole').slice(1).join('whole'));
  expect(await drained).toBe(true);
});

test('nor does it before the drain', async () => {
  const { port, server } = await start(WHOLE);
  const kept = await used(port);
  standStill();
  const drained = server.drain(NEVER);
  await sleep(10);
  kept.send(GET);
  expectLast((await kept.closed()).split('whole').slice(1).join('whole'));
  expect(await drained).toBe(true);
});

test('the deadline holds for idle connections and handshakes, and these are no requests', async () => {
  const [cut, idle] = [await startTls(), await start(WHOLE)];
  const [handshake, kept] = [new Wire(cut.port), await used(idle.port)];
  await sleep(20);
  const ended: string[] = [];
  await Promise.all([
    idle.server.drain(NEVER).then(() => ended.push('idle')),
    cut.server.drain(1).then((isWhole) => ended.push(`cut ${isWhole}`)),
  ]);
  expect(ended).toEqual(['cut true', 'idle']);
  await handshake.closed();
  await kept.closed();
});
