import { LEAF_BYTES } from '#erasure';
import { systemClock, TransportError, type ShardName } from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { S3Bucket } from '../../../placement/transports/s3Bucket.ts';
import { SOME_PROVIDER } from '../directories.ts';
import { cellsOf, newChunkId, sampleBytes, wholeOf } from '../shards.ts';
import { shardTransportContract } from '../shardTransportContract.ts';
import { fail, PlainS3 } from './plainS3.ts';
import { send } from './hostileProvider.ts';

async function newBucket(service: PlainS3): Promise<S3Bucket> {
  const limits = { answerMs: 400, settleMs: 200, bytesPerSecondMin: 1e9 };
  const bucket = new S3Bucket({ location: service.location, id: SOME_PROVIDER, clock: systemClock, limits });
  await bucket.revive();
  return bucket;
}

for (const conditions of ['ignored', 'refused'] as const) {
  shardTransportContract(`a bucket where conditions are ${conditions}`, async () => {
    const service = await PlainS3.start();
    service.conditions = conditions;
    const transport = new S3Bucket({ location: service.location, id: SOME_PROVIDER, clock: systemClock });
    await transport.revive();
    return {
      transport,
      dispose: async () => {
        await transport.close();
        await service.closed();
      },
    };
  });
}

let service: PlainS3;
let bucket: S3Bucket;
beforeEach(async () => {
  service = await PlainS3.start();
  bucket = await newBucket(service);
});
afterEach(async () => {
  await bucket.close();
  await service.closed();
});

const newName = (): ShardName => ({ chunk: newChunkId(), index: 0 });
const keyOf = ({ chunk, index }: ShardName): string => `${chunk}.${index}`;
const isShard = (key: string): boolean => /^[0-9a-f]{32}\.\d+$/.test(key);

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'success',
    (error: unknown) => (error instanceof TransportError ? error.kind : String(error)),
  );
}

async function stored(): Promise<ShardName> {
  const name = newName();
  await bucket.put(name, wholeOf(sampleBytes(3 * LEAF_BYTES)));
  return name;
}

describe('answers', () => {
  test('a service that takes a call and does not answer is cut', async () => {
    const name = await stored();
    service.before = (_request, _response, key) =>
      new Promise((resolve) => {
        if (!isShard(key)) resolve(false);
      });
    expect(await failure(bucket.get(name, 0, 1))).toBe('Timeout');
    expect(await failure(bucket.put(newName(), cellsOf(sampleBytes(100))))).toBe('Timeout');
  });

  test('a trickle is cut', async () => {
    const name = await stored();
    service.before = async (_, response, key) => {
      if (!isShard(key)) return false;
      response.writeHead(206, {
        'content-length': LEAF_BYTES,
        'content-range': `bytes 0-${LEAF_BYTES - 1}/49200`,
      });
      while (!response.socket!.destroyed) {
        response.write('x');
        await systemClock.sleep(50);
      }
      return true;
    };
    expect(await failure(bucket.get(name, 0, 1))).toBe('Timeout');
  });

  test('an endless list and an endless failure are Unavailable', async () => {
    const name = await stored();
    let status = 200;
    service.before = async (_, response, key) => {
      if (key === 'provider.json') return false;
      response.writeHead(status, {});
      while (!response.socket!.destroyed) {
        if (!response.write('<Contents>'.repeat(10_000))) await systemClock.sleep(1);
      }
      return true;
    };
    expect(await failure(bucket.list(undefined, 1000))).toBe('Unavailable');
    status = 404;
    expect(await failure(bucket.get(name, 0, 1))).toBe('Unavailable');
  });

  test('a service that does not know ranges is Unavailable, and its objects are not taken in', async () => {
    const name = await stored();
    service.before = (request, response, key) => {
      if (!isShard(key)) return false;
      response.writeHead(200, { 'content-length': 1e12 }).write('x');
      return request.method === 'GET';
    };
    expect(await failure(bucket.get(name, 0, 1))).toBe('Unavailable');
  });

  test('a range that is not the one asked for is Corrupt', async () => {
    const name = await stored();
    service.before = (request, response, key) => {
      if (!isShard(key) || !/bytes=\d+-/.test(request.headers.range ?? '')) return false;
      send(response, 206, new Uint8Array(LEAF_BYTES), { 'content-range': 'bytes 1-16384/49200' });
      return true;
    };
    expect(await failure(bucket.get(name, 0, 1))).toBe('Corrupt');
  });

  test('a list that does not go forward is Unavailable', async () => {
    await stored();
    const row = `<Contents><Key>${'0'.repeat(32)}.1</Key><Size>5</Size></Contents>`;
    service.before = (_, response, key) => {
      if (key === '') send(response, 200, `<L><IsTruncated>true</IsTruncated>${row}</L>`);
      return key === '';
    };
    expect(await failure(bucket.list(undefined, 1000))).toBe('Unavailable');
  });

  test('a redirect is not followed', async () => {
    const name = await stored();
    const other = await PlainS3.start();
    let hits = 0;
    other.before = () => {
      hits++;
      return false;
    };
    service.before = (_, response, key) => {
      if (isShard(key)) send(response, 307, '', { location: `${other.location.endpoint}/plain/${key}` });
      return isShard(key);
    };
    expect(await failure(bucket.get(name, 0, 1))).toBe('Unavailable');
    expect(hits).toBe(0);
    await other.closed();
  });
});

describe('the step that decides', () => {
  test('a put given up in it is removed once it is known to be stored', async () => {
    const abort = new AbortController();
    service.before = async (request, _, key) => {
      if (request.method !== 'PUT' || !isShard(key)) return false;
      abort.abort();
      await systemClock.sleep(50);
      return false;
    };
    const name = newName();
    expect(await failure(bucket.put(name, wholeOf(sampleBytes(100)), abort.signal))).toBe('Aborted');
    expect([...service.objects.keys()]).toEqual(['provider.json']);
  });

  test('a put whose answer is lost is sent again, and knows its own', async () => {
    let lost = 0;
    const other = newName();
    await bucket.put(other, wholeOf(sampleBytes(100)));
    const image = service.objects.get(keyOf(other))!;
    service.before = (request, response, key) => {
      if (request.method !== 'PUT' || !isShard(key) || lost++ > 0) return false;
      service.objects.set(key, image);
      response.socket!.destroy();
      return true;
    };
    const name = newName();
    await bucket.put(name, wholeOf(sampleBytes(100)));
    expect(lost).toBe(2);
    expect((await bucket.get(name, 0, 1)).bytes).toHaveLength(100);
  });

  test('what a put that fails in it may have stored is removed before the same shard is put again', async () => {
    let fails = true;
    const removed: string[] = [];
    service.before = async (request, _, key) => {
      if (!isShard(key)) return false;
      if (request.method === 'DELETE') {
        await systemClock.sleep(50);
        removed.push(key);
      }
      if (request.method !== 'PUT' || !fails) return false;
      service.objects.set(key, Buffer.alloc(10));
      request.socket.destroy();
      return true;
    };
    const name = newName();
    const put = (): Promise<string> => failure(bucket.put(name, wholeOf(sampleBytes(100))));
    expect(await put()).toBe('Unavailable');
    fails = false;
    expect(await put()).toBe('success');
    expect(removed).toEqual([keyOf(name)]);
    expect((await bucket.get(name, 0, 1)).bytes).toHaveLength(100);
  });

  test('a service without room is NoSpace', async () => {
    service.before = (request, response, key) => {
      const isPut = request.method === 'PUT' && isShard(key);
      if (isPut) fail(response, 507, 'InsufficientStorage');
      return isPut;
    };
    expect(await failure(bucket.put(newName(), wholeOf(sampleBytes(100))))).toBe('NoSpace');
  });
});
