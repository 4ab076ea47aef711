import { createHash } from 'node:crypto';
import {
  DeleteObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { ObjectIdentifier } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway, withBody, withHeaders } from './client.ts';

const gateway = useGateway();

const put = (Bucket: string, Key: string) =>
  gateway.client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
const deleteAll = (Bucket: string, Objects: ObjectIdentifier[], Quiet = false) =>
  gateway.client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet } }));

/** As another client might send it. */
const send = (Bucket: string, body: string, headers: Readonly<Record<string, string>>) =>
  gateway.client.send(
    withBody(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'x' }] } }), body, headers),
  );

describe('DeleteObjects', () => {
  test('deletes keys, missing ones too, and answers in the order asked', async () => {
    const bucket = await makeBucket(gateway.client);
    const keys = ['b', 'a', 'ä €', 'deep/path/', '<&>\'"'];
    await Promise.all(keys.map((key) => put(bucket, key)));
    const asked = [...keys, 'missing'];
    const { Deleted, Errors } = await deleteAll(
      bucket,
      asked.map((Key) => ({ Key })),
    );
    expect(Deleted).toEqual(asked.map((Key) => ({ Key })));
    expect(Errors ?? []).toEqual([]);
    const { KeyCount } = await gateway.client.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(KeyCount).toBe(0);
  });

  test('a thousand keys', async () => {
    const bucket = await makeBucket(gateway.client);
    await put(bucket, 'key-0');
    const { Deleted } = await deleteAll(
      bucket,
      Array.from({ length: 1000 }, (_, at) => ({ Key: `key-${at}` })),
    );
    expect(Deleted).toHaveLength(1000);
    const error = await failure(
      deleteAll(
        bucket,
        Array.from({ length: 1001 }, (_, at) => ({ Key: `key-${at}` })),
      ),
    );
    expect([error.status, error.code]).toEqual([400, 'MalformedXML']);
  });

  test('quiet tells of errors alone', async () => {
    const bucket = await makeBucket(gateway.client);
    await put(bucket, 'a');
    await put(bucket, 'b');
    const { Deleted, Errors } = await deleteAll(bucket, [{ Key: 'a' }, { Key: 'b', ETag: '"other"' }], true);
    expect(Deleted ?? []).toEqual([]);
    expect(Errors).toMatchObject([{ Key: 'b', Code: 'PreconditionFailed' }]);
    const { Contents } = await gateway.client.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(['b']);
  });

  test('versions and delete markers', async () => {
    const bucket = await makeBucket(gateway.client, true);
    const { VersionId } = await put(bucket, 'a');
    const made = await deleteAll(bucket, [{ Key: 'a' }]);
    const marker = made.Deleted?.[0];
    expect(marker).toMatchObject({ Key: 'a', DeleteMarker: true });
    expect(marker?.VersionId).toBeUndefined();
    const MarkerId = marker?.DeleteMarkerVersionId;
    const removed = await deleteAll(bucket, [
      { Key: 'a', VersionId: MarkerId },
      { Key: 'a', VersionId },
    ]);
    expect(removed.Deleted).toEqual([
      { Key: 'a', VersionId: MarkerId, DeleteMarker: true, DeleteMarkerVersionId: MarkerId },
      { Key: 'a', VersionId },
    ]);
    const { Versions = [], DeleteMarkers = [] } = await gateway.client.send(
      new ListObjectVersionsCommand({ Bucket: bucket }),
    );
    expect([...Versions, ...DeleteMarkers]).toEqual([]);
  });

  test('one bad key does not stop the others', async () => {
    const bucket = await makeBucket(gateway.client);
    await put(bucket, 'a');
    const { Deleted, Errors } = await deleteAll(bucket, [{ Key: 'x'.repeat(1025) }, { Key: 'a' }]);
    expect(Deleted).toEqual([{ Key: 'a' }]);
    expect(Errors).toMatchObject([{ Code: 'KeyTooLongError' }]);
  });

  test('a missing bucket is the error of the request', async () => {
    const error = await failure(deleteAll('no-such-bucket-here', [{ Key: 'a' }]));
    expect([error.status, error.code]).toEqual([404, 'NoSuchBucket']);
  });

  test('a wrong checksum deletes nothing', async () => {
    const bucket = await makeBucket(gateway.client);
    await put(bucket, 'a');
    const md5 = createHash('md5').update('something else').digest('base64');
    const command = withHeaders(
      new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [{ Key: 'a' }] } }),
      { 'content-md5': md5 },
    );
    expect((await failure(gateway.client.send(command))).code).toBe('BadDigest');
    const { KeyCount } = await gateway.client.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(KeyCount).toBe(1);
  });

  test('a digest of the list is asked for; Content-MD5 will do', async () => {
    const bucket = await makeBucket(gateway.client);
    await put(bucket, 'a');
    const body = '<Delete><Object><Key>a</Key></Object></Delete>';
    const without = await failure(send(bucket, body, {}));
    expect([without.status, without.code]).toEqual([400, 'InvalidRequest']);
    const md5 = createHash('md5').update(body).digest('base64');
    const { Deleted } = await send(bucket, body, { 'content-md5': md5 });
    expect(Deleted).toEqual([{ Key: 'a' }]);
  });

  test.each([
    '',
    '<Delete/>',
    '<Delete><Object/></Delete>',
    '<Delete><Object><Key></Key></Object></Delete>',
    '<Other/>',
    '<!DOCTYPE d [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>',
    '<Delete><Object><Key>a</Key>',
  ])('%j is malformed', async (body) => {
    const bucket = await makeBucket(gateway.client);
    const md5 = createHash('md5').update(body).digest('base64');
    const error = await failure(send(bucket, body, { 'content-md5': md5 }));
    expect([error.status, error.code]).toEqual([400, 'MalformedXML']);
  });
});
