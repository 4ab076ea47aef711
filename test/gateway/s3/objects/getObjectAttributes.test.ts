import { GetObjectAttributesCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { GetObjectAttributesCommandInput } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure, makeBucket, md5Hex, responseHeaders, useGateway, withHeaders } from './client.ts';
import { PART_BYTES, makeMultipart, partBody } from './multipart.ts';

const gateway = useGateway();
let bucket: string;
beforeAll(async () => {
  bucket = await makeBucket(gateway.client);
});

const ALL = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
const command = (input: Partial<GetObjectAttributesCommandInput> = {}) =>
  new GetObjectAttributesCommand({ Bucket: bucket, Key: 'key', ObjectAttributes: [...ALL], ...input });

describe('GetObjectAttributes', () => {
  test('of a plain object', async () => {
    await gateway.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'key', Body: 'hello' }));
    const request = command();
    const headers = responseHeaders(request);
    const output = await gateway.client.send(request);
    expect(output).toMatchObject({
      ETag: md5Hex('hello'),
      Checksum: { ChecksumCRC32: 'NhCmhg==', ChecksumType: 'FULL_OBJECT' },
      StorageClass: 'STANDARD',
      ObjectSize: 5,
    });
    expect(output.ObjectParts).toBeUndefined();
    expect(output.LastModified).toBeInstanceOf(Date);
    expect(headers.get('x-amz-version-id')).toBeUndefined();
  });

  test('only what is asked for', async () => {
    await gateway.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'key', Body: 'hello' }));
    const { $metadata, LastModified, ...output } = await gateway.client.send(
      command({ ObjectAttributes: ['ObjectSize'] }),
    );
    expect([$metadata.httpStatusCode, LastModified instanceof Date]).toEqual([200, true]);
    expect(JSON.parse(JSON.stringify(output))).toEqual({ ObjectSize: 5 });
  });

  test('pages of parts', async () => {
    const target = { Bucket: bucket, Key: 'parts' };
    const parts = [1, 2, 3].map((number) => [number, partBody(number, number < 3 ? PART_BYTES : 7)] as const);
    await makeMultipart(gateway.client, target, parts, { ChecksumAlgorithm: 'CRC32' });
    const first = await gateway.client.send(command({ Key: 'parts', MaxParts: 2 }));
    expect(first.ObjectParts).toMatchObject({
      TotalPartsCount: 3,
      PartNumberMarker: '0',
      NextPartNumberMarker: '2',
      MaxParts: 2,
      IsTruncated: true,
      Parts: [
        { PartNumber: 1, Size: PART_BYTES },
        { PartNumber: 2, Size: PART_BYTES },
      ],
    });
    expect(first.ObjectParts?.Parts?.[0]?.ChecksumCRC32).toMatch(/==$/);
    expect(first.Checksum?.ChecksumType).toBe('COMPOSITE');
    const second = await gateway.client.send(command({ Key: 'parts', MaxParts: 2, PartNumberMarker: '2' }));
    expect(second.ObjectParts).toMatchObject({ IsTruncated: false, Parts: [{ PartNumber: 3, Size: 7 }] });
  });

  test('refusals', async () => {
    await gateway.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'key', Body: 'hello' }));
    const unknown = withHeaders(command(), { 'x-amz-object-attributes': 'ETag,Colour' });
    expect((await failure(gateway.client.send(unknown))).code).toBe('InvalidArgument');
    const none = withHeaders(command(), { 'x-amz-object-attributes': '' });
    expect((await failure(gateway.client.send(none))).code).toBe('InvalidRequest');
    expect((await failure(gateway.client.send(command({ Key: 'absent' })))).code).toBe('NoSuchKey');
  });
});
