import { ListPartsCommand } from '@aws-sdk/client-s3';
import type { ListPartsCommandOutput } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway } from './client.ts';
import { begin, partBody, upload } from './multipart.ts';

const gateway = useGateway();

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
