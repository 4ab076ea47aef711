import { ListPartsCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway } from './client.ts';
import { begin } from './multipart.ts';

const gateway = useGateway();

describe('UploadPart', () => {
  test('answers ETag and checksum', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
    const UploadId = await begin(gateway.client, target);
    const output = await gateway.client.send(
      new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: 'hello' }),
    );
    expect([output.ETag, output.ChecksumCRC32, output.ServerSideEncryption]).toEqual([
      '"5d41402abc4b2a76b9719d911017c592"',
      'NhCmhg==',
      'AES256',
    ]);
  });

  test('refusals', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'key' };
    const UploadId = await begin(gateway.client, target, { ChecksumAlgorithm: 'SHA256' });
    const part = (input: Partial<ConstructorParameters<typeof UploadPartCommand>[0]>) =>
      failure(
        gateway.client.send(
          new UploadPartCommand({
            ...target,
            UploadId,
            PartNumber: 1,
            Body: 'hello',
            ChecksumAlgorithm: 'SHA256',
            ...input,
          }),
        ),
      );
    expect((await part({ PartNumber: 0 })).code).toBe('InvalidArgument');
    expect((await part({ PartNumber: 10_001 })).code).toBe('InvalidArgument');
    expect((await part({ UploadId: 'nonsense' })).code).toBe('NoSuchUpload');
    expect((await part({ ChecksumAlgorithm: 'CRC32' })).code).toBe('InvalidRequest');
    expect((await part({ ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' })).code).toBe('BadDigest');
    const { Parts } = await gateway.client.send(new ListPartsCommand({ ...target, UploadId }));
    expect(Parts ?? []).toEqual([]);
  });
});
