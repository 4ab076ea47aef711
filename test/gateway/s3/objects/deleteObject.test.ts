import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway, withHeaders } from './client.ts';

const gateway = useGateway();

describe('DeleteObject', () => {
  test('removes a key; a missing one is removed already', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
    await gateway.client.send(new PutObjectCommand({ ...target, Body: 'x' }));
    for (let round = 0; round < 2; round += 1) {
      const output = await gateway.client.send(new DeleteObjectCommand(target));
      expect([output.$metadata.httpStatusCode, output.DeleteMarker, output.VersionId]).toEqual([
        204,
        undefined,
        undefined,
      ]);
    }
    expect((await failure(gateway.client.send(new HeadObjectCommand(target)))).status).toBe(404);
  });

  test('a missing bucket', async () => {
    const request = gateway.client.send(new DeleteObjectCommand({ Bucket: 'no-such-bucket-here', Key: 'k' }));
    expect((await failure(request)).code).toBe('NoSuchBucket');
  });

  test('makes and removes delete markers', async () => {
    const target = { Bucket: await makeBucket(gateway.client, true), Key: 'key' };
    const { VersionId } = await gateway.client.send(new PutObjectCommand({ ...target, Body: 'x' }));
    const marker = await gateway.client.send(new DeleteObjectCommand(target));
    expect(marker.DeleteMarker).toBe(true);
    expect(marker.VersionId).not.toBe(VersionId);
    expect((await failure(gateway.client.send(new GetObjectCommand(target)))).code).toBe('NoSuchKey');

    const removed = await gateway.client.send(
      new DeleteObjectCommand({ ...target, VersionId: marker.VersionId }),
    );
    expect([removed.DeleteMarker, removed.VersionId]).toEqual([true, marker.VersionId]);
    const { Body } = await gateway.client.send(new GetObjectCommand(target));
    expect(await Body?.transformToString()).toBe('x');

    const gone = await gateway.client.send(new DeleteObjectCommand({ ...target, VersionId }));
    expect([gone.DeleteMarker, gone.VersionId]).toEqual([undefined, VersionId]);
    const { Versions = [], DeleteMarkers = [] } = await gateway.client.send(
      new ListObjectVersionsCommand({ Bucket: target.Bucket }),
    );
    expect([...Versions, ...DeleteMarkers]).toEqual([]);
  });

  test('If-Match', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
    const { ETag } = await gateway.client.send(new PutObjectCommand({ ...target, Body: 'x' }));
    const error = await failure(
      gateway.client.send(new DeleteObjectCommand({ ...target, IfMatch: '"other"' })),
    );
    expect([error.status, error.code]).toEqual([412, 'PreconditionFailed']);
    await gateway.client.send(new HeadObjectCommand(target));
    await gateway.client.send(new DeleteObjectCommand({ ...target, IfMatch: ETag }));
    expect((await failure(gateway.client.send(new HeadObjectCommand(target)))).status).toBe(404);
  });

  test('a condition that is not checked is refused, and nothing is deleted', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
    await gateway.client.send(new PutObjectCommand({ ...target, Body: 'x' }));
    const command = withHeaders(new DeleteObjectCommand(target), { 'x-amz-if-match-size': '7' });
    expect((await failure(gateway.client.send(command))).code).toBe('NotImplemented');
    await gateway.client.send(new HeadObjectCommand(target));
  });
});
