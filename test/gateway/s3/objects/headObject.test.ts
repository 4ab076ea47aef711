import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { describe, expect, test } from 'vitest';
import { makeBucket, rawRequest, responseHeaders, useGateway } from './client.ts';

const gateway = useGateway();

describe('HeadObject', () => {
  test('tells what GetObject tells, without a body', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
    const put = { ...target, Body: 'hello', ContentType: 'text/plain', Metadata: { a: 'b' }, Tagging: 't=1' };
    await gateway.client.send(new PutObjectCommand(put));
    const headCommand = new HeadObjectCommand(target);
    const getCommand = new GetObjectCommand(target);
    const [headHeaders, getHeaders] = [responseHeaders(headCommand), responseHeaders(getCommand)];
    await gateway.client.send(headCommand);
    const { Body } = await gateway.client.send(getCommand);
    await Body?.transformToByteArray();
    for (const headers of [headHeaders, getHeaders]) {
      for (const name of ['date', 'x-amz-request-id', 'x-amz-id-2']) headers.delete(name);
      // The SDK asks for checksums on GET by itself.
      for (const name of headers.keys()) if (name.startsWith('x-amz-checksum-')) headers.delete(name);
    }
    expect(headHeaders).toEqual(getHeaders);
  });

  test('errors have a status and no body', async () => {
    const target = { Bucket: await makeBucket(gateway.client, true), Key: 'key' };
    const url = (command: HeadObjectCommand) => getSignedUrl(gateway.client, command);
    const absent = await rawRequest('HEAD', await url(new HeadObjectCommand(target)));
    expect([absent.status, absent.body.length]).toEqual([404, 0]);
    await gateway.client.send(new PutObjectCommand({ ...target, Body: 'x' }));
    const marker = await gateway.client.send(new DeleteObjectCommand(target));
    const deleted = await rawRequest('HEAD', await url(new HeadObjectCommand(target)));
    expect([deleted.status, deleted.headers['x-amz-delete-marker']]).toEqual([404, 'true']);
    expect(deleted.headers['x-amz-version-id']).toBe(marker.VersionId);
  });
});
