import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf, startS3Gateway } from './gateway.ts';
import type { S3Gateway } from './gateway.ts';

let gateway: S3Gateway;
let client: S3Client;
const Bucket = 'listed';
const KEYS = [
  'a',
  'a/b',
  'a/c/d',
  'a//e',
  'b/',
  'b/1',
  'b/2',
  'c d',
  'e+f',
  'g\rh',
  'i<&>',
  'é',
  '\u{10000}',
  '\uffee',
];
/** Key order is that of UTF-8 bytes. */
const SORTED = KEYS.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

beforeAll(async () => {
  gateway = await startS3Gateway();
  ({ client } = gateway);
  await client.send(new CreateBucketCommand({ Bucket }));
  for (const Key of KEYS) await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
});
afterAll(() => gateway.stop());

describe('ListObjectsV2', () => {
  test('all keys, byte order, with what a client needs of each', async () => {
    const page = await client.send(new ListObjectsV2Command({ Bucket }));
    expect(page.Contents?.map(({ Key }) => Key)).toEqual(SORTED);
    expect(page).toMatchObject({
      KeyCount: KEYS.length,
      MaxKeys: 1000,
      IsTruncated: false,
      Name: Bucket,
      Prefix: '',
    });
    expect(page.NextContinuationToken).toBeUndefined();
    const [first] = page.Contents ?? [];
    expect(first).toMatchObject({
      ETag: '"0cc175b9c0f1b6a831c399e269772661"',
      Size: 1,
      StorageClass: 'STANDARD',
    });
    expect(first?.LastModified).toBeInstanceOf(Date);
    expect(first?.ChecksumAlgorithm).toEqual(['CRC32']);
    expect(first?.Owner).toBeUndefined();
  });

  test('any page size gives the same keys and prefixes once', async () => {
    for (const [Delimiter, MaxKeys] of [
      [undefined, 1],
      [undefined, 3],
      ['/', 1],
      ['/', 2],
      ['/', 5],
    ] as const) {
      const keys: string[] = [];
      const prefixes: string[] = [];
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({ Bucket, Delimiter, MaxKeys, ContinuationToken: token }),
        );
        expect(page.KeyCount).toBeLessThanOrEqual(MaxKeys);
        expect(page.IsTruncated).toBe(page.NextContinuationToken !== undefined);
        keys.push(...(page.Contents ?? []).map(({ Key }) => Key ?? ''));
        prefixes.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix ?? ''));
        token = page.NextContinuationToken;
      } while (token !== undefined);
      expect(keys).toEqual(Delimiter === undefined ? SORTED : SORTED.filter((key) => !key.includes('/')));
      expect(prefixes).toEqual(Delimiter === undefined ? [] : ['a/', 'b/']);
    }
  });

  test('start-after, prefix, fetch-owner', async () => {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket, StartAfter: 'a/c', Prefix: 'a/', FetchOwner: true }),
    );
    expect(page.Contents?.map(({ Key }) => Key)).toEqual(['a/c/d']);
    expect(page.StartAfter).toBe('a/c');
    expect(page.Contents?.[0]?.Owner?.ID).toBe('owner');
  });

  test('max-keys 0, beyond 1,000, and nonsense', async () => {
    const none = await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 0 }));
    expect(none).toMatchObject({ KeyCount: 0, MaxKeys: 0, IsTruncated: false });
    expect((await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 5000 }))).MaxKeys).toBe(1000);
    for (const value of ['-1', 'x', '1.5', '99999999999']) {
      expect(
        (await gateway.fetch('GET', `/${Bucket}`, { query: { 'list-type': '2', 'max-keys': value } })).text,
      ).toContain('<Code>InvalidArgument</Code>');
    }
  });

  test.each(['x', '1', '!', '1Zm9v!', '2Zm9v'])(
    'a token that is none of ours: %s',
    async (ContinuationToken) => {
      expect(await codeOf(client.send(new ListObjectsV2Command({ Bucket, ContinuationToken })))).toBe(
        ContinuationToken === '1' ? 'none' : 'InvalidArgument',
      );
    },
  );

  test('encoding-type=url encodes keys, prefixes and delimiters; otherwise references', async () => {
    const encoded = await gateway.fetch('GET', `/${Bucket}`, {
      query: { 'list-type': '2', 'encoding-type': 'url', delimiter: '/' },
    });
    for (const part of [
      '<Key>c%20d</Key>',
      '<Key>e%2Bf</Key>',
      '<Key>g%0Dh</Key>',
      '<Prefix>b/</Prefix>',
      '<Delimiter>/</Delimiter>',
      '<EncodingType>url</EncodingType>',
    ]) {
      expect(encoded.text).toContain(part);
    }
    const plain = await gateway.fetch('GET', `/${Bucket}`, { query: { 'list-type': '2' } });
    expect(plain.text).toContain('<Key>g&#13;h</Key>');
    expect(plain.text).not.toContain('<Delimiter>');
    const wrong = await gateway.fetch('GET', `/${Bucket}`, {
      query: { 'list-type': '2', 'encoding-type': 'gzip' },
    });
    expect(wrong.text).toContain('<Code>InvalidArgument</Code>');
  });

  test('an empty token is echoed and means the beginning', async () => {
    const page = await gateway.fetch('GET', `/${Bucket}`, {
      query: { 'list-type': '2', 'continuation-token': '', 'max-keys': '1' },
    });
    expect(page.text).toContain('<ContinuationToken></ContinuationToken>');
    expect(page.text).toContain('<Key>a</Key>');
  });
});

describe('ListObjects', () => {
  test('NextMarker with a delimiter only; the owner is always told', async () => {
    const plain = await client.send(new ListObjectsCommand({ Bucket, MaxKeys: 2 }));
    expect([plain.IsTruncated, plain.NextMarker]).toEqual([true, undefined]);
    expect(plain.Contents?.[0]?.Owner?.ID).toBe('owner');
    const first = await client.send(new ListObjectsCommand({ Bucket, MaxKeys: 2, Delimiter: '/' }));
    expect(first.CommonPrefixes).toEqual([{ Prefix: 'a/' }]);
    expect(first.NextMarker).toBe('a/');
    const second = await client.send(
      new ListObjectsCommand({ Bucket, MaxKeys: 1, Delimiter: '/', Marker: first.NextMarker }),
    );
    expect(second.CommonPrefixes).toEqual([{ Prefix: 'b/' }]);
    expect(second.Marker).toBe('a/');
  });

  test('another list type is refused', async () => {
    expect((await gateway.fetch('GET', `/${Bucket}`, { query: { 'list-type': '3' } })).status).toBe(400);
  });
});

test('ListObjectVersions: newest first, markers among them, any page size', async () => {
  const name = 'versions';
  await client.send(new CreateBucketCommand({ Bucket: name }));
  await client.send(
    new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } }),
  );
  const expected: string[] = [];
  for (const Key of ['a', 'b', 'c/1']) {
    const ids: string[] = [];
    for (const Body of ['1', '2'])
      ids.unshift((await client.send(new PutObjectCommand({ Bucket: name, Key, Body }))).VersionId ?? '');
    if (Key === 'b')
      ids.unshift((await client.send(new DeleteObjectCommand({ Bucket: name, Key }))).VersionId ?? '');
    expected.push(...ids.map((id) => `${Key} ${id}`));
  }
  for (const MaxKeys of [1, 2, 1000]) {
    const seen: string[] = [];
    let KeyMarker: string | undefined;
    let VersionIdMarker: string | undefined;
    do {
      const page = await client.send(
        new ListObjectVersionsCommand({ Bucket: name, MaxKeys, KeyMarker, VersionIdMarker }),
      );
      // The SDK keeps markers apart from versions: order within a page is checked on the keys.
      const both = [...(page.DeleteMarkers ?? []), ...(page.Versions ?? [])];
      for (const { IsLatest, Key, VersionId } of both) {
        expect(IsLatest).toBe(
          expected.find((entry) => entry.startsWith(`${Key} `)) === `${Key} ${VersionId}`,
        );
        seen.push(`${Key} ${VersionId}`);
      }
      KeyMarker = page.NextKeyMarker;
      VersionIdMarker = page.NextVersionIdMarker;
    } while (KeyMarker !== undefined);
    expect(seen.toSorted()).toEqual(expected.toSorted());
  }
  const folded = await client.send(new ListObjectVersionsCommand({ Bucket: name, Delimiter: '/' }));
  expect(folded.CommonPrefixes).toEqual([{ Prefix: 'c/' }]);
  expect(
    await codeOf(client.send(new ListObjectVersionsCommand({ Bucket: name, VersionIdMarker: 'x' }))),
  ).toBe('InvalidArgument');
});
