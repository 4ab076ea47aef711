import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { History, abortUploads } from '../support/history.ts';
import { clientOf, startServer } from '../support/server.ts';

/** 200 for a full run; fewer keep the everyday run short. */
const ROUNDS = Number(process.env['SHARDWAY_CRASH_ROUNDS'] ?? 20);
const CLIENTS = 8;
const TIMEOUTS = { connectionTimeout: 2000, requestTimeout: 20_000 };

test(`kill -9 at ${ROUNDS} random points loses nothing acknowledged, tears nothing, leaves no orphan`, async () => {
  const work = await mkdtemp(join(tmpdir(), 'shardway-crash-'));
  const data = join(work, 'data');
  const history = new History('crash', Math.random);
  let server = await startServer({ data });
  await clientOf(server, TIMEOUTS).send(new CreateBucketCommand({ Bucket: 'crash' }));
  for (let round = 0; round < ROUNDS; round++) {
    const s3 = clientOf(server, TIMEOUTS);
    let stopped = false;
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      history.client(s3, `client-${i}`, () => stopped),
    );
    await sleep(20 + Math.random() * 900);
    await server.kill();
    stopped = true;
    await Promise.all(clients);
    s3.destroy();
    server = await startServer({ data });
    const reader = clientOf(server, TIMEOUTS);
    await history.verify(reader);
    reader.destroy();
  }
  expect(history.acknowledged).toBeGreaterThan(ROUNDS);

  const s3 = clientOf(server, TIMEOUTS);
  await abortUploads(s3, 'crash');
  await server.command('repair');
  const report = JSON.parse((await server.command('check', '--json')).stdout) as {
    details: { chunks: number; storedShards: number };
  };
  expect(report).toMatchObject({
    ok: true,
    details: { badObjects: 0, orphanShards: 0, missingShards: 0, damagedShards: 0 },
  });
  // Counted on the disks, not in the metadata: six shards for every chunk that exists, and nothing else.
  const files = await readdir(join(data, 'providers'), { recursive: true, withFileTypes: true });
  const shards = files.filter((file) => file.isFile() && /^[0-9a-f]{32}\.\d+$/.test(file.name));
  expect(shards).toHaveLength(6 * report.details.chunks);
  await history.verify(s3);
  await server.stop();
  await rm(work, { recursive: true, force: true });
});
