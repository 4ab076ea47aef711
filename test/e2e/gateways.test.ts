/** Several gateways over one store in Redis, as behind a load balancer. */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { History, abortUploads } from '../support/history.ts';
import { freePort, startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { absent } from '../support/programs.ts';
import { clientOf, startServer } from '../support/server.ts';
import type { Server } from '../support/server.ts';

/** What of a data folder all gateways must have alike. */
const ALIKE = ['keys', 'account.json', 'root-credentials.json'];
const MISSING = absent('redis-server');
const TIMEOUTS = { connectionTimeout: 5_000, requestTimeout: 60_000 };

let work: string;
let redis: RedisServer;
let servers: Server[];

beforeEach(async () => {
  if (MISSING) return;
  work = await mkdtemp(join(tmpdir(), 'shardway-gateways-'));
  redis = await startRedis();
  servers = [await start(0)];
  await mkdir(join(work, '1'), { mode: 0o700 });
  for (const name of ALIKE) await cp(join(work, '0', name), join(work, '1', name), { recursive: true });
  servers.push(await start(1));
});
afterEach(async () => {
  if (MISSING) return;
  for (const server of servers) await server.stop();
  await redis.stop();
  await rm(work, { recursive: true, force: true });
});

const start = (number: number, env: Record<string, string> = {}): Promise<Server> =>
  startServer({
    data: join(work, String(number)),
    env: {
      ...env,
      SHARDWAY_METADATA: redis.url,
      SHARDWAY_PROVIDERS: Array.from({ length: 6 }, (_, i) => join(work, 'providers', String(i))).join(','),
    },
  });

/** Connects to whichever gateway answers, in turn. */
async function balance(): Promise<{ server: TcpServer; endpoint: string }> {
  let turn = 0;
  const serve = (client: Socket, tries: number): void => {
    const { port, hostname } = new URL(servers[turn++ % servers.length]!.endpoint);
    const gateway = connect(Number(port), hostname, () => {
      client.pipe(gateway).pipe(client);
    });
    let isOpen = false;
    gateway.once('connect', () => (isOpen = true));
    gateway.on('error', () => (isOpen || tries === 0 ? client.destroy() : serve(client, tries - 1)));
    client.on('error', () => gateway.destroy());
    gateway.on('close', () => isOpen && client.destroy());
  };
  const server = createServer({ pauseOnConnect: true }, (client) => serve(client, 3));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds().catch(() => false)); tries++) {
    if (tries > 300) throw new Error(`${what} does not come to be`);
    await sleep(200);
  }
}

test.skipIf(MISSING)(
  'what one gateway has acknowledged the other sees at once; one takes over from the other, and nothing is lost',
  async () => {
    const [one, two] = servers as [Server, Server];
    const [first, second] = [clientOf(one, TIMEOUTS), clientOf(two, TIMEOUTS)];
    await first.send(new CreateBucketCommand({ Bucket: 'gateways' }));
    for (let key = 0; key < 30; key++) {
      const object = { Bucket: 'gateways', Key: `seen/${key % 3}` };
      await first.send(new PutObjectCommand({ ...object, Body: `${key}` }));
      const { Body } = await second.send(new GetObjectCommand(object));
      expect(await Body!.transformToString()).toBe(`${key}`);
    }
    const history = new History('gateways', Math.random);
    let stopped = false;
    const clients = [one, two].flatMap((server, of) =>
      Array.from({ length: 4 }, (_, i) =>
        history.client(clientOf(server, TIMEOUTS), `${of}-${i}`, () => stopped),
      ),
    );
    await sleep(2_000);
    // The second does no background work while the first lives.
    await expect(two.command('check')).rejects.toThrow(`ask the one with the data folder ${one.data} on `);
    expect(await two.admin('GET', '/v1/status')).toMatchObject({
      processes: [
        { data: two.data, pid: two.pid, self: true, background: false },
        { data: one.data, pid: one.pid, self: false, background: true },
      ],
    });
    const metrics = await (await fetch(new URL('/metrics', two.adminUrl))).text();
    expect(metrics).toMatch(/^shardway_background_work 0$/m);
    expect(metrics).toMatch(/^shardway_processes 2$/m);
    await one.kill();
    await sleep(2_000);
    stopped = true;
    await Promise.all(clients);
    await until('the take-over', async () => {
      await two.command('repair');
      return true;
    });
    servers[0] = await start(0);
    for (const server of servers) {
      const reader = clientOf(server, TIMEOUTS);
      for (let key = 0; key < 3; key++)
        await reader.send(new GetObjectCommand({ Bucket: 'gateways', Key: `seen/${key}` }));
      reader.destroy();
    }
    expect(history.acknowledged).toBeGreaterThan(20);
    await abortUploads(second, 'gateways');
    await two.command('repair');
    const report: unknown = JSON.parse((await two.command('check', '--json')).stdout);
    expect(report).toMatchObject({ ok: true, details: { badObjects: 0, orphanShards: 0, missingShards: 0 } });
    first.destroy();
    second.destroy();
  },
);

test.skipIf(MISSING)(
  'a gateway that stood still while another declared it dead starts anew in its place',
  async () => {
    const [one, former] = servers as [Server, Server];
    await former.stop();
    const two = await start(1, { SHARDWAY_LISTEN: `127.0.0.1:${await freePort()}` });
    servers[1] = two;
    const s3 = clientOf(two, TIMEOUTS);
    await s3.send(new CreateBucketCommand({ Bucket: 'gateways' }));
    await s3.send(new PutObjectCommand({ Bucket: 'gateways', Key: 'before', Body: 'before' }));
    process.kill(two.pid, 'SIGSTOP');
    // Longer than it takes to be declared dead.
    await sleep(14_000);
    process.kill(two.pid, 'SIGCONT');
    await until('its new start', async () => {
      await s3.send(new PutObjectCommand({ Bucket: 'gateways', Key: 'after', Body: 'x'.repeat(1_000_000) }));
      return two.log().includes('was taken for dead');
    });
    await until('its service', async () => {
      await s3.send(new PutObjectCommand({ Bucket: 'gateways', Key: 'after', Body: 'x'.repeat(1_000_000) }));
      return true;
    });
    await one.command('repair');
    expect(JSON.parse((await one.command('check', '--json')).stdout)).toMatchObject({ ok: true });
    s3.destroy();
  },
);

test.skipIf(MISSING)('gateways are restarted one after another without a failed request', async () => {
  const balancer = await balance();
  const [one] = servers as [Server, Server];
  const s3 = new S3Client({
    endpoint: balancer.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 6,
    credentials: { accessKeyId: one.accessKey, secretAccessKey: one.secretKey },
  });
  await s3.send(new CreateBucketCommand({ Bucket: 'gateways' }));
  const load = { stopped: false, written: 0 };
  const clients = Array.from({ length: 6 }, async (_, client) => {
    while (!load.stopped) {
      const object = { Bucket: 'gateways', Key: `${client}` };
      const text = `${load.written++}`;
      await s3.send(new PutObjectCommand({ ...object, Body: text }));
      const { Body } = await s3.send(new GetObjectCommand(object));
      expect(await Body!.transformToString()).toBe(text);
    }
  });
  for (const number of [0, 1]) {
    await sleep(1_000);
    await servers[number]!.stop();
    servers[number] = await start(number);
  }
  load.stopped = true;
  await Promise.all(clients);
  expect(load.written).toBeGreaterThan(20);
  s3.destroy();
  await new Promise((resolve) => balancer.server.close(resolve));
});

/** 10,000 for a full run; fewer keep the everyday run short. */
const RACES = Number(process.env['SHARDWAY_RACES'] ?? 500);
const RACES_AT_ONCE = 16;

test.skipIf(MISSING)(
  `of writes that race for a key through both gateways, ${RACES} times, exactly one wins`,
  async () => {
    const clients = servers.map((server) => clientOf(server, TIMEOUTS));
    await clients[0]!.send(new CreateBucketCommand({ Bucket: 'races' }));
    let next = 0;
    const race = async (): Promise<void> => {
      while (next < RACES) {
        const Key = `race/${next++}`;
        const outcomes = await Promise.all(
          [0, 1, 0, 1].map(async (gateway, racer) => {
            const put = new PutObjectCommand({ Bucket: 'races', Key, Body: `${racer}`, IfNoneMatch: '*' });
            return await clients[gateway]!.send(put).then(
              () => `${racer}`,
              (error: { name: string }) => error.name,
            );
          }),
        );
        const winners = outcomes.filter((outcome) => /^\d$/.test(outcome));
        const { Body } = await clients[1]!.send(new GetObjectCommand({ Bucket: 'races', Key }));
        expect([winners, new Set(outcomes.filter((outcome) => !/^\d$/.test(outcome)))]).toEqual([
          [await Body!.transformToString()],
          new Set(['PreconditionFailed']),
        ]);
      }
    };
    await Promise.all(Array.from({ length: RACES_AT_ONCE }, race));
    for (const client of clients) client.destroy();
  },
);

test.skipIf(MISSING)(
  'Redis killed and started again under load loses nothing that was acknowledged',
  async () => {
    const [one, two] = servers as [Server, Server];
    const s3 = clientOf(one, TIMEOUTS);
    await s3.send(new CreateBucketCommand({ Bucket: 'restarts' }));
    const history = new History('restarts', Math.random);
    for (let round = 0; round < 3; round++) {
      let stopped = false;
      const clients = [one, two].flatMap((server, of) =>
        Array.from({ length: 4 }, (_, i) =>
          history.client(clientOf(server, TIMEOUTS), `${of}-${i}`, () => stopped),
        ),
      );
      await sleep(1_000 + Math.random() * 500);
      await redis.kill();
      await sleep(200);
      await redis.restart();
      stopped = true;
      await Promise.all(clients);
      await until('its service', async () => {
        await s3.send(new PutObjectCommand({ Bucket: 'restarts', Key: 'probe', Body: 'x' }));
        await s3.send(new DeleteObjectCommand({ Bucket: 'restarts', Key: 'probe' }));
        return true;
      });
      await history.verify(s3);
    }
    expect(history.acknowledged).toBeGreaterThan(20);
    s3.destroy();
  },
);

test.skipIf(MISSING)(
  'while Redis is away a gateway says that it is not ready, and ends in order',
  async () => {
    const [one, two] = servers as [Server, Server];
    const ready = async ({ adminUrl }: Server): Promise<number> =>
      (await fetch(new URL('/readyz', adminUrl))).status;
    expect(await ready(one)).toBe(200);
    await redis.kill();
    await until('the loss', async () => (await ready(one)) === 503 && (await ready(two)) === 503);
    expect(await one.admin('GET', '/v1/status')).toMatchObject({
      writable: false,
      metadataDurability: { reachable: false },
      providers: expect.any(Array) as unknown[],
    });
    expect((await fetch(new URL('/metrics', one.adminUrl))).status).toBe(200);
    servers = [one];
    await two.stop();
    await redis.restart();
    await until('the way back', async () => (await ready(one)) === 200);
    expect(one.log()).toContain('the metadata store can be reached again');
  },
);
