import { createHash } from 'node:crypto';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { CopyObjectCommandInput, PutObjectCommandInput } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure, makeBucket, md5Hex, rawRequest, useGateway } from './client.ts';

const gateway = useGateway();
let bucket: string;
beforeAll(async () => {
  bucket = await makeBucket(gateway.client);
});

const put = (Key: string, input: Partial<PutObjectCommandInput> = {}) =>
  gateway.client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'body', ...input }));
const copy = (from: string, Key: string, input: Partial<CopyObjectCommandInput> = {}) =>
  gateway.client.send(
    new CopyObjectCommand({
      Bucket: bucket,
      Key,
      CopySource: `${bucket}/${encodeURIComponent(from)}`,
      ...input,
    }),
  );
const head = (Key: string) => gateway.client.send(new HeadObjectCommand({ Bucket: bucket, Key }));
async function read(Bucket: string, Key: string): Promise<string | undefined> {
  const { Body } = await gateway.client.send(new GetObjectCommand({ Bucket, Key }));
  return Body?.transformToString();
}
async function tagsOf(Key: string) {
  const { TagSet } = await gateway.client.send(new GetObjectTaggingCommand({ Bucket: bucket, Key }));
  return TagSet;
}

const DESCRIBED = {
  ContentType: 'text/plain',
  CacheControl: 'no-store',
  Metadata: { a: 'b' },
  Tagging: 't=1',
} as const;

describe('CopyObject', () => {
  test('keeps what the source has', async () => {
    await put('source', DESCRIBED);
    const output = await copy('source', 'kept');
    expect(output.CopyObjectResult?.ETag).toBe(`"${md5Hex('body')}"`);
    expect(output.CopyObjectResult?.LastModified).toBeInstanceOf(Date);
    expect(output.CopySourceVersionId).toBeUndefined();
    expect(await head('kept')).toMatchObject({
      ContentType: 'text/plain',
      CacheControl: 'no-store',
      Metadata: { a: 'b' },
    });
    expect(await tagsOf('kept')).toEqual([{ Key: 't', Value: '1' }]);
    expect(await read(bucket, 'kept')).toBe('body');
  });

  test('REPLACE stores what the request has', async () => {
    await put('source', DESCRIBED);
    await copy('source', 'replaced', {
      MetadataDirective: 'REPLACE',
      ContentType: 'image/png',
      Metadata: { c: 'd' },
      TaggingDirective: 'REPLACE',
      Tagging: 'u=2',
    });
    const shown = await head('replaced');
    expect([shown.ContentType, shown.CacheControl, shown.Metadata]).toEqual([
      'image/png',
      undefined,
      { c: 'd' },
    ]);
    expect(await tagsOf('replaced')).toEqual([{ Key: 'u', Value: '2' }]);
  });

  test('a storage class of its own beside the metadata of the source', async () => {
    await put('source', { ...DESCRIBED, WebsiteRedirectLocation: '/old' });
    await copy('source', 'classed', { StorageClass: 'STANDARD_IA' });
    expect(await head('classed')).toMatchObject({
      StorageClass: 'STANDARD_IA',
      ContentType: 'text/plain',
      Metadata: { a: 'b' },
    });
    expect((await head('classed')).WebsiteRedirectLocation).toBeUndefined();
    await copy('classed', 'classed', { StorageClass: 'STANDARD' });
    expect((await head('classed')).StorageClass).toBeUndefined();
  });

  test("the source's storage class and redirect are not the copy's", async () => {
    await put('source', { ...DESCRIBED, StorageClass: 'STANDARD_IA', WebsiteRedirectLocation: '/old' });
    await copy('source', 'plain');
    const shown = await head('plain');
    expect([shown.StorageClass, shown.WebsiteRedirectLocation, shown.ContentType]).toEqual([
      undefined,
      undefined,
      'text/plain',
    ]);
    await copy('source', 'redirected', { WebsiteRedirectLocation: '/new' });
    expect((await head('redirected')).WebsiteRedirectLocation).toBe('/new');
  });

  test('onto itself only with a change', async () => {
    await put('itself', DESCRIBED);
    const error = await failure(copy('itself', 'itself'));
    expect([error.status, error.code]).toEqual([400, 'InvalidRequest']);
    expect(error.message).toContain('copy an object to itself without changing');
    await copy('itself', 'itself', { MetadataDirective: 'REPLACE', Metadata: { mtime: '1' } });
    expect((await head('itself')).Metadata).toEqual({ mtime: '1' });
    expect(await read(bucket, 'itself')).toBe('body');
  });

  test.each(['a b', 'a+b', 'ä€', 'a/../b', 'q?versionId=x', '100%'])('source key %j', async (key) => {
    await put(key, { Body: key });
    await copy(key, 'from-odd-key');
    expect(await read(bucket, 'from-odd-key')).toBe(key);
    await copy(key, 'from-odd-key', { CopySource: encodeURIComponent(`/${bucket}/${key}`) });
  });

  test('into another bucket, of another version', async () => {
    const versioned = await makeBucket(gateway.client, true);
    const target = { Bucket: versioned, Key: 'key' };
    const first = await gateway.client.send(new PutObjectCommand({ ...target, Body: 'one' }));
    await gateway.client.send(new PutObjectCommand({ ...target, Body: 'two' }));
    const CopySource = `${versioned}/key?versionId=${first.VersionId}`;
    const output = await copy('', 'from-version', { CopySource });
    expect(output.CopySourceVersionId).toBe(first.VersionId);
    expect(output.VersionId).toBeUndefined();
    expect(await read(bucket, 'from-version')).toBe('one');
    const restored = await gateway.client.send(new CopyObjectCommand({ ...target, CopySource }));
    expect(restored.VersionId).toMatch(/./);
    expect(await read(versioned, 'key')).toBe('one');

    const marker = await gateway.client.send(new DeleteObjectCommand(target));
    const gone = await failure(copy('', 'x', { CopySource: `${versioned}/key` }));
    expect([gone.status, gone.code]).toEqual([404, 'NoSuchKey']);
    const wrong = await failure(
      copy('', 'x', { CopySource: `${versioned}/key?versionId=${marker.VersionId}` }),
    );
    expect([wrong.status, wrong.code]).toEqual([400, 'InvalidRequest']);
  });

  test('conditions on the source, all of them 412', async () => {
    const { ETag } = await put('conditioned');
    await copy('conditioned', 'ok', { CopySourceIfMatch: ETag });
    await copy('conditioned', 'ok', { CopySourceIfNoneMatch: '"other"' });
    await copy('conditioned', 'ok', { CopySourceIfMatch: ETag, CopySourceIfUnmodifiedSince: new Date(0) });
    for (const input of [
      { CopySourceIfMatch: '"other"' },
      { CopySourceIfNoneMatch: ETag },
      { CopySourceIfUnmodifiedSince: new Date(0) },
    ]) {
      const error = await failure(copy('conditioned', 'not-made', input));
      expect([error.status, error.code]).toEqual([412, 'PreconditionFailed']);
    }
    expect((await failure(head('not-made'))).status).toBe(404);
  });

  test('conditions on the destination', async () => {
    await put('source');
    await copy('source', 'fresh', { IfNoneMatch: '*' });
    expect((await failure(copy('source', 'fresh', { IfNoneMatch: '*' }))).status).toBe(412);
    expect((await failure(copy('source', 'fresh', { IfMatch: '"other"' }))).status).toBe(412);
  });

  test('a checksum of another algorithm', async () => {
    await put('source');
    const { CopyObjectResult } = await copy('source', 'summed', { ChecksumAlgorithm: 'SHA256' });
    expect(CopyObjectResult?.ChecksumSHA256).toBe(createHash('sha256').update('body').digest('base64'));
    expect(CopyObjectResult?.ChecksumType).toBe('FULL_OBJECT');
  });

  test.each([
    [{ CopySource: 'nothing' }, 400, 'InvalidArgument'],
    [{ CopySource: 'no-such-bucket-here/key' }, 404, 'NoSuchBucket'],
    [{ MetadataDirective: 'MERGE' as 'COPY' }, 400, 'InvalidArgument'],
    [{ TaggingDirective: 'MERGE' as 'COPY' }, 400, 'InvalidArgument'],
    [{ ACL: 'public-read' as const }, 400, 'AccessControlListNotSupported'],
  ])('%o: %i %s', async (input, status, code) => {
    await put('source');
    const error = await failure(copy('source', 'refused', input));
    expect([error.status, error.code]).toEqual([status, code]);
  });

  test('a missing source', async () => {
    const error = await failure(copy('absent', 'x'));
    expect([error.status, error.code]).toEqual([404, 'NoSuchKey']);
  });

  test('presigned, with the source in the query', async () => {
    await put('source');
    const command = new CopyObjectCommand({
      Bucket: bucket,
      Key: 'presigned',
      CopySource: `${bucket}/source`,
    });
    const response = await rawRequest('PUT', await getSignedUrl(gateway.client, command), {
      'content-length': 0,
    });
    expect(response.body.toString()).toContain('<CopyObjectResult');
    expect(await read(bucket, 'presigned')).toBe('body');
  });
});
