import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { GetObjectCommandInput } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { beforeAll, describe, expect, test } from 'vitest';
import { codeIn, failure, makeBucket, rawRequest, useGateway } from './client.ts';

const BODY = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251));
const PAST = new Date(Date.UTC(2001, 0, 1));
const FUTURE = new Date(Date.UTC(2035, 0, 1));

const gateway = useGateway();
let bucket: string;
let etag: string;
beforeAll(async () => {
  bucket = await makeBucket(gateway.client);
  const { ETag } = await gateway.client.send(
    new PutObjectCommand({ Bucket: bucket, Key: 'key', Body: BODY, ContentType: 'text/plain' }),
  );
  etag = ETag ?? '';
  await gateway.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'empty', Body: '' }));
});

const get = (input: Partial<GetObjectCommandInput> = {}) =>
  gateway.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'key', ...input }));
const head = (input: Partial<GetObjectCommandInput> = {}) =>
  gateway.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'key', ...input }));

describe('GetObject', () => {
  test('all of it', async () => {
    const output = await get();
    expect(Buffer.from((await output.Body?.transformToByteArray()) ?? [])).toEqual(BODY);
    expect(output).toMatchObject({
      ContentLength: BODY.length,
      ContentType: 'text/plain',
      ETag: etag,
      AcceptRanges: 'bytes',
      ServerSideEncryption: 'AES256',
    });
    expect(output.ContentRange).toBeUndefined();
    expect(output.$metadata.httpStatusCode).toBe(200);
  });

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=99990-', 99_990, 100_000],
    ['bytes=-5', 99_995, 100_000],
    ['bytes=50000-999999999', 50_000, 100_000],
  ])('%s', async (Range, start, end) => {
    const output = await get({ Range });
    expect(output.$metadata.httpStatusCode).toBe(206);
    expect(output.ContentRange).toBe(`bytes ${start}-${end - 1}/${BODY.length}`);
    expect(output.ContentLength).toBe(end - start);
    expect(Buffer.from((await output.Body?.transformToByteArray()) ?? [])).toEqual(BODY.subarray(start, end));
    const shown = await head({ Range });
    expect([shown.$metadata.httpStatusCode, shown.ContentLength, shown.ContentRange]).toEqual([
      206,
      end - start,
      output.ContentRange,
    ]);
  });

  test.each(['bytes=0-1,5-6', 'bytes=9-1', 'lines=1-2'])('%s answers the whole object', async (Range) => {
    const output = await get({ Range });
    expect([output.$metadata.httpStatusCode, output.ContentLength]).toEqual([200, BODY.length]);
    await output.Body?.transformToByteArray();
  });

  test('a range that is not there', async () => {
    const error = await failure(get({ Range: 'bytes=100000-' }));
    expect([error.status, error.code]).toEqual([416, 'InvalidRange']);
    expect(error.headers['content-range']).toBe('bytes */100000');
    expect((await failure(get({ Key: 'empty', Range: 'bytes=0-0' }))).status).toBe(416);
  });

  test('an empty object', async () => {
    const output = await get({ Key: 'empty' });
    expect([output.ContentLength, await output.Body?.transformToString()]).toEqual([0, '']);
  });

  test('a plain object is its own part 1', async () => {
    const output = await get({ PartNumber: 1 });
    expect([output.$metadata.httpStatusCode, output.ContentLength, output.PartsCount]).toEqual([
      206,
      BODY.length,
      undefined,
    ]);
    await output.Body?.transformToByteArray();
    const error = await failure(get({ PartNumber: 2 }));
    expect([error.status, error.code]).toEqual([416, 'InvalidPartNumber']);
    await expect(get({ PartNumber: 2 })).rejects.toMatchObject({
      PartNumberRequested: '2',
      ActualPartCount: '1',
    });
    expect((await failure(get({ PartNumber: 1, Range: 'bytes=0-1' }))).code).toBe('InvalidRequest');
    expect((await failure(get({ PartNumber: 0 }))).code).toBe('InvalidArgument');
  });

  test('what is not there', async () => {
    const error = await failure(get({ Key: 'absent' }));
    expect([error.status, error.code]).toEqual([404, 'NoSuchKey']);
    expect((await failure(get({ Bucket: 'no-such-bucket-here' }))).code).toBe('NoSuchBucket');
    expect((await failure(head({ Key: 'absent' }))).status).toBe(404);
  });

  test('checksum mode', async () => {
    expect((await head({ ChecksumMode: 'ENABLED' })).ChecksumCRC32).toMatch(/=$/);
    const ranged = await head({ ChecksumMode: 'ENABLED', Range: 'bytes=0-1' });
    expect(ranged.ChecksumCRC32).toBeUndefined();
  });
});

describe('conditions', () => {
  test('that hold', async () => {
    for (const input of [
      { IfMatch: etag },
      { IfMatch: '*' },
      { IfNoneMatch: '"other"' },
      { IfModifiedSince: PAST },
      { IfUnmodifiedSince: FUTURE },
      { IfMatch: etag, IfUnmodifiedSince: PAST },
    ]) {
      expect((await head(input)).$metadata.httpStatusCode).toBe(200);
    }
  });

  test.each([
    [{ IfMatch: '"other"' }, 412],
    [{ IfUnmodifiedSince: PAST }, 412],
    [{ IfModifiedSince: FUTURE }, 304],
    [{ IfMatch: '"other"', IfModifiedSince: FUTURE }, 412],
  ])('%o: %i', async (input, status) => {
    expect((await failure(get(input))).status).toBe(status);
    expect((await failure(head(input))).status).toBe(status);
  });

  test('304 names the version that the client has', async () => {
    const error = await failure(get({ IfNoneMatch: etag }));
    expect(error.status).toBe(304);
    expect(error.headers['etag']).toBe(etag);
    expect(error.headers['last-modified']).toMatch(/GMT$/);
  });
});

describe('response-* parameters', () => {
  test('take the place of what is stored', async () => {
    const output = await get({
      ResponseContentType: 'image/png',
      ResponseContentDisposition: 'attachment; filename="x"',
      ResponseCacheControl: 'no-cache',
      ResponseContentLanguage: 'fr',
      ResponseContentEncoding: 'br',
    });
    await output.Body?.transformToByteArray();
    expect(output).toMatchObject({
      ContentType: 'image/png',
      ContentDisposition: 'attachment; filename="x"',
      CacheControl: 'no-cache',
      ContentLanguage: 'fr',
      ContentEncoding: 'br',
    });
  });

  test('cannot split the response', async () => {
    const error = await failure(get({ ResponseContentType: 'a\r\nx-evil: 1' }));
    expect([error.status, error.code]).toEqual([400, 'InvalidArgument']);
  });

  test('on a presigned URL', async () => {
    const command = new GetObjectCommand({ Bucket: bucket, Key: 'empty', ResponseContentType: 'a/b' });
    const response = await rawRequest('GET', await getSignedUrl(gateway.client, command));
    expect([response.status, response.headers['content-type']]).toEqual([200, 'a/b']);
  });
});

describe('versions', () => {
  test('by id, and delete markers', async () => {
    const versioned = await makeBucket(gateway.client, true);
    const target = { Bucket: versioned, Key: 'key' };
    const first = await gateway.client.send(new PutObjectCommand({ ...target, Body: 'one' }));
    await gateway.client.send(new PutObjectCommand({ ...target, Body: 'two' }));
    const marker = await gateway.client.send(new DeleteObjectCommand(target));

    const old = await get({ ...target, VersionId: first.VersionId });
    expect([await old.Body?.transformToString(), old.VersionId]).toEqual(['one', first.VersionId]);

    const gone = await failure(get(target));
    expect([gone.status, gone.code]).toEqual([404, 'NoSuchKey']);
    expect(gone.headers['x-amz-delete-marker']).toBe('true');
    expect(gone.headers['x-amz-version-id']).toBe(marker.VersionId);

    const byId = await failure(get({ ...target, VersionId: marker.VersionId }));
    expect([byId.status, byId.code]).toEqual([405, 'MethodNotAllowed']);
    expect(byId.headers['x-amz-delete-marker']).toBe('true');
  });

  test('an empty id', async () => {
    const command = new GetObjectCommand({ Bucket: bucket, Key: 'key', VersionId: '' });
    const url = await getSignedUrl(gateway.client, command);
    const response = await rawRequest('GET', url);
    expect(url).toContain('versionId=');
    expect([response.status, codeIn(response.body)]).toEqual([400, 'InvalidArgument']);
  });
});
