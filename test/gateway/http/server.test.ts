import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { S3Error } from '../../../gateway/s3/errors.ts';
import type { S3Response } from '../../../gateway/s3/types.ts';
import type { WireRequest } from '../../../gateway/s3/wire.ts';
import { Wire, handler, readAll, start, statusOf, stopAll } from './harness.ts';

afterEach(stopAll);

const REFUSE = handler(() => Promise.reject(new S3Error('AccessDenied')));
const ECHO = handler(async ({ head, body }) => {
  const length = (await readAll(body)).length;
  return { status: 200, body: JSON.stringify([head.method, head.rawPath, head.rawQuery, length]) };
});
/** Answers with the head of the last request alone. */
const LAST = '"/last"';
const last = 'GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

describe('requests', () => {
  test.each([
    ['GET /a/../b//c/./?x=%zz&y#z HTTP/1.1', ['GET', '/a/../b//c/./', 'x=%zz&y#z', 0]],
    ['GET //x//%2e%2e/%00 HTTP/1.1', ['GET', '//x//%2e%2e/%00', '', 0]],
    ['GET http://h/a?b HTTP/1.1', ['GET', '/a', 'b', 0]],
    ['DELETE /?a HTTP/1.1', ['DELETE', '/', 'a', 0]],
  ])('%s arrives as it was sent', async (line, seen) => {
    const { port } = await start(ECHO);
    const response = await new Wire(port).send(`${line}\r\nHost: h\r\nConnection: close\r\n\r\n`).closed();
    expect(JSON.parse(response.slice(response.indexOf('\r\n\r\n') + 4))).toEqual(seen);
  });

  test('every response has ids, Server, Date and nosniff, and is not compressed', async () => {
    const { port, samples, lines } = await start(ECHO);
    const wire = new Wire(port).send(
      `GET /a?X-Amz-Signature=s3cr3t HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n`,
    );
    const response = await wire.closed();
    const id = /^x-amz-request-id: ([0-9A-F]{16})\r$/m.exec(response)?.[1];
    for (const header of [
      /^x-amz-id-2: \S+\r$/m,
      /^server: Shardway\r$/m,
      /^Date: /m,
      /^x-content-type-options: nosniff\r$/m,
    ]) {
      expect(response).toMatch(header);
    }
    expect(response).not.toMatch(/x-powered-by|content-encoding|etag/i);
    expect(samples).toMatchObject([{ operation: 'Test', status: 200, bytesIn: 0 }]);
    expect(lines).toMatchObject([{ requestId: id, method: 'GET', path: '/a' }]);
    expect(JSON.stringify(lines)).not.toContain('s3cr3t');
  });

  test('one connection carries many requests, pipelined too', async () => {
    const { port } = await start(ECHO);
    const response = await new Wire(port)
      .send('PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc')
      .send('PUT /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n')
      .send(last)
      .closed();
    expect(response.match(/\["\w+","\/\w+","",\d\]/g)).toEqual([
      '["PUT","/1","",3]',
      '["PUT","/2","",2]',
      '["GET","/last","",0]',
    ]);
  });

  test('control characters in response headers cannot split them; UTF-8 goes out as bytes', async () => {
    const headers = [['content-disposition', 'a\r\nx-evil: 1\0é\u0100']] as const;
    const { port } = await start(handler(() => Promise.resolve({ status: 200, headers })));
    const response = await new Wire(port).send(last).closed();
    expect(response).toContain(
      `content-disposition: a  x-evil: 1 ${Buffer.from('é\u0100').toString('latin1')}\r\n`,
    );
  });
});

describe('malformed HTTP', () => {
  test.each([
    [
      'Transfer-Encoding and Content-Length',
      'PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'two Content-Lengths',
      'PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
      400,
    ],
    ['a list of Content-Lengths', 'PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nabcde', 400],
    ['chunked not last', 'PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n', 400],
    [
      'chunk size with a sign',
      'PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n',
      400,
    ],
    ['bare LF', 'GET /x HTTP/1.1\nHost: h\n\n', 400],
    ['space before a colon', 'GET /x HTTP/1.1\r\nHost : h\r\n\r\n', 400],
    ['folded header', 'GET /x HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n', 400],
    ['NUL in a header', 'GET /x HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n', 400],
    ['no Host', 'GET /x HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['TLS to a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
    ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['headers of 40 KiB', `GET /x HTTP/1.1\r\nHost: h\r\nA: ${'x'.repeat(40_000)}\r\n\r\n`, 400],
    ['CONNECT', 'CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n', 405],
  ])('%s: %#', async (_, request, status) => {
    const { port } = await start(handler(async ({ body }) => ({ status: 200, body: await readAll(body) })));
    const response = await new Wire(port).send(request).closed();
    expect(statusOf(response)).toBe(status);
    expect(response).toMatch(/^connection: close\r$/m);
    expect(response).toMatch(/<Error><Code>\w+<\/Code>/);
    const id = /^x-amz-request-id: (\w+)\r$/m.exec(response)?.[1];
    expect(response).toContain(`<RequestId>${id}</RequestId>`);
    // One response, whatever follows what could not be read.
    expect(response.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  test('an upgrade is not taken up: an ordinary request', async () => {
    const { port } = await start(ECHO);
    const request = `GET /last HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n`;
    expect(await new Wire(port).send(request).closed()).toContain(LAST);
  });

  test('headers that never end are cut; a connection in reserve is closed without a word', async () => {
    const { port } = await start(ECHO, { limits: { headersTimeoutMs: 20 } });
    expect(await new Wire(port).send('GET /x HT').closed()).toContain('<Code>RequestTimeout</Code>');
    expect(await new Wire(port).closed()).toBe('');
  });
});

describe('Expect', () => {
  const head = 'PUT /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';

  test('100 Continue is sent when the body is pulled, not before', async () => {
    const asked = Promise.withResolvers<void>();
    const pull = Promise.withResolvers<void>();
    const { port } = await start(
      handler(async ({ body }) => {
        asked.resolve();
        await pull.promise;
        return { status: 200, body: await readAll(body) };
      }),
    );
    const wire = new Wire(port).send(head);
    await asked.promise;
    expect(wire.received).toBe('');
    pull.resolve();
    expect(await wire.until('\r\n\r\n')).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(await wire.send('abcde').until('abcde')).toContain('200 OK');
    wire.end();
  });

  test('a refusal comes in its stead, and ends the connection', async () => {
    const { port } = await start(REFUSE);
    const response = await new Wire(port).send(head).closed();
    expect(statusOf(response)).toBe(403);
    expect(response).not.toContain('100 Continue');
  });

  test.each(['tea', '200', ''])('another expectation (%j) is ignored', async (expectation) => {
    const { port } = await start(handler(() => Promise.resolve({ status: 200, body: LAST })));
    const response = await new Wire(port)
      .send(`GET /x HTTP/1.1\r\nHost: h\r\nExpect: ${expectation}\r\nConnection: close\r\n\r\n`)
      .closed();
    expect(statusOf(response)).toBe(200);
    expect(response).not.toContain('100 Continue');
  });
});

describe('bodies that nobody reads', () => {
  test('a small one is dropped and the connection lives on', async () => {
    const { port } = await start(
      handler(({ head }) =>
        head.rawPath === '/last'
          ? Promise.resolve({ status: 200, body: LAST })
          : Promise.reject(new S3Error('AccessDenied')),
      ),
    );
    const response = await new Wire(port)
      .send('PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde')
      .send(last)
      .closed();
    expect(response).toContain('AccessDenied');
    expect(response).toContain(LAST);
  });

  test('a large one ends the connection, after the response was received', async () => {
    const { port, samples } = await start(REFUSE);
    const wire = new Wire(port)
      .send('PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 104857600\r\n\r\n')
      .send(Buffer.alloc(1 << 20));
    expect(await wire.until('</Error>')).toMatch(/^connection: close\r$/m);
    wire.send(Buffer.alloc(8 << 20));
    await wire.closed();
    expect(samples[0]?.bytesIn).toBeLessThan(16 << 20);
  });
});

describe('bodies', () => {
  test('one that ends early is IncompleteBody, and the signal aborts', async () => {
    const seen = Promise.withResolvers<WireRequest>();
    const outcome = Promise.withResolvers<unknown>();
    const { port, samples } = await start(
      handler(async (wire) => {
        seen.resolve(wire);
        await readAll(wire.body).catch((error: unknown) => {
          outcome.resolve(error);
          throw error;
        });
        return { status: 200 };
      }),
    );
    const wire = new Wire(port).send('PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab');
    const { signal } = await seen.promise;
    wire.end();
    expect(await outcome.promise).toMatchObject({ code: 'IncompleteBody' });
    while (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    while (samples.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(samples[0]?.status).toBe(499);
  });

  test('a trickle is cut with RequestTimeout', async () => {
    const { port } = await start(ECHO, { limits: { bodyWindowMs: 30, bodyBytesPerSecondMin: 1 << 20 } });
    const response = await new Wire(port)
      .send('PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\nab')
      .closed();
    expect(statusOf(response)).toBe(400);
    expect(response).toContain('<Code>RequestTimeout</Code>');
  });

  test('the socket is not read while the handler does not pull', async () => {
    const pull = Promise.withResolvers<void>();
    const { port } = await start(
      handler(async ({ body }) => {
        await pull.promise;
        return { status: 200, body: String((await readAll(body)).length) };
      }),
    );
    const length = 32 << 20;
    const request = http.request({
      port,
      method: 'PUT',
      path: '/x',
      headers: { 'content-length': length },
      agent: false,
    });
    const answered = new Promise<http.IncomingMessage>((resolve) => request.on('response', resolve));
    let flushed = false;
    request.end(Buffer.alloc(length), () => (flushed = true));
    // Loopback takes a few MiB into its buffers; the rest must wait.
    for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(flushed).toBe(false);
    pull.resolve();
    expect((await readAll(await answered)).toString()).toBe(String(length));
  });

  test('beyond the upload memory a body waits, then is answered SlowDown; memory comes back', async () => {
    const hold = Promise.withResolvers<void>();
    const holding = Promise.withResolvers<void>();
    const { port, server } = await start(
      handler(async ({ head, body }) => {
        const text = (await readAll(body)).toString();
        if (head.rawPath === '/hold') {
          holding.resolve();
          await hold.promise;
        }
        return { status: 200, body: text };
      }),
      { uploadMemory: 10, limits: { uploadWaitMs: 10, smallBodyBytes: 0 } },
    );
    const put = (path: string): string =>
      `PUT ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\nConnection: close\r\n\r\nabcdefgh`;
    const first = new Wire(port).send(put('/hold'));
    await holding.promise;
    expect(server.uploads.reserved).toBe(8);
    const second = await new Wire(port).send(put('/x')).closed();
    expect(second).toContain('<Code>SlowDown</Code>');
    expect(second).toMatch(/^retry-after: 1\r$/m);
    hold.resolve();
    expect(await first.closed()).toContain('abcdefgh');
    expect(await new Wire(port).send(put('/x')).closed()).toContain('abcdefgh');
    expect(server.uploads.reserved).toBe(0);
  });
});

describe('responses', () => {
  async function* pieces(count: number, fail?: Error): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < count; at += 1) yield Buffer.alloc(1000, 'x');
    if (fail !== undefined) throw fail;
  }
  const streaming = (body: () => AsyncIterable<Uint8Array>, length?: number, done = (): void => undefined) =>
    handler(() =>
      Promise.resolve<S3Response>({
        status: 200,
        headers: length === undefined ? [] : [['content-length', String(length)]],
        body: body(),
        done,
      }),
    );

  test('a stream is sent whole, and done is called once', async () => {
    let dones = 0;
    const { port, samples } = await start(
      streaming(
        () => pieces(500),
        500_000,
        () => (dones += 1),
      ),
    );
    const response = await new Wire(port).send(last).closed();
    expect(response.length - response.indexOf('\r\n\r\n') - 4).toBe(500_000);
    expect([dones, samples[0]?.bytesOut]).toEqual([1, 500_000]);
  });

  test('an error before the first byte is an error response', async () => {
    let dones = 0;
    const { port } = await start(
      streaming(
        () => pieces(0, new S3Error('NoSuchKey')),
        10,
        () => (dones += 1),
      ),
    );
    const response = await new Wire(port).send(last).closed();
    expect(statusOf(response)).toBe(404);
    expect(dones).toBe(1);
  });

  test.each([
    ['with a length', 50_000],
    ['chunked', undefined],
  ])('an error in mid-stream breaks the connection, never ends the body cleanly: %s', async (_, length) => {
    let dones = 0;
    const fail = Promise.withResolvers<void>();
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* pieces(20);
      await fail.promise;
      throw new Error('lost');
    }
    const { port, errors } = await start(streaming(failing, length, () => (dones += 1)));
    const wire = new Wire(port).send(last);
    await wire.until('x'.repeat(1000));
    fail.resolve();
    const response = await wire.closed();
    expect(statusOf(response)).toBe(200);
    expect(response.endsWith('0\r\n\r\n')).toBe(false);
    expect(response.length).toBeLessThan(50_000);
    expect([dones, errors.length]).toEqual([1, 1]);
  });

  test.each([
    ['short', 5],
    ['long', 1],
  ])('a body that is too %s for its Content-Length breaks the connection', async (_, count) => {
    const { port, errors } = await start(streaming(() => pieces(count), 3000));
    const response = await new Wire(port).send(last).closed();
    expect(response.length - response.indexOf('\r\n\r\n') - 4).not.toBe(3000);
    expect(errors).toHaveLength(1);
  });

  test('a client that goes away stops the stream', async () => {
    const over = Promise.withResolvers<string>();
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(65_536);
      } finally {
        over.resolve('stopped');
      }
    }
    const { port } = await start(streaming(endless));
    const wire = new Wire(port).send(last);
    await wire.until('\r\n\r\n');
    wire.end();
    expect(await over.promise).toBe('stopped');
  });

  test('what waits for a client is under way: the next request of its connection is not begun', async () => {
    const size = 1000 * 1024;
    let produced = 0;
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < size; at += 8192) yield Buffer.alloc(Math.min(8192, size - at));
      produced++;
    }
    const { port, server } = await start(
      handler(() =>
        Promise.resolve({ status: 200, headers: [['content-length', String(size)]], body: body() }),
      ),
      { limits: { sendStallMs: 300 } },
    );
    const wires = Array.from({ length: 4 }, () =>
      new Wire(port).pause().send('GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(16)),
    );
    while (produced < wires.length) await sleep(10);
    while (server.active > 0) await sleep(10);
    for (const wire of wires) wire.end();
    // What the system's own buffers took, and one more for each.
    expect(produced).toBeLessThan(wires.length * 12);
  });

  test('a client that takes nothing is cut, and the stream does not run ahead of it', async () => {
    let sent = 0;
    const over = Promise.withResolvers<void>();
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          sent += 65_536;
          yield Buffer.alloc(65_536);
        }
      } finally {
        over.resolve();
      }
    }
    const { port } = await start(streaming(endless), { limits: { sendStallMs: 30 } });
    const wire = new Wire(port).pause().send(last);
    await over.promise;
    expect(sent).toBeLessThan(64 << 20);
    wire.end();
  });

  test('HEAD has the length of the body and none of it; 204 and 304 have neither', async () => {
    const bodies: Record<string, S3Response> = {
      '/text': { status: 200, body: 'hello' },
      '/stream': { status: 200, headers: [['content-length', '7']], body: pieces(1) },
      '/204': { status: 204 },
      '/304': { status: 304 },
    };
    const { port } = await start(handler(({ head }) => Promise.resolve(bodies[head.rawPath] as S3Response)));
    const get = (method: string, path: string): Promise<string> =>
      new Wire(port).send(`${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`).closed();
    expect(await get('HEAD', '/text')).toMatch(/content-length: 5\r\n[^]*\r\n\r\n$/);
    expect(await get('HEAD', '/stream')).toMatch(/content-length: 7\r\n[^]*\r\n\r\n$/);
    expect(await get('GET', '/204')).not.toMatch(/content-length|transfer-encoding/i);
    expect(await get('GET', '/304')).not.toMatch(/content-length|transfer-encoding/i);
  });
});

describe('overload and drain', () => {
  test('beyond the request limit: 503 SlowDown at once', async () => {
    const hold = Promise.withResolvers<void>();
    const { port, server } = await start(
      handler(async () => {
        await hold.promise;
        return { status: 200, body: 'held' };
      }),
      { limits: { requestsMax: 1 } },
    );
    const first = new Wire(port).send(last);
    while (server.active === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = await new Wire(port).send(last).closed();
    expect(statusOf(second)).toBe(503);
    expect(second).toContain('<Code>SlowDown</Code>');
    hold.resolve();
    expect(await first.closed()).toContain('held');
  });

  test('draining lets requests finish, closes idle connections and takes no new ones', async () => {
    const hold = Promise.withResolvers<void>();
    const { port, server } = await start(
      handler(async ({ head }) => {
        if (head.rawPath === '/hold') await hold.promise;
        return { status: 200, body: 'whole' };
      }),
    );
    const idle = new Wire(port).send('GET /x HTTP/1.1\r\nHost: h\r\n\r\n');
    await idle.until('whole');
    const held = new Wire(port).send('GET /hold HTTP/1.1\r\nHost: h\r\n\r\n');
    while (server.active === 0) await new Promise((resolve) => setImmediate(resolve));
    const drained = server.drain(60_000);
    await idle.closed();
    expect(await new Wire(port).closed()).toBe('');
    hold.resolve();
    const response = await held.closed();
    expect(response).toContain('whole');
    expect(response).toMatch(/^connection: close\r$/m);
    expect(await drained).toBe(true);
  });

  test('what is left at the deadline is cut', async () => {
    const { port, server } = await start(handler(() => new Promise(() => undefined)));
    const wire = new Wire(port).send(last);
    while (server.active === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await server.drain(1)).toBe(false);
    expect(await wire.closed()).toBe('');
  });
});
