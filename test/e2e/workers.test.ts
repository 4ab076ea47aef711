/** Several processes that share the port and the store, as one gateway. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, ListBucketsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GatewayStatus } from '../../gateway/admin/types.ts';
import { History, abortUploads } from '../support/history.ts';
import { clientOf, freshClientOf, startServer } from '../support/server.ts';
import type { Server } from '../support/server.ts';

const WORKERS = 3;
/** Longer than it takes to be declared dead, and shorter than the parent waits before it ends one that stands still. */
const STANDSTILL_MS = 15_000;
/** A process stopped while it holds the store's write lock, which happens, keeps the others from being heard, too. */
const LOCKED_MS = 2_000;
const TIMEOUTS = { connectionTimeout: 5_000, requestTimeout: 60_000 };

let work: string;
let server: Server;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'shardway-workers-'));
  server = await start();
});
afterEach(async () => {
  await server.stop();
  await rm(work, { recursive: true, force: true });
});

const start = (): Promise<Server> =>
  startServer({
    data: join(work, 'data'),
    env: { SHARDWAY_WORKERS: String(WORKERS), SHARDWAY_LOG_LEVEL: 'info' },
  });

async function workersOf({ pid }: Server): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.trim().split(' ').filter(Boolean).map(Number);
}

/** The worker that answers on the admin listener, which is the one that does the background work. */
async function answering({ data }: Server): Promise<{ pid: number; url: string } | undefined> {
  const text = await readFile(join(data, 'admin.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as { pid: number; url: string });
}

const leaderOf = async (of: Server): Promise<number | undefined> => (await answering(of))?.pid;

/** Far longer than it takes: the machine may have much else to do. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds().catch(() => false)); tries++) {
    if (tries > 1_800) throw new Error(`${what} does not come to be:\n${events()}`);
    await sleep(100);
  }
}

/** What the gateway has said of itself, without its requests. */
const events = (): string =>
  server
    .log()
    .split('\n')
    .filter((line) => !line.includes('"msg":"request"'))
    .join('\n')
    .slice(-10_000);

/** All workers serve, and one of them answers for all. */
const whole = (): Promise<void> =>
  until('a whole gateway', async () => {
    const workers = await workersOf(server);
    const leader = await leaderOf(server);
    const { processes } = (await server.admin('GET', '/v1/status')) as GatewayStatus;
    const known = new Set(processes?.map(({ pid }) => pid));
    return (
      workers.length === WORKERS &&
      leader !== undefined &&
      known.size === WORKERS &&
      [leader, ...workers].every((pid) => known.has(pid))
    );
  });

interface Load {
  /** Ends it, waits until the gateway is whole, and compares all that there is with what was acknowledged. */
  end(): Promise<void>;
}

function load(history: History, round: number): Load {
  let stopped = false;
  const clients = Array.from({ length: 9 }, (_, i) => {
    const s3 = clientOf(server, TIMEOUTS);
    return history.client(s3, `client-${round}-${i}`, () => stopped).finally(() => s3.destroy());
  });
  return {
    async end() {
      stopped = true;
      await Promise.all(clients);
      await whole();
      const reader = clientOf(server, TIMEOUTS);
      await history.verify(reader);
      reader.destroy();
    },
  };
}

/** After reclaim and repair, no shard is missing and none too many. */
async function expectSound(): Promise<void> {
  const s3 = clientOf(server, TIMEOUTS);
  await abortUploads(s3, 'workers');
  s3.destroy();
  await server.command('repair');
  const report: unknown = JSON.parse((await server.command('check', '--json')).stdout);
  expect(report).toMatchObject({
    ok: true,
    details: { badObjects: 0, orphanShards: 0, missingShards: 0, damagedShards: 0 },
  });
}

test('workers killed under load: nothing acknowledged is lost, the port stays served, one leads', async () => {
  const history = new History('workers', Math.random);
  const fresh = freshClientOf(server, server);
  await fresh.send(new CreateBucketCommand({ Bucket: 'workers' }));
  for (let round = 0; round < 3; round++) {
    const under = load(history, round);
    await sleep(500 + Math.random() * 1_000);
    const leader = await leaderOf(server);
    const workers = await workersOf(server);
    process.kill(round === 0 ? leader! : workers.find((pid) => pid !== leader)!, 'SIGKILL');
    for (let asked = 0; asked < 5; asked++) {
      // Made after the death, so that it meets one who lives.
      await sleep(50);
      const abortSignal = AbortSignal.timeout(30_000);
      const { Buckets } = await fresh.send(new ListBucketsCommand({}), { abortSignal });
      expect(Buckets).toHaveLength(1);
    }
    await under.end();
  }
  expect(history.acknowledged).toBeGreaterThan(50);
  // The first scrub of a new store is due at once, and no other for a week.
  expect(server.log().match(/background scrubbed/g)).toHaveLength(1);
  await expectSound();
  fresh.destroy();
});

/** Stops a process for long enough, at a moment when the others can write without it. */
async function standStill(pid: number, history: History): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    process.kill(pid, 'SIGSTOP');
    await sleep(LOCKED_MS / 4);
    const { acknowledged } = history;
    await sleep(LOCKED_MS);
    const isFree = history.acknowledged > acknowledged;
    if (isFree) await sleep(STANDSTILL_MS - LOCKED_MS);
    process.kill(pid, 'SIGCONT');
    if (isFree) return;
    await sleep(LOCKED_MS);
  }
  throw new Error('the others never wrote without it');
}

test('a worker that stands still is taken for dead, harms nothing when it goes on, and starts anew', async () => {
  const history = new History('workers', Math.random);
  const fresh = freshClientOf(server, server);
  await fresh.send(new CreateBucketCommand({ Bucket: 'workers' }));
  const under = load(history, 0);
  await sleep(1_000);
  // The one that leads: another has to take over what it does.
  const still = (await leaderOf(server))!;
  await standStill(still, history);
  await until('the end of the one that stood still', async () => !(await workersOf(server)).includes(still));
  expect(server.log()).toMatch(/was taken for dead/);
  await under.end();
  expect(await leaderOf(server)).not.toBe(still);
  await expectSound();
  fresh.destroy();
});

test('with their parent killed the workers end, and the next start takes over at once', async () => {
  const history = new History('workers', Math.random);
  const fresh = freshClientOf(server, server);
  await fresh.send(new CreateBucketCommand({ Bucket: 'workers' }));
  fresh.destroy();
  const under = load(history, 0);
  await sleep(1_500);
  await server.kill();
  server = await start();
  await under.end();
  await expectSound();
});

test('keys are made and removed for all workers at once, and metrics are those of all', async () => {
  const root = freshClientOf(server, server);
  await root.send(new CreateBucketCommand({ Bucket: 'workers' }));
  const made = JSON.parse((await server.command('key', 'create', 'backup', '--json')).stdout) as {
    accessKey: string;
    secretKey: string;
  };
  await sleep(1_000);
  const client = freshClientOf(server, made);
  for (let asked = 0; asked < 30; asked++) {
    await client.send(new PutObjectCommand({ Bucket: 'workers', Key: `${asked}`, Body: 'text' }));
  }
  const puts = async (): Promise<string | undefined> => {
    const url = (await answering(server))?.url;
    const metrics = await (await fetch(new URL('/metrics', url))).text();
    return /^shardway_s3_requests_total\{operation="PutObject",status="200"\} (\d+)$/m.exec(metrics)?.[1];
  };
  await until('the metrics of all', async () => (await puts()) === '30');
  // What a worker has counted and told stays counted when it dies; the one that answers last.
  const leader = await leaderOf(server);
  for (const pid of (await workersOf(server)).toSorted(
    (a, b) => Number(a === leader) - Number(b === leader),
  )) {
    process.kill(pid, 'SIGKILL');
    await until('another worker', async () => !(await workersOf(server)).includes(pid));
    await whole();
    expect(await puts()).toBe('30');
  }
  await server.command('key', 'remove', made.accessKey);
  await sleep(1_000);
  for (let asked = 0; asked < 30; asked++) {
    await expect(client.send(new ListBucketsCommand({}))).rejects.toMatchObject({
      name: 'InvalidAccessKeyId',
    });
  }
  client.destroy();
  root.destroy();
});

test('workers are replaced one after another without a failed request', async () => {
  const s3 = clientOf(server, TIMEOUTS);
  await s3.send(new CreateBucketCommand({ Bucket: 'workers' }));
  const load = { stopped: false };
  let asked = 0;
  const failures: unknown[] = [];
  const clients = Array.from({ length: 24 }, async (_, client) => {
    while (!load.stopped) {
      asked++;
      const put = new PutObjectCommand({ Bucket: 'workers', Key: `${client}`, Body: `${asked}` });
      await s3.send(put).catch((error: unknown) => failures.push(error));
    }
  });
  for (let round = 0; round < 4; round++) {
    const before = await workersOf(server);
    process.kill(server.pid, 'SIGHUP');
    await until('other workers', async () => {
      const now = await workersOf(server);
      return now.length === WORKERS && now.every((pid) => !before.includes(pid));
    });
  }
  load.stopped = true;
  await Promise.all(clients);
  expect(failures).toEqual([]);
  expect(asked).toBeGreaterThan(100);
  await whole();
  s3.destroy();
});
