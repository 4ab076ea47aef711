import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { ListMultipartUploadsCommandInput } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway } from './client.ts';
import { begin } from './multipart.ts';

const gateway = useGateway();

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
