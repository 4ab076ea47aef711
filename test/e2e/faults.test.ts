import { randomBytes } from 'node:crypto';
import { readFile, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientOf, startServer } from '../support/server.ts';
import type { Server } from '../support/server.ts';

/** Every byte comes from the providers. */
const NO_CACHE = { SHARDWAY_READ_CACHE: '0' };
const PROVIDERS = [1, 2, 3, 4, 5, 6];
const PAIRS = PROVIDERS.flatMap((a) => PROVIDERS.filter((b) => b > a).map((b) => [a, b] as const));

/** Sizes around every boundary: leaf, cell, stripe, chunk. */
const SIZES = [0, 1, 4096, 65_536, 262_144, 1_048_576, 1_048_577, 5_000_000, 70_000_000];

type ReadError = Error & { code?: string; $metadata?: { httpStatusCode?: number } };

describe('providers that fail and lie', () => {
  let server: Server;
  let s3: S3Client;
  const bodies = new Map<string, Buffer>();
  const folder = (provider: number): string => join(server.data, 'providers', String(provider));

  const read = async (key: string): Promise<Buffer> => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'faults', Key: key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  };
  /**
   * How reading a lost object fails. A shard that was read a moment ago is still open, and may be served a little longer: with the
   * right bytes.
   */
  const failureOf = async (key: string, body: Buffer): Promise<ReadError> => {
    for (;;) {
      const outcome = await read(key).catch((thrown: unknown) => thrown as ReadError);
      if (!Buffer.isBuffer(outcome)) return outcome;
      expect(outcome.equals(body), key).toBe(true);
      await sleep(50);
    }
  };
  const allRead = async (): Promise<void> => {
    for (const [key, body] of bodies) expect((await read(key)).equals(body), key).toBe(true);
  };
  const healthy = async (): Promise<void> => {
    const repair = JSON.parse((await server.command('repair', '--json')).stdout) as { ok: boolean };
    expect(repair.ok).toBe(true);
    const check = JSON.parse((await server.command('check', '--json')).stdout) as { details: object };
    expect(check).toMatchObject({
      ok: true,
      details: { objects: bodies.size, badObjects: 0, missingShards: 0, damagedShards: 0, orphanShards: 0 },
    });
  };
  /** Shard files by provider and name. */
  const shards = async (): Promise<Map<string, { provider: number; path: string }[]>> => {
    const byChunk = new Map<string, { provider: number; path: string }[]>();
    for (const provider of PROVIDERS) {
      const entries = await readdir(folder(provider), { recursive: true, withFileTypes: true });
      for (const entry of entries) {
        const chunk = /^([0-9a-f]{32})\.\d+$/.exec(entry.name)?.[1];
        if (!entry.isFile() || chunk === undefined) continue;
        const list = byChunk.get(chunk) ?? [];
        list.push({ provider, path: join(entry.parentPath, entry.name) });
        byChunk.set(chunk, list);
      }
    }
    return byChunk;
  };

  beforeAll(async () => {
    server = await startServer({ env: NO_CACHE });
    s3 = clientOf(server);
    await s3.send(new CreateBucketCommand({ Bucket: 'faults' }));
    for (const size of SIZES) {
      const body = randomBytes(size);
      bodies.set(`size-${size}`, body);
      await s3.send(new PutObjectCommand({ Bucket: 'faults', Key: `size-${size}`, Body: body }));
    }
    const multipart = randomBytes(12_345_678);
    bodies.set('multipart', multipart);
    await new Upload({ client: s3, params: { Bucket: 'faults', Key: 'multipart', Body: multipart } }).done();
  });
  afterAll(async () => {
    s3.destroy();
    await server.stop();
  });

  test('a healthy store checks out', healthy);

  test('any two provider directories deleted: everything reads, repair restores full redundancy', async () => {
    for (const pair of PAIRS) {
      for (const provider of pair) await rm(folder(provider), { recursive: true });
      await allRead();
      await healthy();
    }
  });

  test.each(['flipped', 'truncated', 'emptied', 'swapped'])(
    'any two shards of every chunk %s: the same',
    async (fault) => {
      const byChunk = [...(await shards()).values()];
      for (const [i, list] of byChunk.entries()) {
        const pair = PAIRS[i % PAIRS.length] as readonly [number, number];
        const [a, b] = pair.map(
          (provider) => list.find((shard) => shard.provider === provider)?.path as string,
        ) as [string, string];
        if (fault === 'swapped') {
          await rename(a, `${a}.held`);
          await rename(b, a);
          await rename(`${a}.held`, b);
          continue;
        }
        for (const path of [a, b]) {
          const bytes = await readFile(path);
          if (fault === 'flipped') {
            const at = Math.floor(Math.random() * bytes.length);
            bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(Math.random() * 8));
            await writeFile(path, bytes);
          } else await truncate(path, fault === 'emptied' ? 0 : Math.floor(bytes.length / 2));
        }
      }
      await allRead();
      await healthy();
      await allRead();
    },
  );

  test('three gone: a clean error and no wrong byte; back again: everything reads', async () => {
    for (const provider of [1, 3, 5]) await rename(folder(provider), `${folder(provider)}.away`);
    for (const [key, body] of bodies) {
      if (body.length === 0) continue;
      const error = await failureOf(key, body);
      // Once the head of a response is out, the only honest end is a cut connection.
      expect(error.$metadata?.httpStatusCode ?? error.code, key).toBeOneOf([503, 'ECONNRESET']);
    }
    await expect(
      s3.send(new PutObjectCommand({ Bucket: 'faults', Key: 'refused', Body: 'too few' })),
    ).rejects.toMatchObject({ $metadata: { httpStatusCode: 503 } });
    await expect(server.command('check', '--json')).rejects.toThrow('ended with 1');
    for (const provider of [1, 3, 5]) {
      await rm(folder(provider), { recursive: true, force: true });
      await rename(`${folder(provider)}.away`, folder(provider));
    }
    await allRead();
    await healthy();
  });
});
