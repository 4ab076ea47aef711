/** Every route of the table, asked by everybody who must not get in: no answer but a refusal, and no call to the object store. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthenticator } from '../../gateway/auth/sigv4.ts';
import type { ObjectStore } from '../../gateway/engine/types.ts';
import { createHttpServer } from '../../gateway/http/server.ts';
import type { HttpServer } from '../../gateway/http/server.ts';
import { createS3Handler } from '../../gateway/s3/dispatch.ts';
import { ENTRIES } from '../../gateway/s3/table.ts';
import { attacker, headText, presign, send, sign } from './wire.ts';
import type { Attacker, Headers, Keys, Request } from './wire.ts';

const KEYS: Keys = { accessKey: 'ROOTKEY', secretKey: 'a secret of the test' };
const DISABLED: Keys = { accessKey: 'DISABLED', secretKey: 'another secret of it' };
const HOUR_MS = 3_600_000;
const PATHS = { service: '/', bucket: '/bucket', object: '/bucket/key' };

/** Who may act, and the one that was switched off; every call of the store is a finding. */
const calls: string[] = [];
const store = new Proxy({} as ObjectStore, {
  get: (_target, name) => (): Promise<never> => {
    calls.push(String(name));
    return Promise.reject(new Error('the store was called'));
  },
});

let server: HttpServer;
let client: Attacker;
beforeAll(async () => {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const authenticator = createAuthenticator({
    // A disabled or removed key is one that the credential store does not find.
    credentials: {
      find: (accessKey) =>
        Promise.resolve(
          accessKey === KEYS.accessKey ? { ...KEYS, owner: 'owner', displayName: 'name' } : undefined,
        ),
    },
    region: 'us-east-1',
    service: 's3',
    clock: { now: () => Date.now() },
  });
  const handle = createS3Handler({
    store,
    authenticator,
    authorizer: { allows: () => true },
    region: 'us-east-1',
    domain: undefined,
    log,
  });
  server = createHttpServer({ handle, log, uploadMemory: 1 << 26 });
  const { port } = await server.listen(0, '127.0.0.1');
  client = attacker(`http://127.0.0.1:${port}`, KEYS);
});
afterAll(() => server.drain(0));

type Route = Request & { readonly query: string; readonly headers: Headers };

/** What it takes to come to an operation. */
function routeOf(entry: (typeof ENTRIES)[number]): Route {
  return {
    method: entry.method,
    path: PATHS[entry.target],
    query: (entry.query ?? []).map((name) => (name.includes('=') ? name : `${name}=1`)).join('&'),
    headers: (entry.headers ?? []).map((name) => [name, '/bucket/key'] as const),
    body: 'evil',
  };
}

function bare(endpoint: string, route: Route, headers: Headers, query = ''): string {
  const parameters = [route.query, query].filter((part) => part !== '').join('&');
  const target = parameters === '' ? route.path : `${route.path}?${parameters}`;
  const all: Headers = [
    ['host', new URL(endpoint).host],
    ...route.headers,
    ...headers,
    ['content-length', '4'],
  ];
  return `${route.method} ${target} HTTP/1.1\r\n${headText(all)}\r\n`;
}

const FORMS: Record<string, (endpoint: string, route: Route) => string> = {
  nothing: (at, route) => bare(at, route, []),
  'an empty header': (at, route) => bare(at, route, [['authorization', '']]),
  garbage: (at, route) => bare(at, route, [['authorization', 'garbage']]),
  basic: (at, route) => bare(at, route, [['authorization', 'Basic Uk9PVEtFWTp4']]),
  'signature version 2': (at, route) => bare(at, route, [['authorization', `AWS ${KEYS.accessKey}:abc`]]),
  'signature version 2 in the query': (at, route) =>
    bare(at, route, [], `AWSAccessKeyId=${KEYS.accessKey}&Signature=abc&Expires=9999999999`),
  'a credential alone in the query': (at, route) =>
    bare(at, route, [], `X-Amz-Credential=${KEYS.accessKey}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request`),
  'a wrong signature': (at, route) => sign(at, KEYS, { ...route, signature: 'a'.repeat(64) }).head,
  'an empty signature': (at, route) => sign(at, KEYS, { ...route, signature: '' }).head,
  'a wrong secret': (at, route) => sign(at, { ...KEYS, secretKey: 'guess' }, route).head,
  'an unknown key': (at, route) => sign(at, { ...KEYS, accessKey: 'NOBODY' }, route).head,
  'a key named like an object’s property': (at, route) =>
    sign(at, { ...KEYS, accessKey: '__proto__' }, route).head,
  'a disabled key': (at, route) => sign(at, DISABLED, route).head,
  'an hour ago': (at, route) => sign(at, KEYS, { ...route, at: Date.now() - HOUR_MS }).head,
  'an unsigned x-amz header': (at, route) =>
    sign(at, KEYS, { ...route, unsigned: [['x-amz-meta-a', 'b']] }).head,
  'an expired link': (at, route) => presign(at, KEYS, { ...route, at: Date.now() - HOUR_MS }),
  'a link with a wrong signature': (at, route) => presign(at, KEYS, { ...route, signature: '0'.repeat(64) }),
  'a link and an unsigned x-amz header': (at, route) =>
    presign(at, KEYS, { ...route, unsigned: [['x-amz-acl', 'public-read']] }),
  'a link and a header': (at, route) =>
    sign(at, KEYS, {
      ...route,
      query: [route.query, 'X-Amz-Algorithm=AWS4-HMAC-SHA256'].filter((part) => part !== '').join('&'),
    }).head,
  'a fabricated signature over unsigned chunks': (at, route) =>
    sign(at, KEYS, {
      ...route,
      sha256: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      signature: 'f'.repeat(64),
    }).head,
};

describe('nobody gets in', () => {
  test.each(Object.keys(FORMS))('with %s: 403 on every route, and the store is not called', async (form) => {
    const statuses = await Promise.all(
      ENTRIES.map(async (entry) => {
        const head = FORMS[form]!(client.endpoint, routeOf(entry));
        const reply = await send(client.endpoint, `${head}evil`, { head: entry.method === 'HEAD' });
        return `${entry.name} ${reply.status}`;
      }),
    );
    expect(statuses).toEqual(ENTRIES.map(({ name }) => `${name} 403`));
    expect(calls).toEqual([]);
  });

  test('with the right key the store is called: the routes above were real', async () => {
    const reply = await client.get('/bucket/key');
    expect(reply.code).toBe('InternalError');
    expect(calls).not.toEqual([]);
    calls.length = 0;
  });

  test('100 Continue is not sent before the signature is right', async () => {
    const route: Request = { method: 'PUT', path: '/bucket/key', headers: [['expect', '100-continue']] };
    const { head } = sign(client.endpoint, KEYS, { ...route, length: 4, signature: 'b'.repeat(64) });
    const reply = await client.raw(head);
    expect(reply.status).toBe(403);
    expect(reply.raw.toString('latin1').startsWith('HTTP/1.1 403')).toBe(true);
  });
});
