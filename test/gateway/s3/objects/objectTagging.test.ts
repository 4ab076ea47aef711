import {
  DeleteObjectTaggingCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import type { Tag } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway } from './client.ts';

const gateway = useGateway();
let target: { Bucket: string; Key: string };
beforeAll(async () => {
  target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
  await gateway.client.send(new PutObjectCommand({ ...target, Body: 'x' }));
});

const put = (TagSet: Tag[], VersionId?: string) =>
  gateway.client.send(new PutObjectTaggingCommand({ ...target, VersionId, Tagging: { TagSet } }));
const get = async (VersionId?: string) =>
  (await gateway.client.send(new GetObjectTaggingCommand({ ...target, VersionId }))).TagSet;

describe('object tagging', () => {
  test('is put, read, counted and deleted', async () => {
    expect(await get()).toEqual([]);
    const tags = [
      { Key: 'b', Value: '2' },
      { Key: 'ä +', Value: '' },
    ];
    const before = await gateway.client.send(new HeadObjectCommand(target));
    await put(tags);
    expect(await get()).toEqual(tags);
    const shown = await gateway.client.send(new HeadObjectCommand(target));
    expect([shown.TagCount, shown.ETag, shown.LastModified]).toEqual([2, before.ETag, before.LastModified]);
    await put([{ Key: 'c', Value: '3' }]);
    expect(await get()).toEqual([{ Key: 'c', Value: '3' }]);
    const { $metadata } = await gateway.client.send(new DeleteObjectTaggingCommand(target));
    expect($metadata.httpStatusCode).toBe(204);
    expect(await get()).toEqual([]);
  });

  test.each([
    ['eleven', Array.from({ length: 11 }, (_, at) => ({ Key: `k${at}`, Value: 'v' }))],
    [
      'one key twice',
      [
        { Key: 'a', Value: '1' },
        { Key: 'a', Value: '2' },
      ],
    ],
    ['a long key', [{ Key: 'k'.repeat(129), Value: 'v' }]],
    ['a long value', [{ Key: 'k', Value: 'v'.repeat(257) }]],
  ])('%s: InvalidTag, and the tags stay', async (_, tags) => {
    await put([{ Key: 'stays', Value: '1' }]);
    const error = await failure(put(tags));
    expect([error.status, error.code]).toEqual([400, 'InvalidTag']);
    expect(await get()).toEqual([{ Key: 'stays', Value: '1' }]);
  });

  test('belongs to a version', async () => {
    target = { Bucket: await makeBucket(gateway.client, true), Key: 'key' };
    const first = await gateway.client.send(new PutObjectCommand({ ...target, Body: '1', Tagging: 'v=1' }));
    await gateway.client.send(new PutObjectCommand({ ...target, Body: '2', Tagging: 'v=2' }));
    expect(await get(first.VersionId)).toEqual([{ Key: 'v', Value: '1' }]);
    const { VersionId } = await put([{ Key: 'v', Value: 'one' }], first.VersionId);
    expect(VersionId).toBe(first.VersionId);
    expect(await get(first.VersionId)).toEqual([{ Key: 'v', Value: 'one' }]);
    expect(await get()).toEqual([{ Key: 'v', Value: '2' }]);
  });

  test('of what is not there', async () => {
    const absent = { ...target, Key: 'absent' };
    for (const command of [
      () => gateway.client.send(new GetObjectTaggingCommand(absent)),
      () => gateway.client.send(new PutObjectTaggingCommand({ ...absent, Tagging: { TagSet: [] } })),
      () => gateway.client.send(new DeleteObjectTaggingCommand(absent)),
    ]) {
      const error = await failure(command());
      expect([error.status, error.code]).toEqual([404, 'NoSuchKey']);
    }
  });
});
