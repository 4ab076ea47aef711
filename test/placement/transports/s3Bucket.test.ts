import { readdir } from 'node:fs/promises';
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { createHasher, LEAF_BYTES } from '#erasure';
import { systemClock, TransportError, type ShardName } from '#placement';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { S3Bucket } from '../../../placement/transports/s3Bucket.ts';
import type { S3Location } from '../../../placement/transports/s3BucketCalls.ts';
import { startGateway, type Gateway } from '../../support/gateway.ts';
import { scratch, SOME_PROVIDER } from '../directories.ts';
import { cellsOf, newChunkId, sampleBytes, sealOf, wholeOf } from '../shards.ts';
import { shardTransportContract } from '../shardTransportContract.ts';
import { newLocation, objectBytes, putObject, removeObject } from './buckets.ts';

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

async function newBucket(location: S3Location, spool?: string): Promise<S3Bucket> {
  const bucket = new S3Bucket({
    location,
    id: SOME_PROVIDER,
    clock: systemClock,
    ...(spool !== undefined && { spool }),
  });
  await bucket.revive();
  return bucket;
}

shardTransportContract('a bucket', async () => {
  const transport = await newBucket(await newLocation(gateway));
  return { transport, dispose: () => transport.close() };
});

let location: S3Location;
let bucket: S3Bucket;
let spool: Awaited<ReturnType<typeof scratch>>;
beforeEach(async () => {
  spool = await scratch();
  location = await newLocation(gateway);
  bucket = await newBucket(location, spool.path);
});
afterEach(async () => {
  await bucket.close();
  await spool.remove();
});

const hasher = createHasher();
const newName = (): ShardName => ({ chunk: newChunkId(), index: 1 });
const keyOf = ({ chunk, index }: ShardName): string => `${location.prefix}${chunk}.${index}`;

async function stored(bytes: Uint8Array): Promise<ShardName> {
  const name = newName();
  await bucket.put(name, cellsOf(bytes));
  return name;
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'success',
    (error: unknown) => (error instanceof TransportError ? error.kind : String(error)),
  );
}

async function uploads(): Promise<number> {
  const listed = await gateway.client.send(new ListMultipartUploadsCommand({ Bucket: location.bucket }));
  return listed.Uploads?.length ?? 0;
}

async function keys(): Promise<string[]> {
  const listed = await gateway.client.send(new ListObjectsV2Command({ Bucket: location.bucket }));
  return (listed.Contents ?? []).map(({ Key }) => Key!);
}

test('shards on their way leave no file, however they end', async () => {
  await stored(sampleBytes(2_000_000));
  async function* broken(): AsyncGenerator<Uint8Array, undefined> {
    yield sampleBytes(100_000);
    expect(await readdir(spool.path)).toEqual([]);
    throw new Error('broken source');
  }
  const source = { cells: broken(), seal: () => sealOf(sampleBytes(100_000)) };
  expect(await failure(bucket.put(newName(), source))).toBe('Source');
  expect(await readdir(spool.path)).toEqual([]);
});

describe('long shards', () => {
  // Longer than a part; its leaf hashes are more than the end that is asked for at first.
  const bytes = sampleBytes(18_000_000);
  const { root, length } = sealOf(bytes);

  test('go in parts, and every range verifies, whether the shard is known or not', async () => {
    const name = await stored(bytes);
    expect(await uploads()).toBe(0);
    const last = Math.ceil(length / LEAF_BYTES) - 1;
    const anew = new S3Bucket({ location, id: SOME_PROVIDER, clock: systemClock });
    for (const [first, count] of [
      [last, 1],
      [0, 1],
      [500, 37],
      [last - 2, 3],
    ] as const) {
      const slice = await anew.get(name, first, count);
      expect(hasher.verify(root, length, first, slice.bytes, slice.proof)).toBe(true);
      const proof = await anew.prove(name, first);
      expect(hasher.verify(root, length, first, proof.bytes, proof.proof)).toBe(true);
    }
    expect(await anew.list(undefined, 10)).toEqual([expect.objectContaining({ ...name, length })]);
    await anew.close();
  });

  test('are immutable too', async () => {
    const name = await stored(bytes);
    await bucket.put(name, cellsOf(bytes));
    expect(await failure(bucket.put(name, cellsOf(sampleBytes(18_000_000, 2))))).toBe('Conflict');
    expect(await uploads()).toBe(0);
  });

  test('leave nothing when they are given up between parts', async () => {
    const abort = new AbortController();
    const put = bucket.put(newName(), cellsOf(bytes), abort.signal);
    while ((await uploads()) === 0) await systemClock.sleep(5);
    abort.abort();
    expect(await failure(put)).toBe('Aborted');
    expect([await uploads(), await keys()]).toEqual([0, [`${location.prefix}provider.json`]]);
  });
});

describe('objects that are not what they should be', () => {
  const bytes = sampleBytes(3 * LEAF_BYTES + 7);

  test.each([
    ['cut', (object: Buffer) => object.subarray(0, 1000)],
    ['cut to nothing', () => Buffer.alloc(0)],
    ['longer', (object: Buffer) => Buffer.concat([object, Buffer.alloc(LEAF_BYTES + 32)])],
    ['without a trailer', (object: Buffer) => Buffer.alloc(object.length)],
  ])('an object that is %s is Corrupt, and is replaced by the shard put again', async (_, damage) => {
    const name = await stored(bytes);
    const object = await objectBytes(gateway, location, keyOf(name));
    await putObject(gateway, location, keyOf(name), damage(object));
    expect(await failure(bucket.get(name, 0, 4))).toBe('Corrupt');
    expect(await failure(bucket.prove(name, 0))).toBe('Corrupt');
    await bucket.put(name, cellsOf(bytes));
    expect(Buffer.compare((await bucket.get(name, 0, 4)).bytes, bytes)).toBe(0);
  });

  test('rotten bytes do not verify, and are replaced by the shard put again', async () => {
    const name = await stored(bytes);
    const object = await objectBytes(gateway, location, keyOf(name));
    object[LEAF_BYTES]! ^= 1;
    await putObject(gateway, location, keyOf(name), object);
    const { root, length } = sealOf(bytes);
    const slice = await bucket.get(name, 0, 4);
    expect(hasher.verify(root, length, 0, slice.bytes, slice.proof)).toBe(false);
    await bucket.put(name, wholeOf(bytes));
    expect(Buffer.compare((await bucket.get(name, 0, 4)).bytes, bytes)).toBe(0);
  });

  test('an object that was removed behind our back is NotFound, also when it was read before', async () => {
    const name = await stored(bytes);
    await bucket.get(name, 0, 1);
    await removeObject(gateway, location, keyOf(name));
    expect(await failure(bucket.get(name, 0, 1))).toBe('NotFound');
  });

  test('objects that are no shards are neither listed nor counted', async () => {
    const name = await stored(bytes);
    await putObject(gateway, location, `${location.prefix}0`, 'mine');
    await putObject(gateway, location, `${location.prefix}${'0'.repeat(32)}.1.txt`, 'mine');
    for (const limit of [1, 2, 10]) {
      expect((await bucket.list(undefined, limit)).map(({ chunk }) => chunk)).toEqual([name.chunk]);
    }
    const anew = new S3Bucket({ location, id: SOME_PROVIDER, clock: systemClock });
    expect(await anew.space()).toEqual(await bucket.space());
    await anew.close();
  });
});

describe('space', () => {
  test('is what is allotted less what the objects take, now and after a restart', async () => {
    const empty = await bucket.space();
    expect(empty).toEqual({ capacity: location.capacity, free: location.capacity });
    const names = await Promise.all([1, 1000, 100_000].map((length) => stored(sampleBytes(length))));
    const { free } = await bucket.space();
    expect(location.capacity - free).toBe(1 + 1000 + 100_000 + (1 + 1 + 7) * 32 + 3 * 48);
    const anew = new S3Bucket({ location, id: SOME_PROVIDER, clock: systemClock });
    expect(await anew.space()).toEqual({ capacity: location.capacity, free });
    await anew.close();
    await bucket.put(names[0]!, cellsOf(sampleBytes(1)));
    await Promise.all([...names, ...names].map((name) => bucket.delete(name)));
    expect(await bucket.space()).toEqual(empty);
  });

  test('that is used up is NoSpace, and what is under way counts', async () => {
    const small = await newBucket({ ...location, capacity: 150_000 });
    const puts = [1, 2].map((seed) => failure(small.put(newName(), cellsOf(sampleBytes(100_000, seed)))));
    expect((await Promise.all(puts)).sort()).toEqual(['NoSpace', 'success']);
    expect(await failure(small.put(newName(), cellsOf(sampleBytes(100_000))))).toBe('NoSpace');
    await small.close();
  });
});

describe('a bucket that is not the provider’s any more', () => {
  test('is Unavailable without its marker, until it is revived', async () => {
    const name = await stored(sampleBytes(100));
    await removeObject(gateway, location, `${location.prefix}provider.json`);
    await removeObject(gateway, location, keyOf(name));
    expect(await failure(bucket.space())).toBe('Unavailable');
    expect(await failure(bucket.get(name, 0, 1))).toBe('Unavailable');
    expect(await failure(bucket.delete(name))).toBe('Unavailable');
    expect(await failure(bucket.list(undefined, 1))).toBe('Unavailable');
    expect(await bucket.revive()).toBe(true);
    expect(await failure(bucket.get(name, 0, 1))).toBe('NotFound');
    expect(await bucket.revive()).toBe(false);
  });

  test('keeps its shards when only the marker was lost', async () => {
    const name = await stored(sampleBytes(100));
    await removeObject(gateway, location, `${location.prefix}provider.json`);
    expect(await bucket.revive()).toBe(false);
    expect((await bucket.get(name, 0, 1)).bytes).toHaveLength(100);
  });

  test('is not taken from another provider, nor are the objects of others', async () => {
    const other = new S3Bucket({ location, id: 'f'.repeat(32), clock: systemClock });
    expect(await failure(other.space())).toBe('Unavailable');
    expect(await failure(other.put(newName(), cellsOf(sampleBytes(10))))).toBe('Unavailable');
    expect(await failure(other.revive())).toBe('Unavailable');
    await other.close();
    const foreign = { ...location, prefix: 'else/' };
    await putObject(gateway, foreign, 'else/thesis.tex', 'mine');
    const there = new S3Bucket({ location: foreign, id: SOME_PROVIDER, clock: systemClock });
    expect(await failure(there.revive())).toBe('Unavailable');
    await there.close();
  });

  test('that is gone, or whose keys are wrong, is Unavailable, and no secret is told', async () => {
    const gone = new S3Bucket({
      location: { ...location, bucket: 'gone' },
      id: SOME_PROVIDER,
      clock: systemClock,
    });
    expect(await failure(gone.get(newName(), 0, 1))).toBe('Unavailable');
    expect(await failure(gone.put(newName(), cellsOf(sampleBytes(10))))).toBe('Unavailable');
    await gone.close();
    const secret = 'correct-horse-battery-staple';
    const credentials = () => ({ accessKey: gateway.credentials.accessKeyId, secretKey: secret });
    const wrong = new S3Bucket({
      location: { ...location, credentials },
      id: SOME_PROVIDER,
      clock: systemClock,
    });
    const error = (await wrong.space().catch((reason: unknown) => reason)) as TransportError;
    expect(error.kind).toBe('Unavailable');
    const cause = error.cause as Error & Record<string, unknown>;
    expect(`${error.stack} ${JSON.stringify(cause)} ${cause.stack} ${JSON.stringify(location)}`).not.toMatch(
      new RegExp(`${secret}|Authorization|${gateway.credentials.secretAccessKey}`, 'i'),
    );
    await wrong.close();
  });
});
