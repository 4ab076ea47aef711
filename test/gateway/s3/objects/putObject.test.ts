import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { beforeAll, describe, expect, test } from 'vitest';
import { codeIn, failure, makeBucket, md5Hex, rawRequest, responseHeaders, useGateway } from './client.ts';

const gateway = useGateway();
let bucket: string;
beforeAll(async () => {
  bucket = await makeBucket(gateway.client);
});

const put = (input: Omit<PutObjectCommandInput, 'Bucket'>) =>
  new PutObjectCommand({ Bucket: bucket, ...input });
const head = (key: string) => gateway.client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
async function read(key: string): Promise<string | undefined> {
  const { Body } = await gateway.client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Body?.transformToString();
}

describe('PutObject', () => {
  test('answers ETag, checksum, encryption and the domain rule', async () => {
    const command = put({ Key: 'plain', Body: 'hello' });
    const headers = responseHeaders(command);
    const output = await gateway.client.send(command);
    expect(output.ETag).toBe(`"${md5Hex('hello')}"`);
    expect(output.ChecksumCRC32).toBe('NhCmhg==');
    expect(output.ChecksumType).toBe('FULL_OBJECT');
    expect(output.ServerSideEncryption).toBe('AES256');
    expect(output.VersionId).toBeUndefined();
    expect(headers.get('x-shardway-domain-rule')).toBe('site,operator');
    expect(await read('plain')).toBe('hello');
  });

  test('names the version in a versioned bucket', async () => {
    const versioned = await makeBucket(gateway.client, true);
    const first = await gateway.client.send(new PutObjectCommand({ Bucket: versioned, Key: 'k', Body: '1' }));
    const second = await gateway.client.send(
      new PutObjectCommand({ Bucket: versioned, Key: 'k', Body: '2' }),
    );
    expect(first.VersionId).toMatch(/./);
    expect(second.VersionId).not.toBe(first.VersionId);
  });

  test('does not name the null version of suspended versioning; reads do', async () => {
    const { client } = gateway;
    const target = { Bucket: await makeBucket(client, true), Key: 'k' };
    await client.send(
      new PutBucketVersioningCommand({ ...target, VersioningConfiguration: { Status: 'Suspended' } }),
    );
    expect((await client.send(new PutObjectCommand({ ...target, Body: 'x' }))).VersionId).toBeUndefined();
    const source = { ...target, CopySource: `${target.Bucket}/k`, MetadataDirective: 'REPLACE' } as const;
    expect((await client.send(new CopyObjectCommand(source))).VersionId).toBeUndefined();
    expect((await client.send(new HeadObjectCommand(target))).VersionId).toBe('null');
  });

  test.each(['a/b', 'a//b', '../x', 'ends/', 'space + plus', 'ä€𝄞', 'q?&=#%25\'"<>'])(
    'key %j',
    async (key) => {
      await gateway.client.send(put({ Key: key, Body: key }));
      expect(await read(key)).toBe(key);
    },
  );

  test.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
    '%s is checked and kept',
    async (algorithm) => {
      const key = `checksum-${algorithm}`;
      const output = await gateway.client.send(
        put({ Key: key, Body: 'hello', ChecksumAlgorithm: algorithm }),
      );
      const value = output[`Checksum${algorithm}`];
      expect(value).toMatch(/=$/);
      const shown = await gateway.client.send(
        new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' }),
      );
      expect(shown[`Checksum${algorithm}`]).toBe(value);
      const other = createHash('sha256').update('other').digest('base64');
      const wrong = await failure(
        gateway.client.send(
          algorithm === 'SHA256'
            ? put({ Key: 'wrong', Body: 'hello', ChecksumSHA256: other })
            : put({ Key: 'wrong', Body: 'hello', [`Checksum${algorithm}`]: zeros(algorithm) }),
        ),
      );
      expect([wrong.status, wrong.code]).toEqual([400, 'BadDigest']);
      expect((await failure(head('wrong'))).status).toBe(404);
    },
  );

  test('Content-MD5', async () => {
    const md5 = createHash('md5').update('hello').digest('base64');
    await gateway.client.send(put({ Key: 'md5', Body: 'hello', ContentMD5: md5 }));
    const wrong = await failure(
      gateway.client.send(put({ Key: 'md5-wrong', Body: 'hullo', ContentMD5: md5 })),
    );
    expect([wrong.status, wrong.code]).toEqual([400, 'BadDigest']);
    const malformed = await failure(
      gateway.client.send(put({ Key: 'md5-wrong', Body: 'x', ContentMD5: 'YWJj' })),
    );
    expect([malformed.status, malformed.code]).toEqual([400, 'InvalidDigest']);
    expect((await failure(head('md5-wrong'))).status).toBe(404);
  });

  test('a stream with its checksum in the trailer: no framing in the object, aws-chunked not kept', async () => {
    const pieces = ['one ', 'two ', 'three'].map((text) => Buffer.from(text.repeat(5000)));
    const body = Buffer.concat(pieces);
    const output = await gateway.client.send(
      put({
        Key: 'stream',
        Body: Readable.from(pieces),
        ContentLength: body.length,
        ContentEncoding: 'gzip',
      }),
    );
    expect(output.ETag).toBe(`"${md5Hex(body)}"`);
    expect(output.ChecksumCRC32).toBeDefined();
    const shown = await head('stream');
    expect([shown.ContentLength, shown.ContentEncoding]).toEqual([body.length, 'gzip']);
  });

  test('metadata and system headers come back', async () => {
    const input = {
      Key: 'described',
      Body: 'x',
      ContentType: 'text/plain; charset=utf-8',
      CacheControl: 'no-store',
      ContentDisposition: 'attachment; filename="a b.txt"',
      ContentLanguage: 'de',
      WebsiteRedirectLocation: '/there',
      StorageClass: 'STANDARD_IA',
      Metadata: { plain: 'value', mtime: '1700000000.5' },
      Tagging: 'a=b&c=d%20e',
    } as const;
    await gateway.client.send(put(input));
    const shown = await head('described');
    expect(shown).toMatchObject({
      ContentType: input.ContentType,
      CacheControl: input.CacheControl,
      ContentDisposition: input.ContentDisposition,
      ContentLanguage: input.ContentLanguage,
      WebsiteRedirectLocation: '/there',
      StorageClass: 'STANDARD_IA',
      Metadata: input.Metadata,
      TagCount: 2,
    });
  });

  test('metadata that is not ASCII comes back as RFC 2047', async () => {
    await gateway.client.send(put({ Key: 'unicode', Body: 'x', Metadata: { text: 'Grüße' } }));
    expect((await head('unicode')).Metadata?.['text']).toBe('=?UTF-8?B?R3LDvMOfZQ==?=');
  });

  test('no content type is binary/octet-stream', async () => {
    await gateway.client.send(put({ Key: 'untyped', Body: '' }));
    const shown = await head('untyped');
    expect([shown.ContentLength, shown.StorageClass]).toEqual([0, undefined]);
    const url = await getSignedUrl(gateway.client, put({ Key: 'untyped-raw' }));
    await rawRequest('PUT', url, { 'content-length': 1 }, 'x');
    expect((await head('untyped-raw')).ContentType).toBe('binary/octet-stream');
  });

  const refused: [string, Omit<PutObjectCommandInput, 'Bucket' | 'Key'>, number, string][] = [
    ['a public ACL', { ACL: 'public-read' }, 400, 'AccessControlListNotSupported'],
    ['a grant', { GrantRead: 'id=1' }, 400, 'AccessControlListNotSupported'],
    ['a lock', { ObjectLockLegalHoldStatus: 'ON' }, 400, 'InvalidRequest'],
    ['an append', { WriteOffsetBytes: 5 }, 501, 'NotImplemented'],
    ['KMS', { ServerSideEncryption: 'aws:kms' }, 501, 'NotImplemented'],
    ['an archive class', { StorageClass: 'GLACIER' }, 400, 'InvalidStorageClass'],
    ['large metadata', { Metadata: { a: 'x'.repeat(2048) } }, 400, 'MetadataTooLarge'],
    ['eleven tags', { Tagging: 'a&b&c&d&e&f&g&h&i&j&k' }, 400, 'InvalidTag'],
  ];
  test.each(refused)('%s is refused', async (_, input, status, code) => {
    const error = await failure(gateway.client.send(put({ Key: 'refused', Body: 'x', ...input })));
    expect([error.status, error.code]).toEqual([status, code]);
    expect((await failure(head('refused'))).status).toBe(404);
  });

  test('ACLs that say what is so anyway', async () => {
    await gateway.client.send(put({ Key: 'private', Body: 'x', ACL: 'private' }));
    await gateway.client.send(put({ Key: 'private', Body: 'x', ACL: 'bucket-owner-full-control' }));
    expect(await read('private')).toBe('x');
  });
});

describe('conditional PutObject', () => {
  test('If-None-Match: * makes a key once', async () => {
    await gateway.client.send(put({ Key: 'once', Body: '1', IfNoneMatch: '*' }));
    const error = await failure(gateway.client.send(put({ Key: 'once', Body: '2', IfNoneMatch: '*' })));
    expect([error.status, error.code]).toEqual([412, 'PreconditionFailed']);
    expect(await read('once')).toBe('1');
    await gateway.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'once' }));
    await gateway.client.send(put({ Key: 'once', Body: '3', IfNoneMatch: '*' }));
  });

  test('If-Match replaces what was seen', async () => {
    const { ETag } = await gateway.client.send(put({ Key: 'seen', Body: '1' }));
    await gateway.client.send(put({ Key: 'seen', Body: '2', IfMatch: ETag }));
    const error = await failure(gateway.client.send(put({ Key: 'seen', Body: '3', IfMatch: ETag })));
    expect([error.status, error.code]).toEqual([412, 'PreconditionFailed']);
    expect(await read('seen')).toBe('2');
    const absent = await failure(gateway.client.send(put({ Key: 'never', Body: '3', IfMatch: ETag })));
    expect([absent.status, absent.code]).toEqual([404, 'NoSuchKey']);
  });

  test('of many at once one makes the key', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, at) =>
        gateway.client.send(put({ Key: 'race', Body: `${at}`, IfNoneMatch: '*' })),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

describe('PutObject on the wire', () => {
  test('a body of no declared length', async () => {
    const url = await getSignedUrl(gateway.client, put({ Key: 'unframed' }));
    const response = await rawRequest('PUT', url, { 'transfer-encoding': 'chunked' }, 'hello');
    expect([response.status, codeIn(response.body)]).toEqual([411, 'MissingContentLength']);
  });

  test('a presigned upload as the SDK signs it: checksum of nothing, metadata and class in the query', async () => {
    const url = await getSignedUrl(
      gateway.client,
      put({
        Key: 'presigned',
        Metadata: { hoisted: 'yes' },
        StorageClass: 'ONEZONE_IA',
        ContentType: 'text/plain',
      }),
      { unsignableHeaders: new Set(['content-type']) },
    );
    expect(url).toContain('x-amz-checksum-crc32=AAAAAA');
    const response = await rawRequest(
      'PUT',
      url,
      { 'content-length': 5, 'content-type': 'text/plain' },
      'hello',
    );
    expect(response.status).toBe(200);
    expect(await read('presigned')).toBe('hello');
    expect(await head('presigned')).toMatchObject({
      Metadata: { hoisted: 'yes' },
      StorageClass: 'ONEZONE_IA',
    });
  });

  test('a presigned checksum of a body is checked', async () => {
    const ChecksumSHA256 = createHash('sha256').update('hello').digest('base64');
    const url = await getSignedUrl(gateway.client, put({ Key: 'presigned-sum', ChecksumSHA256 }));
    const wrong = await rawRequest('PUT', url, { 'content-length': 5 }, 'hullo');
    expect([wrong.status, codeIn(wrong.body)]).toEqual([400, 'BadDigest']);
    expect((await rawRequest('PUT', url, { 'content-length': 5 }, 'hello')).status).toBe(200);
  });

  test('a presigned public ACL is refused too', async () => {
    const url = await getSignedUrl(gateway.client, put({ Key: 'presigned-acl', ACL: 'public-read' }));
    const response = await rawRequest('PUT', url, { 'content-length': 1 }, 'x');
    expect([response.status, codeIn(response.body)]).toEqual([400, 'AccessControlListNotSupported']);
  });
});

/** Well-formed and wrong. */
function zeros(algorithm: 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1'): string {
  const size = { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20 }[algorithm];
  return Buffer.alloc(size).toString('base64');
}
