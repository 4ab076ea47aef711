import { gzipSync } from 'node:zlib';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { LEAF_BYTES } from '#erasure';
import { systemClock, TransportError, type ShardSlice, type StoredShard } from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AddressRules } from '../../../placement/network/addressRules.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { PROOF_BYTES_HEADER } from '../../../placement/provider/wire.ts';
import { HttpProvider } from '../../../placement/transports/httpProvider.ts';
import { cellsOf, newChunkId, sampleBytes, wholeOf } from '../shards.ts';
import { bytesOf, grantOf, HostileProvider, send } from './hostileProvider.ts';

const limits = { answerMs: 300, windowMs: 200, settleMs: 200, connectMs: 1000 };
const name = { chunk: newChunkId(), index: 2 };

let hostile: HostileProvider;
let provider: HttpProvider;
beforeEach(async () => {
  hostile = await HostileProvider.start();
  provider = open();
});
afterEach(async () => {
  await provider.close();
  await hostile.closed();
});

function open(endpoint = hostile.endpoint, rules: Partial<AddressRules> = {}): HttpProvider {
  return new HttpProvider({
    endpoint,
    provider: hostile.expected,
    gateway: createIdentity(),
    clock: systemClock,
    addresses: { allowPrivate: true, listeners: () => [], ...rules },
    limits,
  });
}

async function failure(work: Promise<unknown>): Promise<TransportError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TransportError);
  return error as TransportError;
}

const getLeaf = (): Promise<ShardSlice> => provider.get(name, 0, 1);
const listAll = (): Promise<StoredShard[]> => provider.list(undefined, 1000);

/** Answers a get as it should. */
function leaf(response: ServerResponse, bytes = 1000): void {
  send(response, 200, new Uint8Array(bytes), { [PROOF_BYTES_HEADER]: '0' });
}

/** Sends text as it is. */
function raw(response: ServerResponse, text: string): void {
  response.socket!.write(text);
}

/** Sends text for as long as the client takes it. */
async function flood(response: ServerResponse, text: string): Promise<void> {
  const socket = response.socket!;
  while (!socket.destroyed) {
    if (!socket.write(text)) await systemClock.sleep(1);
  }
}

describe('headers', () => {
  test('huge headers are Unavailable', async () => {
    hostile.answer = (_, response) => send(response, 200, '[]', { 'x-huge': 'x'.repeat(64 * 1024) });
    expect((await failure(listAll())).kind).toBe('Unavailable');
  });

  test('endless headers are Unavailable', async () => {
    hostile.answer = async (_, response) => {
      raw(response, 'HTTP/1.1 200 OK\r\n');
      await flood(response, `x-more: ${'y'.repeat(1000)}\r\n`);
    };
    expect((await failure(getLeaf())).kind).toBe('Unavailable');
  });

  test('endless interim answers gain no time', async () => {
    hostile.answer = async (_, response) => {
      while (!response.socket!.destroyed) {
        raw(response, 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n');
        await systemClock.sleep(20);
      }
    };
    expect((await failure(getLeaf())).kind).toBe('Timeout');
  });

  test.each(['content-length: -1', 'content-length: 0x10', 'content-length: 5\r\ncontent-length: 6', 'x: y'])(
    'an answer with %j for its length is Unavailable',
    async (header) => {
      hostile.answer = (_, response) => raw(response, `HTTP/1.1 200 OK\r\n${header}\r\n\r\n12345`);
      expect((await failure(getLeaf())).kind).toBe('Unavailable');
    },
  );

  test('a redirect is not followed', async () => {
    const other = await HostileProvider.start();
    for (const status of [301, 302, 307, 308]) {
      hostile.answer = (_, response) =>
        send(response, status, '', { location: `${other.endpoint}/v1/space` });
      expect((await failure(provider.space())).kind).toBe('Unavailable');
      expect((await failure(provider.put(name, wholeOf(sampleBytes(10))))).kind).toBe('Unavailable');
    }
    expect([other.seen, other.greetings]).toEqual([[], 0]);
    await other.closed();
  });
});

describe('bodies', () => {
  test('an endless body is cut before its first byte', async () => {
    hostile.answer = async (_, response) => {
      raw(response, `HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n${PROOF_BYTES_HEADER}: 0\r\n\r\n`);
      await flood(response, 'z'.repeat(65_536));
    };
    expect((await failure(getLeaf())).kind).toBe('Corrupt');
    expect((await failure(listAll())).kind).toBe('Unavailable');
    expect((await failure(provider.delete(name))).kind).toBe('Unavailable');
  });

  test('a body that does not say its length is Unavailable', async () => {
    hostile.answer = async (_, response) => {
      response.writeHead(200, { [PROOF_BYTES_HEADER]: '0' });
      await flood(response, `10000\r\n${'z'.repeat(65_536)}\r\n`);
    };
    expect((await failure(getLeaf())).kind).toBe('Unavailable');
  });

  test('an endless failure is Unavailable', async () => {
    hostile.answer = async (_, response) => {
      raw(response, 'HTTP/1.1 404 Not Found\r\ncontent-length: 999999999999\r\n\r\n');
      await flood(response, 'z'.repeat(65_536));
    };
    expect((await failure(getLeaf())).kind).toBe('Unavailable');
  });

  test('a body shorter than it said is Unavailable', async () => {
    hostile.answer = (_, response) => {
      response.writeHead(200, { 'content-length': 1000, [PROOF_BYTES_HEADER]: '0' });
      response.write(new Uint8Array(500), () => response.socket?.end());
    };
    expect((await failure(getLeaf())).kind).toBe('Unavailable');
  });

  test('what follows a body longer than it said is nobody’s answer', async () => {
    const more = 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\nshardway-proof-bytes: 0\r\n\r\nbad';
    hostile.answer = (_, response) => {
      raw(response, `HTTP/1.1 200 OK\r\ncontent-length: 4\r\n${PROOF_BYTES_HEADER}: 0\r\n\r\ngood${more}`);
    };
    for (let round = 0; round < 5; round++) {
      expect(Buffer.from((await getLeaf()).bytes).toString()).toBe('good');
    }
  });

  test.each([
    ['more leaves than were asked for', LEAF_BYTES + 1, '0'],
    ['no leaf', 0, '0'],
    ['a proof longer than the body', 10, '32'],
    ['half a hash', 100, '16'],
    ['a proof too long', LEAF_BYTES + 4096, '4128'],
    ['no word of its proof', 100, ''],
  ])('%s is Corrupt', async (_, length, proof) => {
    hostile.answer = (_request, response) =>
      send(response, 200, new Uint8Array(length), { [PROOF_BYTES_HEADER]: proof });
    expect((await failure(getLeaf())).kind).toBe('Corrupt');
  });

  test('fewer leaves than were asked for are Corrupt', async () => {
    hostile.answer = (_, response) => leaf(response, 2 * LEAF_BYTES);
    expect((await failure(provider.get(name, 0, 3))).kind).toBe('Corrupt');
  });

  test('an encoded body is Unavailable', async () => {
    const bomb = gzipSync(new Uint8Array(10_000_000));
    hostile.answer = (_, response) =>
      send(response, 200, bomb, { 'content-encoding': 'gzip', [PROOF_BYTES_HEADER]: '0' });
    expect((await failure(getLeaf())).kind).toBe('Unavailable');
    expect((await failure(listAll())).kind).toBe('Unavailable');
  });

  test('a reset in the middle of a body is Unavailable', async () => {
    hostile.answer = (_, response) => {
      response.writeHead(200, { 'content-length': 1000, [PROOF_BYTES_HEADER]: '0' });
      response.write(new Uint8Array(500), () => response.socket?.resetAndDestroy());
    };
    expect((await failure(getLeaf())).kind).toBe('Unavailable');
  });
});

describe('time', () => {
  test('a trickle is cut', async () => {
    hostile.answer = async (_, response) => {
      response.writeHead(200, { 'content-length': 10_000, [PROOF_BYTES_HEADER]: '0' });
      while (!response.socket!.destroyed) {
        response.write('x');
        await systemClock.sleep(100);
      }
    };
    expect((await failure(getLeaf())).kind).toBe('Timeout');
  });

  test('a call that is taken and not answered is cut', async () => {
    hostile.answer = () => undefined;
    expect((await failure(getLeaf())).kind).toBe('Timeout');
    expect((await failure(provider.space())).kind).toBe('Timeout');
  });

  test('a greeting that is taken and not answered is cut, and does not keep the one who gives up', async () => {
    hostile.hello = () => undefined;
    expect((await failure(getLeaf())).kind).toBe('Timeout');
    const abort = new AbortController();
    const work = failure(provider.get(name, 0, 1, abort.signal));
    abort.abort();
    expect((await work).kind).toBe('Aborted');
  });

  test('a put whose bytes are not taken is cut', async () => {
    const held = Promise.withResolvers<IncomingMessage>();
    hostile.answer = (request) => held.resolve(request.pause());
    // More than the sockets' buffers hold.
    const put = provider.put(name, cellsOf(sampleBytes(24 * 1024 * 1024), 4 * 1024 * 1024));
    expect((await failure(put)).kind).toBe('Timeout');
    // A paused server does not see that the client has gone.
    (await held.promise).socket.destroy();
  });

  test('a put that is not answered is cut, and what it may have left is deleted', async () => {
    const deleted = Promise.withResolvers<undefined>();
    hostile.answer = async (request) => {
      if (request.method === 'DELETE') deleted.resolve(undefined);
      else await bytesOf(request);
    };
    expect((await failure(provider.put(name, cellsOf(sampleBytes(100_000))))).kind).toBe('Timeout');
    await deleted.promise;
  });

  test('what a put may have left is deleted before the same shard is put again', async () => {
    const done: string[] = [];
    hostile.answer = async (request, response) => {
      if (request.method === 'DELETE') {
        await systemClock.sleep(100);
        done.push('deleted');
        response.writeHead(204).end();
      } else if (done.length === 0) await bytesOf(request);
      else {
        await hostile.receive(request, response);
        done.push('stored');
      }
    };
    expect((await failure(provider.put(name, wholeOf(sampleBytes(1000))))).kind).toBe('Timeout');
    await provider.put(name, wholeOf(sampleBytes(1000)));
    expect(done).toEqual(['deleted', 'stored']);
  });

  test('a source that takes its time is waited for', async () => {
    hostile.answer = (request, response) => hostile.receive(request, response);
    const bytes = sampleBytes(200_000);
    const source = cellsOf(bytes);
    async function* slowly(): AsyncGenerator<Uint8Array, undefined> {
      for await (const cell of source.cells) {
        await systemClock.sleep(500);
        yield cell;
      }
    }
    await provider.put(name, { cells: slowly(), seal: () => source.seal() });
    expect(hostile.seen).toEqual(['PUT /v1/shards']);
  });
});

describe('receipts', () => {
  const put = (): Promise<void> => provider.put(name, cellsOf(sampleBytes(300_000)));
  const other = createIdentity();
  test.each([
    ['a wrong root', { root: '0'.repeat(64) }, 'Corrupt'],
    ['a wrong length', { length: 1 }, 'Corrupt'],
    ['another shard', { shard: `${'0'.repeat(32)}.1` }, 'Unavailable'],
    ['another put', { nonce: '0'.repeat(32) }, 'Unavailable'],
    ['another provider', { provider: other.id }, 'Unavailable'],
    ['something that is no receipt', { root: 7 }, 'Unavailable'],
  ])('a receipt for %s: the shard is deleted', async (_, change, kind) => {
    hostile.answer = async (request, response) => {
      if (request.method === 'DELETE') response.writeHead(204).end();
      else await hostile.receive(request, response, change);
    };
    expect((await failure(put())).kind).toBe(kind);
    expect(hostile.seen).toEqual(['PUT /v1/shards', 'DELETE /v1/shards']);
  });

  test('a receipt by another key is Unavailable, and the shard is deleted', async () => {
    hostile.answer = async (request, response) => {
      if (request.method === 'DELETE') response.writeHead(204).end();
      else await hostile.receive(request, response, {}, other);
    };
    expect((await failure(put())).kind).toBe('Unavailable');
    expect(hostile.seen).toEqual(['PUT /v1/shards', 'DELETE /v1/shards']);
  });

  test('a put without a receipt is Unavailable', async () => {
    hostile.answer = async (request, response) => {
      await bytesOf(request);
      send(response, 201, '{}');
    };
    expect((await failure(put())).kind).toBe('Unavailable');
  });

  test('success before the last byte is no success', async () => {
    hostile.answer = (request, response) => {
      request.once('data', () => send(response, 201, '{}'));
    };
    expect((await failure(provider.put(name, cellsOf(sampleBytes(8_000_000))))).kind).toBe('Unavailable');
  });

  test('a put given up after its last byte is deleted once it is known to be stored', async () => {
    const abort = new AbortController();
    hostile.answer = async (request, response) => {
      if (request.method === 'DELETE') {
        response.writeHead(204).end();
        return;
      }
      abort.abort();
      await systemClock.sleep(50);
      await hostile.receive(request, response);
    };
    expect((await failure(provider.put(name, wholeOf(sampleBytes(1000)), abort.signal))).kind).toBe(
      'Aborted',
    );
    expect(hostile.seen).toEqual(['PUT /v1/shards', 'DELETE /v1/shards']);
  });
});

describe('lists', () => {
  const bomb = (text: string) => (_: IncomingMessage, response: ServerResponse) => send(response, 200, text);
  const row = (chunk: string): string => `["${chunk.padEnd(32, '0')}.1",5,5]`;
  test.each([
    ['a list of more than a page', `[${`${row('a')},`.repeat(30_000)}${row('b')}]`],
    ['a deep one', `${'['.repeat(500_000)}${']'.repeat(500_000)}`],
    ['one of other things', '[{"__proto__":{"a":1}}]'],
    ['one that is cut', '[["'],
    ['one that goes back', `[${row('b')},${row('a')}]`],
    ['one that stands still', `[${row('a')},${row('a')}]`],
    ['one with names that no shard has', '[["00000000000000000000000000000000.99",5,5]]'],
    ['one with fractions', `[["${'0'.repeat(32)}.1",0.5,5]]`],
  ])('%s is Unavailable', async (_, text) => {
    hostile.answer = bomb(text);
    expect((await failure(listAll())).kind).toBe('Unavailable');
  });

  test('one that begins before its start, or has more than was asked for, is Unavailable', async () => {
    hostile.answer = bomb(`[${row('a')},${row('b')}]`);
    expect((await failure(provider.list(`${'a'.padEnd(32, '0')}.1`, 10))).kind).toBe('Unavailable');
    expect((await failure(provider.list(undefined, 1))).kind).toBe('Unavailable');
    expect(await provider.list(undefined, 2)).toHaveLength(2);
  });

  test('space that is none is Unavailable, and more free than there is counts as all', async () => {
    hostile.answer = bomb('{"capacity":-1,"free":1}');
    expect((await failure(provider.space())).kind).toBe('Unavailable');
    hostile.answer = bomb('{"capacity":10,"free":11}');
    expect(await provider.space()).toEqual({ capacity: 10, free: 10 });
  });
});

describe('who answers', () => {
  test('a hello by another identity is refused, and nothing else is asked', async () => {
    hostile.hello = (request, response) => hostile.greet(request, response, createIdentity());
    const error = await failure(getLeaf());
    expect([error.kind, error.message]).toEqual(['Unavailable', expect.stringMatching(/another identity/)]);
    expect(hostile.seen).toEqual([]);
  });

  test('a hello that was signed for another is refused', async () => {
    hostile.hello = (request, response) => hostile.greet(request, response, hostile.identity, 'a'.repeat(64));
    expect((await failure(getLeaf())).kind).toBe('Unavailable');
    expect(hostile.seen).toEqual([]);
  });

  test('grants expire by the clock of the provider', async () => {
    hostile.aheadMs = -3_600_000;
    let ahead = 0;
    hostile.answer = (request, response) => {
      ahead = grantOf(request).expires - Date.now();
      leaf(response);
    };
    await getLeaf();
    expect(ahead).toBeLessThan(-3_000_000);
  });

  /** As a provider does that was started anew. */
  const refuseOthers = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (grantOf(request).session !== hostile.session) {
      request.resume();
      send(response, 401, '{"kind":"Refused","error":"the grant is for an earlier run of the provider"}');
    } else if (request.method === 'PUT') await hostile.receive(request, response);
    else leaf(response);
  };

  test('a provider that was started anew is greeted anew, and asked once more', async () => {
    hostile.answer = refuseOthers;
    await getLeaf();
    hostile.session = '1'.repeat(32);
    await Promise.all([getLeaf(), getLeaf(), getLeaf()]);
    hostile.session = '2'.repeat(32);
    await provider.put(name, wholeOf(sampleBytes(100_000)));
    expect(hostile.greetings).toBeLessThanOrEqual(5);
  });

  test('a put from cells that have gone is Unavailable once, and the next succeeds', async () => {
    hostile.answer = refuseOthers;
    await getLeaf();
    hostile.session = '1'.repeat(32);
    const error = await failure(provider.put(name, cellsOf(sampleBytes(100_000))));
    expect([error.kind, error.retryable]).toEqual(['Unavailable', true]);
    expect(error.message).toMatch(/earlier run/);
    await provider.put(name, cellsOf(sampleBytes(100_000)));
  });

  test('a provider that refuses every grant is asked twice', async () => {
    hostile.answer = (_, response) => send(response, 401, '{"kind":"Refused","error":"no\\u001b[31m"}');
    const error = await failure(getLeaf());
    expect([error.kind, error.message]).toEqual(['Unavailable', expect.stringMatching(/no\?\[31m$/)]);
    expect([hostile.seen.length, hostile.greetings]).toEqual([2, 2]);
  });

  test('a moved provider is asked at its new address alone', async () => {
    const old = await HostileProvider.start();
    const moved = open(old.endpoint);
    hostile.answer = (_, response) => leaf(response);
    moved.moveTo(hostile.endpoint);
    expect(moved.endpoint).toBe(hostile.endpoint);
    await moved.get(name, 0, 1);
    expect([old.greetings, hostile.greetings]).toEqual([0, 1]);
    await moved.close();
    await old.closed();
  });

  test('addresses that no provider has are not connected to', async () => {
    const hosts = [
      '169.254.169.254',
      '0.0.0.0',
      '[fe80::1]',
      '[::ffff:169.254.169.254]',
      '[::]',
      '255.255.255.255',
    ];
    for (const host of hosts) {
      const elsewhere = open(`http://${host}:80`);
      const error = await failure(elsewhere.space());
      expect([error.kind, error.message]).toEqual(['Unavailable', expect.stringMatching(/can have/)]);
      await elsewhere.close();
    }
  });

  test('a private address is connected to only where such are allowed, by whatever name', async () => {
    const { port } = new URL(hostile.endpoint);
    for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]']) {
      const elsewhere = open(`http://${host}:${port}`, { allowPrivate: false });
      const error = await failure(elsewhere.space());
      expect([error.kind, error.message]).toEqual(['Unavailable', expect.stringMatching(/private network/)]);
      await elsewhere.close();
    }
    expect(hostile.greetings).toBe(0);
    hostile.answer = (_, response) => leaf(response);
    const named = open(`http://localhost:${port}`);
    await named.get(name, 0, 1);
    expect(hostile.greetings).toBe(1);
    await named.close();
  });

  test('the gateway does not call its own listeners, which may have come after the provider', async () => {
    const listeners: { host: string; port: number }[] = [];
    const port = Number(new URL(hostile.endpoint).port);
    const itself = open(`http://localhost:${port}`, { listeners: () => listeners });
    listeners.push({ host: '0.0.0.0', port });
    expect((await failure(itself.space())).message).toMatch(/gateway itself/);
    await itself.close();
    expect(hostile.greetings).toBe(0);
  });

  test.each(['ftp://a', 'http://a/b', 'http://a?b', 'http://u:p@a', 'a:80', ''])(
    '%j is no endpoint',
    (endpoint) => {
      expect(() => open(endpoint)).toThrow(RangeError);
    },
  );
});
