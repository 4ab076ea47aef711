import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import request from 'supertest';
import { beforeEach, describe, expect, test } from 'vitest';
import { createAdminServer } from '../../gateway/admin/server.ts';
import type { GatewayStatus, Job, KeyInfo, Operator } from '../../gateway/admin/types.ts';

const TOKEN = 'the token of this test';
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

describe('admin listener', () => {
  let ready: boolean;
  let keys: KeyInfo[];
  let jobs: Record<string, Job>;
  let server: Server;

  beforeEach(() => {
    ready = true;
    keys = [];
    jobs = {};
    const operator: Operator = {
      ready: () => ready,
      network: () => undefined,
      status: async () => ({ version: '1' }) as GatewayStatus,
      jobs,
      keys: {
        list: () => keys,
        create: async (displayName) => {
          if (displayName === '') throw new Error('a key needs a name');
          keys.push({ accessKey: 'AK', displayName, created: 1, enabled: true, root: false });
          return { accessKey: 'AK', secretKey: 'shown once' };
        },
        remove: async (accessKey) => {
          const before = keys.length;
          keys = keys.filter((key) => key.accessKey !== accessKey);
          return keys.length < before;
        },
        setEnabled: async (accessKey, enabled) => {
          keys = keys.map((key) => (key.accessKey === accessKey ? { ...key, enabled } : key));
          return keys.some((key) => key.accessKey === accessKey);
        },
      },
    };
    server = createAdminServer({ operator, registry: new Registry(), token: TOKEN });
  });

  test('health, readiness and metrics are open', async () => {
    await request(server).get('/healthz').expect(200, 'ok\n');
    await request(server).get('/readyz').expect(200);
    ready = false;
    await request(server).get('/readyz').expect(503);
    await request(server)
      .get('/metrics')
      .expect(200)
      .expect('content-type', /text\/plain/);
  });

  test.each([
    ['get', '/v1/status'],
    ['get', '/v1/keys'],
    ['post', '/v1/keys'],
    ['put', '/v1/keys/AK'],
    ['delete', '/v1/keys/AK'],
    ['post', '/v1/jobs/repair'],
    ['get', '/v1/anything'],
  ] as const)('%s %s without the token is refused before anything is done', async (method, path) => {
    jobs['repair'] = async () => {
      throw new Error('must not run');
    };
    for (const authorization of ['', 'Bearer ', 'Bearer wrong', `Basic ${TOKEN}`, TOKEN]) {
      await request(server)[method](path).set({ authorization }).send({ name: 'x' }).expect(401);
    }
    expect(keys).toEqual([]);
  });

  test('keys are made, listed, disabled and removed', async () => {
    await request(server).post('/v1/keys').set(AUTHORIZED).send({ name: 'backup' }).expect(201);
    await request(server).put('/v1/keys/AK').set(AUTHORIZED).send({ enabled: false }).expect(204);
    const listed = await request(server).get('/v1/keys').set(AUTHORIZED).expect(200);
    expect(listed.body).toMatchObject([{ accessKey: 'AK', displayName: 'backup', enabled: false }]);
    expect(listed.text).not.toContain('shown once');
    await request(server).put('/v1/keys/AK').set(AUTHORIZED).send({ enabled: 'no' }).expect(400);
    await request(server)
      .post('/v1/keys')
      .set(AUTHORIZED)
      .send({})
      .expect(400, { error: 'a key needs a name' });
    await request(server).delete('/v1/keys/AK').set(AUTHORIZED).expect(204);
    await request(server).delete('/v1/keys/AK').set(AUTHORIZED).expect(404);
  });

  test.each([
    ['get', '/v1/network'],
    ['get', '/v1/providers'],
    ['get', '/v1/providers/x'],
    ['post', '/v1/providers/x/commands'],
    ['get', '/v1/hypernodes'],
    ['get', '/v1/tokens'],
    ['post', '/v1/tokens'],
    ['get', '/v1/durability'],
  ] as const)('%s %s asks for the token, then says that the network is off', async (method, path) => {
    await request(server)[method](path).expect(401);
    const body = { command: 'drain', role: 'provider', uses: 1, hours: 1 };
    const answer = await request(server)[method](path).set(AUTHORIZED).send(body).expect(409);
    expect(answer.body).toEqual({ error: expect.stringContaining('SHARDWAY_NETWORK_LISTEN') });
  });

  test.each([
    ['/v1/providers/x/commands', { command: 'gone' }],
    ['/v1/providers/x/commands', {}],
    ['/v1/hypernodes/x/commands', { command: 'drain' }],
    ['/v1/tokens', { role: 'gateway', uses: 1, hours: 1 }],
    ['/v1/tokens', { role: 'provider', uses: 0, hours: 1 }],
    ['/v1/tokens', { role: 'provider', uses: 1.5, hours: 1 }],
    ['/v1/tokens', { role: 'provider', uses: 1, hours: '1' }],
  ])('POST %s %j is refused', async (path, body) => {
    await request(server).post(path).set(AUTHORIZED).send(body).expect(400);
  });

  test('a job streams progress and ends with its report', async () => {
    jobs['repair'] = async (options, onProgress) => {
      onProgress({ job: 'repair', done: 1, total: 2, bytes: 10 });
      return { ok: true, summary: 'done', details: { ...options } };
    };
    const { text } = await request(server)
      .post('/v1/jobs/repair')
      .set(AUTHORIZED)
      .send({ deep: true })
      .expect(200);
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toContainEqual({ progress: { job: 'repair', done: 1, total: 2, bytes: 10 } });
    expect(lines.at(-1)).toEqual({ report: { ok: true, summary: 'done', details: { deep: true } } });
  });

  test('a job that fails says why, and an unknown one is not found', async () => {
    jobs['check'] = async () => {
      throw new Error('no disk');
    };
    const { text } = await request(server).post('/v1/jobs/check').set(AUTHORIZED).send({}).expect(200);
    expect(JSON.parse(text.trim().split('\n').at(-1) ?? '')).toEqual({ error: 'no disk' });
    for (const name of ['nothing', '__proto__', 'constructor']) {
      await request(server).post(`/v1/jobs/${name}`).set(AUTHORIZED).send({}).expect(404);
    }
  });
});
