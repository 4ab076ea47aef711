import { afterEach, describe, expect, test } from 'vitest';
import { AuthError } from '../../../gateway/auth/types.ts';
import { visitorOf } from '../../../gateway/http/requestClass.ts';
import { Standings } from '../../../gateway/http/standing.ts';
import { HeldAnswers } from '../../../gateway/http/heldAnswers.ts';
import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { Wire, handler, start, statusOf, stopAll } from './harness.ts';
import type { Running } from './harness.ts';

afterEach(stopAll);

const OK = handler(() => Promise.resolve({ status: 200, body: 'served' }));
const full = (): Promise<Running> => start(OK, { limits: { requestsMax: 0 } });
const head = (method: string, path = '/bkt/k', headers = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: h\r\n${headers}\r\n`;

/** A handler that answers once it is let go. */
function holding(): { hold: ReturnType<typeof handler>; letGo: () => void } {
  const gate = Promise.withResolvers<void>();
  const hold = handler(async () => {
    await gate.promise;
    return { status: 200, body: 'served' };
  });
  return { hold, letGo: () => gate.resolve() };
}

describe('refusals on the wire', () => {
  test('503 SlowDown with ids, and when to come back in seconds and in ms', async () => {
    const { port, samples } = await full();
    const response = await new Wire(port).send(head('GET', '/bkt/k?a=b')).until('</Error>');
    expect(statusOf(response)).toBe(503);
    const id = /^x-amz-request-id: ([0-9A-F]{16})\r$/m.exec(response)?.[1];
    expect(response).toContain(`<RequestId>${id}</RequestId>`);
    expect(response).toContain('<Code>SlowDown</Code>');
    expect(response).toContain('<Resource>/bkt/k</Resource>');
    const seconds = Number(/^retry-after: (\d+)\r$/m.exec(response)?.[1]);
    const ms = Number(/^x-amz-retry-after: (\d+)\r$/m.exec(response)?.[1]);
    expect(seconds).toBe(Math.ceil(ms / 1000));
    expect(ms).toBeGreaterThanOrEqual(1000);
    expect(samples).toEqual([]);
  });

  test('the connection lives on: without a body, with a small one, pipelined', async () => {
    const { port } = await full();
    const wire = new Wire(port)
      .send(head('GET'))
      .send(head('PUT', '/bkt/k', 'Content-Length: 5\r\n') + 'abcde');
    wire.send(head('GET', '/bkt/last', 'Connection: close\r\n'));
    const response = await wire.closed();
    expect(response.match(/HTTP\/1\.1 503 /g)).toHaveLength(3);
    expect(response).toContain('<Resource>/bkt/last</Resource>');
  });

  test('a small body that comes late is taken, and the connection lives on', async () => {
    const { port } = await full();
    const wire = new Wire(port).send(head('PUT', '/bkt/k', 'Content-Length: 5\r\n') + 'ab');
    for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    wire.send('cde').send(head('GET', '/bkt/last', 'Connection: close\r\n'));
    const response = await wire.closed();
    expect(response.match(/HTTP\/1\.1 503 /g)).toHaveLength(2);
  });

  test('a large body ends the connection, once the client has seen the answer', async () => {
    const { port } = await full();
    const wire = new Wire(port).send(head('PUT', '/bkt/k', 'Content-Length: 104857600\r\n'));
    expect(await wire.send(Buffer.alloc(1 << 20)).until('</Error>')).toMatch(/^connection: close\r$/m);
    await wire.closed();
  });

  test('a client that waits for 100 Continue gets the final answer in its stead', async () => {
    const { port } = await full();
    const request = head('PUT', '/bkt/k', 'Content-Length: 5\r\nExpect: 100-continue\r\n');
    const response = await new Wire(port).send(request).closed();
    expect(statusOf(response)).toBe(503);
    expect(response).not.toContain('100 Continue');
  });

  test('HEAD gets no body', async () => {
    const { port } = await full();
    const response = await new Wire(port).send(head('HEAD', '/bkt/k', 'Connection: close\r\n')).closed();
    expect(statusOf(response)).toBe(503);
    expect(response).toMatch(/\r\n\r\n$/);
    expect(response).toMatch(/^retry-after: \d\r$/m);
  });
});

describe('limits by class', () => {
  test('writes beyond their limit are refused; reads go on; then there is room again', async () => {
    const { hold, letGo } = holding();
    const { port, server } = await start(async (wire) =>
      wire.head.method === 'PUT' ? await hold(wire) : await OK(wire),
    );
    const write = head('PUT', '/bkt/k', 'Content-Length: 1\r\nConnection: close\r\n') + 'x';
    const writers = Array.from({ length: 300 }, () => new Wire(port).send(write).closed());
    const refused = await Promise.race([
      Promise.any(writers),
      Promise.all(writers).then(() => Promise.reject(new Error('nobody was refused'))),
    ]);
    expect(statusOf(refused)).toBe(503);
    const read = await new Wire(port).send(head('GET', '/bkt/k', 'Connection: close\r\n')).closed();
    expect(statusOf(read)).toBe(200);
    const writes = server.admission().classes.find(({ kind }) => kind === 'write');
    expect(writes?.inWork).toBeGreaterThan(0);
    expect(writes?.inWork).toBeLessThanOrEqual(256);
    letGo();
    const statuses = (await Promise.all(writers)).map(statusOf);
    const turnedAway = statuses.filter((status) => status === 503).length;
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(server.admission().refusals).toEqual([{ kind: 'write', reason: 'limit', count: turnedAway }]);
    expect(statusOf(await new Wire(port).send(write).closed())).toBe(200);
    expect(server.admission().classes.map(({ inWork, parked, queued }) => inWork + parked + queued)).toEqual([
      0, 0, 0, 0,
    ]);
  });

  test('clients that send their small bodies slowly do not take places', async () => {
    const { port, server } = await start(
      handler(async ({ body }) => {
        for await (const piece of body) expect(piece.length).toBeGreaterThan(0);
        return { status: 200, body: 'served' };
      }),
    );
    const parked = (): number | undefined =>
      server.admission().classes.find(({ kind }) => kind === 'write')?.parked;
    const slow = Array.from({ length: 150 }, () =>
      new Wire(port).send(head('PUT', '/bkt/k', 'Content-Length: 2\r\nConnection: close\r\n') + 'x'),
    );
    while (parked() !== 150) await new Promise((resolve) => setTimeout(resolve, 5));
    const whole = head('PUT', '/bkt/k', 'Content-Length: 1\r\nConnection: close\r\n') + 'x';
    const quick = Array.from({ length: 150 }, () => new Wire(port).send(whole).closed());
    expect((await Promise.all(quick)).map(statusOf).filter((status) => status !== 200)).toEqual([]);
    for (const wire of slow) expect(statusOf(await wire.send('y').closed())).toBe(200);
    expect(parked()).toBe(0);
  });

  test('a client that goes away while it waits or works leaves nothing behind', async () => {
    const { hold, letGo } = holding();
    const { port, server } = await start(hold);
    const wires = Array.from({ length: 250 }, () => new Wire(port).send(head('GET')));
    while (server.active < 100) await new Promise((resolve) => setImmediate(resolve));
    for (const wire of wires) wire.end();
    letGo();
    const busy = (): number =>
      server
        .admission()
        .classes.reduce((sum, one) => sum + one.inWork + one.parked + one.queued, server.active);
    while (busy() > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(statusOf(await new Wire(port).send(head('GET', '/bkt/k', 'Connection: close\r\n')).closed())).toBe(
      200,
    );
  });
});

describe('what a request is taken for', () => {
  const visitor = (method: string, target: string, headers: Record<string, string> = {}) =>
    visitorOf({ method, headers: { host: 'h', ...headers } } as unknown as IncomingMessage, target, {
      smallBodyBytes: 65_536,
      domain: 's3.example',
    });

  test.each([
    ['GET', '/bkt/k?versionId=1', {}, 'read'],
    ['HEAD', '/bkt/k', {}, 'read'],
    ['GET', '/bkt?list-type=2', {}, 'list'],
    ['GET', '/bkt/', {}, 'list'],
    ['GET', '/', {}, 'list'],
    ['POST', '/bkt?delete', { 'content-length': '999' }, 'list'],
    ['GET', '/k', { host: 'bkt.s3.example' }, 'read'],
    ['GET', '/', { host: 'bkt.s3.example' }, 'list'],
    ['GET', 'http://h/bkt/k', {}, 'read'],
    ['GET', '*', {}, 'list'],
    ['GET', '/%zz/k', {}, 'list'],
    ['DELETE', '/bkt/k', {}, 'write'],
    ['PUT', '/bkt/k', { 'content-length': '65536' }, 'write'],
    ['PUT', '/bkt/k', { 'content-length': '65537' }, 'transfer'],
    ['PUT', '/bkt/k', { 'transfer-encoding': 'chunked' }, 'transfer'],
    ['PUT', '/bkt/k', { 'transfer-encoding': 'chunked', 'x-amz-decoded-content-length': '9' }, 'write'],
    ['PUT', '/bkt/k', { 'content-length': '99', 'x-amz-decoded-content-length': 'x' }, 'transfer'],
    ['POST', '/bkt/k?uploadId=1', { 'content-length': '500' }, 'write'],
  ] as const)('%s %s %j: %s', (method, target, headers, kind) => {
    expect(visitor(method, target, headers).kind).toBe(kind);
  });

  test.each([
    ['attempt=1; max=3', false],
    ['attempt=2; max=3', true],
    ['ttl=20251123T120000Z; attempt=10; max=10', true],
    ['max=3', false],
    ['xattempt=22', false],
  ])('amz-sdk-request: %s', (header, again) => {
    expect(visitor('GET', '/bkt/k', { 'amz-sdk-request': header }).again).toBe(again);
  });
});

describe('standing', () => {
  const socket = (): Duplex => new Duplex();

  test('a connection is what it was last; an address with many failures is distrusted for a while', () => {
    const standings = new Standings();
    const one = socket();
    expect(standings.of(one, 'a', 0)).toBe('fresh');
    standings.failed(one, 'a', 0);
    expect(standings.of(one, 'a', 0)).toBe('failed');
    standings.passed(one);
    expect(standings.of(one, 'a', 0)).toBe('proven');
    for (let n = 0; n < 49; n += 1) standings.failed(socket(), 'a', 10);
    expect([standings.of(socket(), 'a', 10), standings.of(socket(), 'b', 10)]).toEqual(['failed', 'fresh']);
    expect(standings.of(socket(), 'a', 10_010)).toBe('fresh');
  });

  test('a request without a valid signature is answered as ever while nobody is crowded out', async () => {
    const { port } = await start((wire) =>
      handler(() => Promise.reject(new AuthError('AccessDenied', 'no')))(wire).then((answer) => ({
        ...answer,
        operation: 'Unknown',
      })),
    );
    for (let n = 0; n < 60; n += 1) {
      const response = await new Wire(port).send(head('GET', '/bkt/k', 'Connection: close\r\n')).closed();
      expect(statusOf(response)).toBe(403);
    }
  });

  test('held answers are given when they are due', () => {
    const held = new HeldAnswers();
    const given: number[] = [];
    for (const until of [30, 10, 20]) held.hold(until, () => void given.push(until));
    held.give(9);
    expect(given).toEqual([]);
    held.give(20);
    expect([given, held.size]).toEqual([[10, 20], 1]);
    held.give(99);
    expect([given, held.size]).toEqual([[10, 20, 30], 0]);
  });
});
