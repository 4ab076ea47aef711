import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { clientOf, startServer } from '../support/server.ts';
import type { Server } from '../support/server.ts';

const CLIENTS = 64;
/** 1 GiB each fills a disk; the bound does not depend on it, so that the everyday run is smaller. */
const BYTES = Number(process.env['SHARDWAY_MEMORY_MIB'] ?? 48) * 1024 * 1024;
const RESIDENT_MAX = 512 * 1024 * 1024;

async function resident(server: Server): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

async function* pieces(total: number): AsyncGenerator<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 7);
  for (let sent = 0; sent < total; sent += piece.length) yield piece;
}

test(`${CLIENTS} clients upload ${BYTES / 1024 / 1024} MiB each at once within 512 MiB`, async () => {
  const server = await startServer();
  const s3 = clientOf(server, { httpAgent: { maxSockets: 2 * CLIENTS } });
  await s3.send(new CreateBucketCommand({ Bucket: 'memory' }));
  let peak = 0;
  const done = new AbortController();
  const watch = (async () => {
    for (; !done.signal.aborted; await sleep(50)) peak = Math.max(peak, await resident(server));
  })();
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      const Key = `object-${i}`;
      await s3.send(
        new PutObjectCommand({
          Bucket: 'memory',
          Key,
          Body: Readable.from(pieces(BYTES)),
          ContentLength: BYTES,
        }),
      );
      expect((await s3.send(new HeadObjectCommand({ Bucket: 'memory', Key }))).ContentLength).toBe(BYTES);
      await s3.send(new DeleteObjectCommand({ Bucket: 'memory', Key }));
    }),
  );
  done.abort();
  await watch;
  s3.destroy();
  await server.stop();
  process.stdout.write(`peak resident memory: ${Math.round(peak / 1024 / 1024)} MiB\n`);
  expect(peak).toBeGreaterThan(0);
  expect(peak).toBeLessThan(RESIDENT_MAX);
});

test('with little memory for uploads they wait for it, and are not refused for what the process takes anyway', async () => {
  const server = await startServer({ env: { SHARDWAY_UPLOAD_MEMORY: '16' } });
  const s3 = clientOf(server, { httpAgent: { maxSockets: 24 } });
  await s3.send(new CreateBucketCommand({ Bucket: 'memory' }));
  const Body = Buffer.alloc(8 * 1024 * 1024, 7);
  const uploads = Array.from({ length: 48 }, async (_, key) => {
    await s3.send(new PutObjectCommand({ Bucket: 'memory', Key: `${key}`, Body }));
  });
  const outcomes = await Promise.allSettled(uploads);
  s3.destroy();
  await server.stop();
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
});
