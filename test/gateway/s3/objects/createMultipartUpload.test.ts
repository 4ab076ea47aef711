import { CreateMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { CreateMultipartUploadCommandInput } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway, withHeaders } from './client.ts';

const gateway = useGateway();
let bucket: string;
beforeAll(async () => {
  bucket = await makeBucket(gateway.client);
});

const create = (input: Partial<CreateMultipartUploadCommandInput> = {}) =>
  new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'key', ...input });

describe('CreateMultipartUpload', () => {
  test('answers an upload of its own each time, with the checksum that was asked for', async () => {
    const first = await gateway.client.send(create({ ChecksumAlgorithm: 'CRC64NVME' }));
    const second = await gateway.client.send(create({ ChecksumAlgorithm: 'SHA1' }));
    expect(first).toMatchObject({
      Bucket: bucket,
      Key: 'key',
      ChecksumAlgorithm: 'CRC64NVME',
      ChecksumType: 'FULL_OBJECT',
      ServerSideEncryption: 'AES256',
    });
    expect(second).toMatchObject({ ChecksumAlgorithm: 'SHA1', ChecksumType: 'COMPOSITE' });
    expect(first.UploadId).toMatch(/./);
    expect(second.UploadId).not.toBe(first.UploadId);
  });

  const refused: [Partial<CreateMultipartUploadCommandInput>, number, string][] = [
    [{ ACL: 'public-read' }, 400, 'AccessControlListNotSupported'],
    [{ ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date(4e12) }, 400, 'InvalidRequest'],
    [{ ServerSideEncryption: 'aws:kms' }, 501, 'NotImplemented'],
    [{ StorageClass: 'DEEP_ARCHIVE' }, 400, 'InvalidStorageClass'],
    [{ Tagging: 'a=1&a=2' }, 400, 'InvalidTag'],
    [{ ChecksumAlgorithm: 'SHA256', ChecksumType: 'FULL_OBJECT' }, 400, 'InvalidRequest'],
    [{ Bucket: 'no-such-bucket-here' }, 404, 'NoSuchBucket'],
  ];
  test.each(refused)('%o: %i %s', async (input, status, code) => {
    const error = await failure(gateway.client.send(create(input)));
    expect([error.status, error.code]).toEqual([status, code]);
  });

  test('a checksum type without an algorithm', async () => {
    const other = await makeBucket(gateway.client);
    const command = withHeaders(create({ Bucket: other }), {
      'x-amz-checksum-algorithm': '',
      'x-amz-checksum-type': 'COMPOSITE',
    });
    expect((await failure(gateway.client.send(command))).code).toBe('InvalidRequest');
    const { Uploads } = await gateway.client.send(new ListMultipartUploadsCommand({ Bucket: other }));
    expect(Uploads ?? []).toEqual([]);
  });
});
