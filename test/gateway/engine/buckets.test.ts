/* oxlint-disable vitest/no-conditional-expect -- a race has more than one right outcome, and each is checked in full */
import { describe, expect, test } from 'vitest';
import { createHarness, countOf, kindOf, leftovers, noAttributes, OWNER, putText } from './harness.ts';

describe.each([1, 4])('buckets, %i partitions', (partitions) => {
  test('create, list, tag, delete', async () => {
    const { store } = await createHarness({ partitions });
    for (const name of ['c', 'a', 'b1', 'b2']) await store.createBucket(name, OWNER);
    expect(await kindOf(store.createBucket('a', OWNER))).toBe('BucketAlreadyOwnedByYou');
    expect(await kindOf(store.createBucket('a', 'another'))).toBe('BucketAlreadyExists');
    const names = async (options?: object): Promise<[string[], string | undefined]> => {
      const { buckets, next } = await store.listBuckets(options);
      return [buckets.map(({ name }) => name), next];
    };
    expect(await names()).toEqual([['a', 'b1', 'b2', 'c'], undefined]);
    expect(await names({ limit: 2 })).toEqual([['a', 'b1'], 'b1']);
    expect(await names({ after: 'b1', limit: 2 })).toEqual([['b2', 'c'], undefined]);
    expect(await names({ prefix: 'b' })).toEqual([['b1', 'b2'], undefined]);
    await store.setBucketTags('a', [['x', 'y']]);
    expect(await store.bucket('a')).toMatchObject({
      name: 'a',
      owner: OWNER,
      versioning: 'Unversioned',
      tags: [['x', 'y']],
    });
    await store.deleteBucket('a');
    expect(await kindOf(store.bucket('a'))).toBe('NoSuchBucket');
    expect(await kindOf(store.deleteBucket('a'))).toBe('NoSuchBucket');
    expect(await kindOf(store.setVersioning('a', 'Enabled'))).toBe('NoSuchBucket');
  });

  test('a bucket with anything in it is not deleted, and works on', async () => {
    const { store } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    await store.setVersioning('b', 'Enabled');
    const { info } = await putText(store, 'b', 'k', 'x');
    expect(await kindOf(store.deleteBucket('b'))).toBe('BucketNotEmpty');
    const { versionId } = await store.delete({ bucket: 'b', key: 'k' });
    await store.delete({ bucket: 'b', key: 'k', versionId: info.versionId });
    expect(await kindOf(store.deleteBucket('b'))).toBe('BucketNotEmpty');
    await store.delete({ bucket: 'b', key: 'k', versionId: versionId! });
    await store.deleteBucket('b');
  });

  test('unfinished uploads go with the bucket; one created again is empty', async () => {
    const harness = await createHarness({ partitions });
    const { store, engine, kv, chunks } = harness;
    await store.createBucket('b', OWNER);
    const { uploadId } = await store.createUpload({
      ...noAttributes,
      bucket: 'b',
      key: 'k',
      initiator: OWNER,
    });
    const body = {
      bytes: (async function* one() {
        yield Buffer.from('part');
      })(),
    };
    await store.putPart({ bucket: 'b', key: 'k', uploadId, partNumber: 1, body });
    await store.deleteBucket('b');
    await store.createBucket('b', OWNER);
    expect(await kindOf(store.upload({ bucket: 'b', key: 'k', uploadId }))).toBe('NoSuchUpload');
    await engine.reclaim.runOnce();
    expect(chunks.stored.size).toBe(0);
    expect(await leftovers(harness)).toEqual([]);
    await store.deleteBucket('b');
    for (const kind of ['bucket', 'gate', 'upload', 'part', 'guard'] as const)
      expect(await countOf(kv, kind)).toBe(0);
  });

  test('deletion against puts: either the put is refused, or the bucket stays', async () => {
    const harness = await createHarness({ partitions });
    const { store, engine } = harness;
    for (let round = 0; round < 30; round++) {
      await store.createBucket('b', OWNER);
      const puts = Array.from({ length: 4 }, (_, i) => kindOf(putText(store, 'b', `k${i}`, 'x')));
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
      const deleted = await kindOf(store.deleteBucket('b'));
      const done = await Promise.all(puts);
      if (deleted === 'none') {
        expect(new Set(done)).toEqual(new Set(['NoSuchBucket']));
      } else {
        expect(deleted).toBe('BucketNotEmpty');
        for (let i = 0; i < 4; i++) {
          const there = await kindOf(store.stat({ bucket: 'b', key: `k${i}` }));
          expect(there).toBe(done[i] === 'none' ? 'none' : 'NoSuchKey');
          await store.delete({ bucket: 'b', key: `k${i}` });
        }
        await store.deleteBucket('b');
      }
    }
    await engine.reclaim.runOnce();
    expect(await leftovers(harness)).toEqual([]);
    expect(harness.chunks.stored.size).toBe(0);
  });
});
