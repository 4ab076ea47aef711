import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { ListMultipartUploadsCommandInput, ListPartsCommandOutput } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway } from './client.ts';
import { begin, partBody, upload } from './multipart.ts';

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

describe('ListParts', () => {
  test('in pages, with checksums', async () => {
    const target = { Bucket: await makeBucket(gateway.client), Key: 'a b' };
    const UploadId = await begin(gateway.client, target, {
      ChecksumAlgorithm: 'CRC32',
      StorageClass: 'STANDARD_IA',
    });
    for (const number of [5, 1, 3])
      await upload(gateway.client, target, UploadId, number, partBody(number, number));
    const list = (MaxParts?: number, PartNumberMarker?: string): Promise<ListPartsCommandOutput> =>
      gateway.client.send(new ListPartsCommand({ ...target, UploadId, MaxParts, PartNumberMarker }));

    const all = await list();
    expect(all).toMatchObject({
      ...target,
      UploadId,
      StorageClass: 'STANDARD_IA',
      MaxParts: 1000,
      IsTruncated: false,
      ChecksumAlgorithm: 'CRC32',
      ChecksumType: 'COMPOSITE',
    });
    expect(all.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, 1],
      [3, 3],
      [5, 5],
    ]);
    expect(all.Parts?.[0]?.ChecksumCRC32).toMatch(/==$/);
    expect(all.Parts?.[0]?.LastModified).toBeInstanceOf(Date);
    expect(all.Owner?.ID).toBe(all.Initiator?.ID);

    const first = await list(2);
    expect([first.IsTruncated, first.NextPartNumberMarker]).toEqual([true, '3']);
    const second = await list(2, first.NextPartNumberMarker);
    expect([second.IsTruncated, second.Parts?.map(({ PartNumber }) => PartNumber)]).toEqual([false, [5]]);
    expect((await failure(list(-1))).code).toBe('InvalidArgument');
  });
});

describe('ListMultipartUploads', () => {
  test('in pages, by prefix, with delimiter', async () => {
    const Bucket = await makeBucket(gateway.client);
    const keys = ['a', 'a', 'b/1', 'b/2', 'c ü'];
    const ids: string[] = [];
    for (const Key of keys) ids.push(await begin(gateway.client, { Bucket, Key }));
    const list = (input: Partial<ListMultipartUploadsCommandInput> = {}) =>
      gateway.client.send(new ListMultipartUploadsCommand({ Bucket, ...input }));

    const all = await list();
    expect(all.Uploads?.map(({ Key }) => Key)).toEqual(keys);
    expect(new Set(all.Uploads?.map(({ UploadId }) => UploadId))).toEqual(new Set(ids));
    expect(all).toMatchObject({ Bucket, MaxUploads: 1000, IsTruncated: false });
    expect(all.Uploads?.[0]).toMatchObject({ StorageClass: 'STANDARD', Initiated: expect.any(Date) });

    const prefixed = await list({ Prefix: 'b/' });
    expect(prefixed.Uploads?.map(({ Key }) => Key)).toEqual(['b/1', 'b/2']);
    const grouped = await list({ Delimiter: '/' });
    expect(grouped.Uploads?.map(({ Key }) => Key)).toEqual(['a', 'a', 'c ü']);
    expect(grouped.CommonPrefixes).toEqual([{ Prefix: 'b/' }]);
    const encoded = await list({ EncodingType: 'url', Prefix: 'c ' });
    expect(encoded.Uploads?.map(({ Key }) => Key)).toEqual(['c%20%C3%BC']);

    const seen: (string | undefined)[] = [];
    let markers: Partial<ListMultipartUploadsCommandInput> = {};
    for (let pages = 0; pages < keys.length; pages += 1) {
      const page = await list({ MaxUploads: 1, ...markers });
      seen.push(...(page.Uploads ?? []).map(({ UploadId }) => UploadId));
      markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
    expect(seen).toEqual(all.Uploads?.map(({ UploadId }) => UploadId));
    expect((await list({ MaxUploads: 1, KeyMarker: 'c ü', UploadIdMarker: ids[4] })).Uploads ?? []).toEqual(
      [],
    );
  });

  test('refusals', async () => {
    const Bucket = await makeBucket(gateway.client);
    const list = (input: Partial<ListMultipartUploadsCommandInput>) =>
      failure(gateway.client.send(new ListMultipartUploadsCommand({ Bucket, ...input })));
    expect((await list({ MaxUploads: -1 })).code).toBe('InvalidArgument');
    expect((await list({ EncodingType: 'base64' as 'url' })).code).toBe('InvalidArgument');
    expect((await list({ Bucket: 'no-such-bucket-here' })).code).toBe('NoSuchBucket');
  });
});
