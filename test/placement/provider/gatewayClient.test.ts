import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NetworkError } from '../../../placement/network/errors.ts';
import { GatewayClient } from '../../../placement/network/gatewayClient.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { standingSchema } from '../../../placement/network/messages.ts';
import { signStatement } from '../../../placement/network/signed.ts';

const gateway = createIdentity();
let server: Server;
let client: GatewayClient;
let respond: (response: ServerResponse, path: string) => void;
let asked: string[];
/** Of the last request. */
let body: string;
let headers: IncomingHttpHeaders;

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    let said = '';
    request.on('data', (part: Buffer) => (said += part.toString()));
    request.on('end', () => {
      asked.push(request.url ?? '');
      body = said;
      ({ headers } = request);
      respond(response, request.url ?? '');
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  client = newClient();
});
afterEach(async () => {
  await client.close();
  server.close();
  server.closeAllConnections();
});

function newClient(limits = {}): GatewayClient {
  return new GatewayClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, limits);
}

function json(value: unknown, status = 200): (response: ServerResponse) => void {
  return (response) => response.writeHead(status).end(JSON.stringify(value));
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'success',
    (error: unknown) => (error instanceof NetworkError ? error.kind : String(error)),
  );
}

function heartbeat(): Promise<unknown> {
  return client.send('/network/v1/heartbeats', signStatement(gateway, 'heartbeat', {}), standingSchema);
}

const DESCRIPTION = { version: 1, id: gateway.id, publicKey: gateway.publicKey, time: 5 };

test('describes the gateway, and refuses one whose key does not make its name', async () => {
  respond = json(DESCRIPTION);
  expect(await client.describe()).toEqual(DESCRIPTION);
  respond = json({ ...DESCRIPTION, publicKey: createIdentity().publicKey });
  expect(await failure(client.describe())).toBe('BadIdentity');
});

test('notices the era', async () => {
  const notice = { version: 1, era: 3, opensAt: 1, closesAt: 2, beacon: 'ab'.repeat(32) };
  respond = json(notice);
  expect(await client.era()).toEqual(notice);
  expect(asked).toEqual(['/network/v1/era']);
});

test('gives back the error that the gateway names', async () => {
  const kinds = [
    'BadMessage',
    'BadSignature',
    'Refused',
    'NotApproved',
    'NotFound',
    'Conflict',
    'Unavailable',
  ];
  for (const kind of kinds) {
    respond = json({ kind, error: 'because\n\u0007of it' }, 400);
    expect(await failure(heartbeat())).toBe(kind);
    await expect(heartbeat()).rejects.toThrow('because??of it');
  }
});

test.each([
  [500, '<html>', 'Unavailable'],
  [429, '', 'Unavailable'],
  [400, '{"kind":"constructor","error":""}', 'BadMessage'],
  [404, '{"kind":1}', 'BadMessage'],
  [200, 'not JSON', 'BadMessage'],
  [200, '{"state":"made up"}', 'BadMessage'],
  [200, '{"state":"active","more":1}', 'BadMessage'],
])('an answer %i %s is %s', async (status, text, kind) => {
  respond = (response) => response.writeHead(status).end(text);
  expect(await failure(heartbeat())).toBe(kind);
});

test('a statement goes as it is; a report as its bare text, and who signed it in headers', async () => {
  respond = json({ state: 'active' });
  const statement = signStatement(gateway, 'heartbeat', { a: '"' });
  await client.send('/network/v1/heartbeats', statement, standingSchema);
  expect(JSON.parse(body)).toEqual(statement);
  expect(client.address).toBe('127.0.0.1');
  const report = signStatement(gateway, 'report', { a: 'ü"' });
  const intent = signStatement(gateway, 'report-intent', {});
  await client.report(report, intent);
  expect(body).toBe(report.body);
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'shardway-kind': 'report',
    'shardway-signer': report.signer,
    'shardway-signature': report.signature,
    'shardway-intent': Buffer.from(JSON.stringify(intent)).toString('base64url'),
  });
});

test('follows no redirect', async () => {
  respond = (response, path) =>
    path === '/elsewhere'
      ? json({ state: 'active' })(response)
      : response.writeHead(307, { location: '/elsewhere' }).end();
  expect(await failure(heartbeat())).toBe('BadMessage');
  expect(asked).toEqual(['/network/v1/heartbeats']);
});

test('an endless answer is cut', async () => {
  respond = (response) => {
    response.writeHead(200);
    const send = (): void => {
      while (!response.destroyed && response.write('a'.repeat(65_536)));
    };
    response.on('drain', send);
    send();
  };
  expect(await failure(client.describe())).toBe('BadMessage');
});

test('huge headers, a blackhole, a trickle and a gateway that is gone are Unavailable', async () => {
  await client.close();
  client = newClient({ answerMs: 200, connectMs: 200 });
  respond = (response) => response.writeHead(200, { 'x-a': 'a'.repeat(100_000) }).end();
  expect(await failure(client.describe())).toBe('Unavailable');
  respond = () => undefined;
  expect(await failure(client.describe())).toBe('Unavailable');
  respond = (response) => {
    response.writeHead(200);
    const dripping = setInterval(() => response.write(' '), 10);
    response.on('close', () => clearInterval(dripping));
  };
  expect(await failure(client.describe())).toBe('Unavailable');
  server.closeAllConnections();
  server.close();
  expect(await failure(client.describe())).toBe('Unavailable');
});

test.each(['', 'gateway', 'ftp://h', 'http://u:p@h', 'http://h/path', 'http://h/?q', 'http://h/#f'])(
  'takes no such address: %s',
  (url) => {
    expect(() => new GatewayClient(url)).toThrow(NetworkError);
  },
);
