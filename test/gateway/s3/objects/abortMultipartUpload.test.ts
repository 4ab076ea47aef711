import { AbortMultipartUploadCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway } from './client.ts';
import { begin, partBody, upload } from './multipart.ts';

const gateway = useGateway();

describe('AbortMultipartUpload', () => {
  test('forgets the upload', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
    const UploadId = await begin(gateway.client, target);
    await upload(gateway.client, target, UploadId, 1, partBody(1, 10));
    const abort = () => gateway.client.send(new AbortMultipartUploadCommand({ ...target, UploadId }));
    expect((await abort()).$metadata.httpStatusCode).toBe(204);
    for (const attempt of [
      abort,
      () => upload(gateway.client, target, UploadId, 2, partBody(2, 10)),
      () => gateway.client.send(new ListPartsCommand({ ...target, UploadId })),
    ]) {
      const error = await failure(attempt());
      expect([error.status, error.code]).toEqual([404, 'NoSuchUpload']);
    }
  });
});
