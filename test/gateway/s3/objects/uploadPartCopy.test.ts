import {
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import type { UploadPartCopyCommandInput } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure, makeBucket, md5Hex, multipartETag, useGateway } from './client.ts';
import { PART_BYTES, begin, complete, partBody } from './multipart.ts';

const gateway = useGateway();
const SOURCE = Buffer.concat([partBody(1), partBody(2, 1000)]);
let bucket: string;
let target: { Bucket: string; Key: string };
beforeAll(async () => {
  bucket = await makeBucket(gateway.client);
  target = { Bucket: bucket, Key: 'target' };
  await gateway.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a source', Body: SOURCE }));
});

const copy = (UploadId: string, PartNumber: number, input: Partial<UploadPartCopyCommandInput> = {}) =>
  gateway.client.send(
    new UploadPartCopyCommand({
      ...target,
      UploadId,
      PartNumber,
      CopySource: `${bucket}/a%20source`,
      ...input,
    }),
  );

describe('UploadPartCopy', () => {
  test('copies all or a range of a source, which may go afterwards', async () => {
    const gone = { Bucket: bucket, Key: 'gone' };
    await gateway.client.send(new PutObjectCommand({ ...gone, Body: SOURCE }));
    const UploadId = await begin(gateway.client, target);
    const pieces = [SOURCE, SOURCE.subarray(100, 100 + PART_BYTES), SOURCE.subarray(0, 1)];
    const outputs = [
      await copy(UploadId, 1, { CopySource: `${bucket}/gone` }),
      await copy(UploadId, 2, { CopySourceRange: `bytes=100-${PART_BYTES + 99}` }),
      await copy(UploadId, 3, { CopySourceRange: 'bytes=0-0' }),
    ];
    expect(outputs.map(({ CopyPartResult }) => CopyPartResult?.ETag)).toEqual(
      pieces.map((piece) => `"${md5Hex(piece)}"`),
    );
    expect(outputs[0]?.CopyPartResult?.LastModified).toBeInstanceOf(Date);
    await gateway.client.send(new DeleteObjectCommand(gone));
    const { ETag } = await complete(
      gateway.client,
      target,
      UploadId,
      outputs.map(({ CopyPartResult }, index) => ({ PartNumber: index + 1, ETag: CopyPartResult?.ETag })),
    );
    expect(ETag).toBe(multipartETag(pieces));
    const { Body } = await gateway.client.send(new GetObjectCommand(target));
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
    expect(md5Hex(bytes)).toBe(md5Hex(Buffer.concat(pieces)));
  });

  test('names the version that was copied', async () => {
    const versioned = await makeBucket(gateway.client, true);
    const { VersionId } = await gateway.client.send(
      new PutObjectCommand({ Bucket: versioned, Key: 'key', Body: 'x' }),
    );
    const UploadId = await begin(gateway.client, target);
    const output = await copy(UploadId, 1, { CopySource: `${versioned}/key` });
    expect(output.CopySourceVersionId).toBe(VersionId);
  });

  test('ranges that are wrong', async () => {
    const UploadId = await begin(gateway.client, target);
    for (const CopySourceRange of ['bytes=0', '0-2', 'bytes=5-2', 'bytes=-5', 'bytes=0-', 'bytes=0-1,3-4']) {
      const error = await failure(copy(UploadId, 1, { CopySourceRange }));
      expect([error.status, error.code]).toEqual([400, 'InvalidArgument']);
    }
    const beyond = await failure(copy(UploadId, 1, { CopySourceRange: `bytes=0-${SOURCE.length}` }));
    expect(beyond.code).toBe('InvalidRange');
  });

  test('refusals', async () => {
    const UploadId = await begin(gateway.client, target);
    expect((await failure(copy(UploadId, 10_001))).code).toBe('InvalidArgument');
    expect((await failure(copy('nonsense', 1))).code).toBe('NoSuchUpload');
    expect((await failure(copy(UploadId, 1, { CopySource: `${bucket}/absent` }))).code).toBe('NoSuchKey');
    expect((await failure(copy(UploadId, 1, { CopySource: 'nothing' }))).code).toBe('InvalidArgument');
    const unmatched = await failure(copy(UploadId, 1, { CopySourceIfMatch: '"other"' }));
    expect(unmatched.status).toBe(412);
  });
});
