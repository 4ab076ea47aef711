import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { History, abortUploads } from '../support/history.ts';
import { clientOf, startServer } from '../support/server.ts';
import type { Server } from '../support/server.ts';

/** 200 for a full run; fewer keep the everyday run short. */
const ROUNDS = Number(process.env['SHARDWAY_CRASH_ROUNDS'] ?? 20);
const TIMEOUTS = { connectionTimeout: 2000, requestTimeout: 20_000 };

/** Lets clients write and kills the gateway, again and again; after each restart everything is read and compared. */
async function crashAgainAndAgain(
  data: string,
  history: History,
  clientCount: number,
  during: (server: Server) => Promise<unknown> = async () => undefined,
): Promise<Server> {
  let server = await startServer({ data });
  await clientOf(server, TIMEOUTS).send(new CreateBucketCommand({ Bucket: 'crash' }));
  for (let round = 0; round < ROUNDS; round++) {
    const s3 = clientOf(server, TIMEOUTS);
    let stopped = false;
    const clients = Array.from({ length: clientCount }, (_, i) =>
      history.client(s3, `client-${i}`, () => stopped),
    );
    // It dies with the gateway, as a rule.
    const work = during(server).catch(() => undefined);
    await sleep(20 + Math.random() * 900);
    await server.kill();
    stopped = true;
    await Promise.all([...clients, work]);
    s3.destroy();
    server = await startServer({ data });
    const reader = clientOf(server, TIMEOUTS);
    await history.verify(reader);
    reader.destroy();
  }
  expect(history.acknowledged).toBeGreaterThan(ROUNDS);
  return server;
}

interface Details {
  readonly chunks: number;
  readonly storedShards: number;
  readonly bytes: number;
}

/** Nothing is missing, damaged or left over: six shards for every chunk, counted on the disks and not in the metadata. Returns their bytes. */
async function assertWhole(server: Server, data: string): Promise<{ details: Details; shardBytes: number }> {
  await server.command('repair');
  const report = JSON.parse((await server.command('check', '--json')).stdout) as { details: Details };
  expect(report).toMatchObject({
    ok: true,
    details: { badObjects: 0, orphanShards: 0, missingShards: 0, damagedShards: 0 },
  });
  const files = await readdir(join(data, 'providers'), { recursive: true, withFileTypes: true });
  const shards = files.filter((file) => file.isFile() && /^[0-9a-f]{32}\.\d+$/.test(file.name));
  expect(shards).toHaveLength(6 * report.details.chunks);
  const sizes = await Promise.all(shards.map(({ parentPath, name }) => stat(join(parentPath, name))));
  return { details: report.details, shardBytes: sizes.reduce((sum, { size }) => sum + size, 0) };
}

test(`kill -9 at ${ROUNDS} random points loses nothing acknowledged, tears nothing, leaves no orphan`, async () => {
  const work = await mkdtemp(join(tmpdir(), 'shardway-crash-'));
  const data = join(work, 'data');
  const history = new History('crash', Math.random);
  const server = await crashAgainAndAgain(data, history, 8);
  const s3 = clientOf(server, TIMEOUTS);
  await abortUploads(s3, 'crash');
  await assertWhole(server, data);
  await history.verify(s3);
  await server.stop();
  await rm(work, { recursive: true, force: true });
});

test(`kill -9 at ${ROUNDS} random points while packs are filled, emptied and compacted`, async () => {
  const work = await mkdtemp(join(tmpdir(), 'shardway-crash-'));
  const data = join(work, 'data');
  const history = new History('crash', Math.random, {
    keysPerClient: 40,
    deletes: 0.5,
    multiparts: 0,
    bytes: (chance) => Math.floor(16 + chance * 8000),
  });
  // Repair begins with a whole pass of reclaim, compaction included.
  const server = await crashAgainAndAgain(data, history, 24, async (running) => {
    await sleep(Math.random() * 400);
    await running.admin('POST', '/v1/jobs/repair', { deep: false });
  });
  const s3 = clientOf(server, TIMEOUTS);
  // What the first pass moves leaves its old packs to the next.
  for (let pass = 0; pass < 3; pass++) await server.command('repair');
  const { details, shardBytes } = await assertWhole(server, data);
  await history.verify(s3);
  // Packs at least half full, coded 4+2, with the hashes: without compaction there would be many times as much.
  expect(shardBytes).toBeLessThan(2 * 1.5 * details.bytes + 1024 * 6 * details.chunks);
  await server.stop();
  await rm(work, { recursive: true, force: true });
});
