import { createHash } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { CompletedPart } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure, makeBucket, multipartETag, useGateway, withHeaders } from './client.ts';
import { PART_BYTES, begin, complete, makeMultipart, partBody, upload } from './multipart.ts';

const gateway = useGateway();
let bucket: string;
beforeAll(async () => {
  bucket = await makeBucket(gateway.client);
});
const at = (Key: string) => ({ Bucket: bucket, Key });

async function read(Key: string): Promise<Buffer> {
  const { Body } = await gateway.client.send(new GetObjectCommand(at(Key)));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

describe('CompleteMultipartUpload', () => {
  test('joins the parts, numbered as the client likes, in any order of upload', async () => {
    const target = at('joined');
    const { client } = gateway;
    const bodies = [partBody(2), partBody(7, PART_BYTES + 13), partBody(9, 11)];
    const UploadId = await begin(client, target, {
      ContentType: 'text/plain',
      Metadata: { a: 'b' },
      Tagging: 't=1',
    });
    const last = await upload(client, target, UploadId, 9, bodies[2] as Buffer);
    const first = await upload(client, target, UploadId, 2, partBody(0, 5));
    const again = await upload(client, target, UploadId, 2, bodies[0] as Buffer);
    const middle = await upload(client, target, UploadId, 7, bodies[1] as Buffer);
    expect(again.ETag).not.toBe(first.ETag);
    const output = await complete(client, target, UploadId, [again, middle, last]);
    expect(output).toMatchObject({
      Bucket: bucket,
      Key: 'joined',
      ETag: multipartETag(bodies),
      Location: `${gateway.endpoint}/${bucket}/joined`,
      ServerSideEncryption: 'AES256',
    });
    // Buffer.equals: the matcher takes long over 10 MiB.
    expect((await read('joined')).equals(Buffer.concat(bodies))).toBe(true);
    expect(await client.send(new HeadObjectCommand(target))).toMatchObject({
      ContentType: 'text/plain',
      Metadata: { a: 'b' },
      TagCount: 1,
      ETag: multipartETag(bodies),
    });
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads ?? []).toEqual([]);

    const retried = await complete(client, target, UploadId, [again, middle, last]);
    expect(retried.ETag).toBe(output.ETag);
  });

  test('parts can be read one by one', async () => {
    const target = at('by-part');
    const bodies = [partBody(1), partBody(2, 100)];
    await makeMultipart(gateway.client, target, [
      [3, bodies[0] as Buffer],
      [5, bodies[1] as Buffer],
    ]);
    const output = await gateway.client.send(new GetObjectCommand({ ...target, PartNumber: 2 }));
    expect([output.$metadata.httpStatusCode, output.PartsCount, output.ContentRange]).toEqual([
      206,
      2,
      `bytes ${PART_BYTES}-${PART_BYTES + 99}/${PART_BYTES + 100}`,
    ]);
    expect(Buffer.from((await output.Body?.transformToByteArray()) ?? [])).toEqual(bodies[1]);
    const shown = await gateway.client.send(new HeadObjectCommand({ ...target, PartNumber: 1 }));
    expect([shown.ContentLength, shown.PartsCount]).toEqual([PART_BYTES, 2]);
    const error = await failure(gateway.client.send(new GetObjectCommand({ ...target, PartNumber: 3 })));
    expect([error.status, error.code]).toEqual([416, 'InvalidPartNumber']);
  });

  test.each([
    ['CRC32', 'COMPOSITE'],
    ['SHA256', 'COMPOSITE'],
    ['CRC32C', 'FULL_OBJECT'],
    ['CRC64NVME', 'FULL_OBJECT'],
  ] as const)('%s, %s', async (algorithm, type) => {
    const { client } = gateway;
    const target = at(`sum-${algorithm}`);
    const created = await client.send(
      new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: algorithm, ChecksumType: type }),
    );
    expect([created.ChecksumAlgorithm, created.ChecksumType]).toEqual([algorithm, type]);
    const { UploadId } = created;
    const bodies = [partBody(1), partBody(2, 9)];
    const parts: CompletedPart[] = [];
    for (const [index, Body] of bodies.entries()) {
      const PartNumber = index + 1;
      const part = await client.send(
        new UploadPartCommand({ ...target, UploadId, PartNumber, Body, ChecksumAlgorithm: algorithm }),
      );
      const name = `Checksum${algorithm}` as const;
      parts.push({ PartNumber, ETag: part.ETag, [name]: part[name] });
    }
    const output = await client.send(
      new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
    );
    const value = output[`Checksum${algorithm}`];
    expect(output.ChecksumType).toBe(type);
    expect(value).toMatch(type === 'COMPOSITE' ? /=-2$/ : /=$/);
    const plain = await client.send(
      new PutObjectCommand({ ...at('whole'), Body: Buffer.concat(bodies), ChecksumAlgorithm: algorithm }),
    );
    const whole = plain[`Checksum${algorithm}`];
    const ofSums = createHash('sha256')
      .update(Buffer.concat(bodies.map((body) => createHash('sha256').update(body).digest())))
      .digest('base64');
    const expected = { COMPOSITE: algorithm === 'SHA256' ? `${ofSums}-2` : value, FULL_OBJECT: whole }[type];
    expect(value).toBe(expected);
    const shown = await client.send(new HeadObjectCommand({ ...target, ChecksumMode: 'ENABLED' }));
    expect(shown[`Checksum${algorithm}`]).toBe(value);
  });

  test('what does not fit is refused, and the upload stays', async () => {
    const { client } = gateway;
    const target = at('refused');
    const UploadId = await begin(client, target);
    const first = await upload(client, target, UploadId, 1, partBody(1));
    const second = await upload(client, target, UploadId, 2, partBody(2, 3));
    const small = await upload(client, target, UploadId, 3, partBody(3, 3));
    const cases: [CompletedPart[], string][] = [
      [[second, first], 'InvalidPartOrder'],
      [[first, first], 'InvalidPartOrder'],
      [[{ PartNumber: 9, ETag: first.ETag }], 'InvalidPart'],
      [[{ PartNumber: 1, ETag: second.ETag }], 'InvalidPart'],
      [[first, second, small], 'EntityTooSmall'],
      [[], 'MalformedXML'],
      [[{ PartNumber: 10_001, ETag: first.ETag }], 'InvalidArgument'],
      [[{ PartNumber: 1 }], 'MalformedXML'],
      [[{ ...first, ChecksumSHA256: 'A'.repeat(43) + '=' }], 'InvalidPart'],
    ];
    for (const [parts, code] of cases) {
      const error = await failure(complete(client, target, UploadId, parts));
      expect([error.status, error.code]).toEqual([400, code]);
    }
    const wrongSize = new CompleteMultipartUploadCommand({
      ...target,
      UploadId,
      MpuObjectSize: 5,
      MultipartUpload: { Parts: [first, second] },
    });
    expect((await failure(client.send(wrongSize))).code).toBe('InvalidRequest');
    await complete(client, target, UploadId, [first, second]);
    expect((await read('refused')).length).toBe(PART_BYTES + 3);
  });

  test('an upload that is not there', async () => {
    const error = await failure(
      complete(gateway.client, at('x'), 'nonsense', [{ PartNumber: 1, ETag: 'x' }]),
    );
    expect([error.status, error.code]).toEqual([404, 'NoSuchUpload']);
  });

  test('conditions', async () => {
    const { client } = gateway;
    const target = at('conditional');
    const UploadId = await begin(client, target);
    const part = await upload(client, target, UploadId, 1, partBody(1, 10));
    await client.send(new PutObjectCommand({ ...target, Body: 'first' }));
    const command = (headers: Record<string, string>) =>
      withHeaders(
        new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: [part] } }),
        headers,
      );
    expect((await failure(client.send(command({ 'if-none-match': '*' })))).status).toBe(412);
    expect((await failure(client.send(command({ 'if-match': '"other"' })))).status).toBe(412);
    await client.send(command({ 'if-match': '"8b04d5e3775d298e78455efc5ca404d5"' }));
    expect((await read('conditional')).length).toBe(10);
  });
});
