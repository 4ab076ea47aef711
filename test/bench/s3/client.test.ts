import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { AnswerReader } from '../../../bench/s3/answerReader.ts';
import type { Answer } from '../../../bench/s3/answerReader.ts';
import { contentOf, keyOf } from '../../../bench/s3/content.ts';
import { Signer, UNSIGNED, queryOf } from '../../../bench/s3/signer.ts';
import { runTask } from '../../../bench/s3/tasks.ts';
import type { Outcome, Task } from '../../../bench/s3/types.ts';
import { createAuthenticator } from '../../../gateway/auth/sigv4.ts';
import { ACCESS_KEY, REGION, SECRET_KEY, credentials } from '../../gateway/auth/signing.ts';

/** Feeds an answer in pieces that end at the cuts. */
function read(wire: string, cuts: readonly number[], bodiless = false): Answer | undefined {
  const reader = new AnswerReader(bodiless, true);
  const bytes = Buffer.from(wire, 'latin1');
  const ends = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
  let answer: Answer | undefined;
  let from = 0;
  for (const to of [...ends, bytes.length]) {
    expect(answer).toBeUndefined();
    if (to > from) answer = reader.feed(bytes.subarray(from, to));
    from = to;
  }
  return answer;
}

describe('an answer', () => {
  const cuts = fc.array(fc.nat(), { maxLength: 12 });

  test('with a length reads the same however it is cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', minLength: 1 }), cuts, (body, at) => {
        const wire = `HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
        const answer = read(wire, at)!;
        expect([answer.status, answer.bytes, answer.last]).toEqual([200, body.length, false]);
        expect(answer.body.toString('latin1')).toBe(body);
        expect(answer.head).toContain('ETag: "x"\r\n');
      }),
    );
  });

  test('in chunks reads the same however it is cut', () => {
    const chunk = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(chunk, { minLength: 1, maxLength: 5 }), cuts, (chunks, at) => {
        const body = chunks.map((each) => `${each.length.toString(16)}\r\n${each}\r\n`).join('');
        const wire = `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n${body}0\r\nx: y\r\n\r\n`;
        const answer = read(wire, at)!;
        expect(answer.body.toString('latin1')).toBe(chunks.join(''));
        expect(answer.bytes).toBe(chunks.join('').length);
        expect(answer.last).toBe(true);
      }),
    );
  });

  test('to a HEAD has a length and no body; so have 204, and an empty 200', () => {
    expect(read('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n', [], true)?.bytes).toBe(0);
    expect(read('HTTP/1.1 204 No Content\r\n\r\n', [9])?.status).toBe(204);
    expect(read('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', [3])?.bytes).toBe(0);
  });

  test('that is not HTTP, has no length or goes on is an error', () => {
    expect(() => read('SSH-2.0\r\n\r\n', [])).toThrow('not HTTP/1.1');
    expect(() => read('HTTP/1.1 200 OK\r\n\r\n', [])).toThrow('without a length');
    expect(() => read('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab', [])).toThrow('after the end');
  });
});

test('what is signed by hand is what the gateway accepts, and nothing else', async () => {
  const authenticator = createAuthenticator({
    credentials,
    region: REGION,
    service: 's3',
    clock: { now: () => Date.now() },
  });
  const account = { url: 'http://127.0.0.1:9000', accessKey: ACCESS_KEY, secretKey: SECRET_KEY };
  const head = new Signer(account).head(
    'GET',
    '/bench/a-key_1',
    queryOf({ prefix: 'a b/(1)+', 'list-type': '2', 'continuation-token': '=/' }),
    UNSIGNED,
  );
  const [line = '', ...headers] = head.trimEnd().split('\r\n');
  const [method = '', target = ''] = line.split(' ');
  const [rawPath = '', rawQuery = ''] = target.split('?');
  const rawHeaders = headers.flatMap((each) => each.split(/: (.*)/s).slice(0, 2));
  await expect(authenticator.authenticate({ method, rawPath, rawQuery, rawHeaders })).resolves.toBeDefined();
  await expect(authenticator.authenticate({ method: 'PUT', rawPath, rawQuery, rawHeaders })).rejects.toThrow(
    'signature',
  );
  expect(() => new Signer(account).head('GET', '/bench/ä', '', UNSIGNED)).toThrow('escaping');
});

describe('a task', () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function run(task: Task, listener: RequestListener): Promise<Outcome> {
    server = createServer(listener).listen(0, '127.0.0.1');
    await new Promise((resolve) => server!.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const endpoint = { url, accessKey: 'access', secretKey: 'secret' };
    return await runTask(endpoint, 'bucket', task, { began: () => {}, progress: () => {} });
  }

  const puts: Task = {
    kind: 'load',
    load: { kind: 'put', prefix: 'p/', size: 1000, bytesMax: 30_000 },
    concurrency: 4,
    seconds: 60,
  };

  test('counts what succeeded and what did not, and names the first failure', async () => {
    let requests = 0;
    const outcome = await run(puts, (request, response) => {
      request.resume().on('end', () => {
        response.statusCode = ++requests % 3 === 0 ? 503 : 200;
        response.end(
          response.statusCode === 503 ? '<Error><Code>SlowDown</Code><Message>m</Message></Error>' : '',
        );
      });
    });
    expect(requests).toBe(30);
    expect(outcome).toMatchObject({
      operations: 20,
      failed: 10,
      bytes: 20_000,
      failure: 'PUT: 503 SlowDown: m',
    });
    expect(outcome.written.length).toBeGreaterThan(2);
    expect(outcome.p99Ms).toBeGreaterThanOrEqual(outcome.p50Ms);
    expect(outcome.maxMs).toBeGreaterThanOrEqual(outcome.p99Ms);
  });

  test('goes on after a connection was closed', async () => {
    let requests = 0;
    const outcome = await run(puts, (request, response) => {
      request.resume().on('end', () => {
        if (++requests % 5 === 0) request.socket.destroy();
        else response.setHeader('connection', requests % 4 === 0 ? 'close' : 'keep-alive').end();
      });
    });
    expect([outcome.operations, outcome.failed]).toEqual([24, 6]);
  });

  test('takes a short answer for a failure', async () => {
    const task: Task = {
      kind: 'load',
      load: { kind: 'get', objects: { prefix: 'g/', count: 1, size: 10 } },
      concurrency: 1,
      seconds: 1,
    };
    const outcome = await run(task, (_, response) => response.end('9 of them'));
    expect(outcome.operations).toBe(0);
    expect(outcome.failure).toBe('GET of 10 bytes gave 9');
  });

  test('that verifies sees one wrong byte', async () => {
    const objects = { prefix: 'v/', count: 2, size: 5000 };
    const verify: Task = { kind: 'verify', objects, numbers: [0, 1] };
    await expect(
      run(verify, (request, response) => {
        const number = request.url!.endsWith(keyOf('v/', 1)) ? 1 : 0;
        const body = Buffer.from(contentOf(number, objects.size));
        body[4999]! ^= number;
        response.end(body);
      }),
    ).rejects.toThrow(`${keyOf('v/', 1)} does not read back`);
  });

  test('breaks off what is under way when it is to be abandoned', async () => {
    const task: Task = {
      kind: 'load',
      load: { kind: 'putRepeated', prefix: 'a/', size: 2 ** 40 },
      concurrency: 3,
      seconds: 1,
      abandon: true,
    };
    let received = 0;
    const outcome = await run(task, (request) => {
      request.on('data', (piece: Buffer) => (received += piece.length)).on('error', () => {});
    });
    expect([outcome.operations, outcome.failed]).toEqual([0, 0]);
    expect(outcome.bytes).toBeGreaterThan(0);
    expect(received).toBeGreaterThan(0);
  });
});
