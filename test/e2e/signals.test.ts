/** What a gateway does with signals while requests are under way. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { clientOf, startServer } from '../support/server.ts';

const BYTES = 1024 * 1024;

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  '%s that is passed on, and so comes twice, lets an upload finish',
  async (signal) => {
    const server = await startServer();
    const client = clientOf(server);
    await client.send(new CreateBucketCommand({ Bucket: 'bucket' }));
    const body = new PassThrough();
    const upload = client.send(
      new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body: body, ContentLength: BYTES }),
    );
    body.write(Buffer.alloc(BYTES / 2));
    // Once the gateway has taken it, the client's buffers are empty.
    await once(body, 'drain');
    process.kill(server.pid, signal);
    // Sent before it was heard, the second would be merged into the first.
    await expect.poll(() => server.log(), { interval: 2 }).toContain('Finishing');
    process.kill(server.pid, signal);
    body.end(Buffer.alloc(BYTES / 2));
    expect((await upload).$metadata.httpStatusCode).toBe(200);
    await expect.poll(() => isRunning(server.pid), { timeout: 30_000 }).toBe(false);
    // With code 0, or this rejects.
    await server.stop();
    client.destroy();
  },
);
