import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  bodyChecksum,
  checksumHeader,
  checksumHeaders,
  contentMd5,
} from '../../../../gateway/s3/headers/checksum.ts';
import { readCheckedXml, uploadBody } from '../../../../gateway/s3/headers/payload.ts';
import { uploadChecksum } from '../../../../gateway/s3/headers/uploadChecksum.ts';
import { codeOf, errorOf, headersOf, requestOf } from './request.ts';
import type { Fields, RequestParts } from './request.ts';

const SHA1 = createHash('sha1').update('hello').digest('base64');
const SHA256 = createHash('sha256').update('hello').digest('base64');

function expectedOf(parts: RequestParts): string | undefined {
  return bodyChecksum(requestOf(parts))?.expected();
}

describe('checksum of a body', () => {
  test('none', () => {
    expect(bodyChecksum(requestOf({}))).toBeUndefined();
  });

  test('in a header', () => {
    const checksum = bodyChecksum(
      requestOf({
        headers: { 'x-amz-checksum-sha256': SHA256, 'x-amz-sdk-checksum-algorithm': 'SHA256' },
      }),
    );
    expect(checksum?.algorithm).toBe('SHA256');
    expect(checksum?.expected()).toBe(SHA256);
  });

  test('in a trailer, looked up once the body has ended', () => {
    const parts: RequestParts = {
      headers: { 'x-amz-trailer': 'x-amz-checksum-sha1', 'x-amz-sdk-checksum-algorithm': 'SHA1' },
      trailers: { 'x-amz-checksum-sha1': SHA1 },
    };
    expect(bodyChecksum(requestOf(parts))?.algorithm).toBe('SHA1');
    expect(expectedOf(parts)).toBe(SHA1);
  });

  test('an announced trailer that does not come', () => {
    const parts = { headers: { 'x-amz-trailer': 'x-amz-checksum-sha1' } };
    expect(codeOf(() => expectedOf(parts))).toBe('MalformedTrailerError');
  });

  test('a malformed trailer value', () => {
    const parts = {
      headers: { 'x-amz-trailer': 'x-amz-checksum-sha1' },
      trailers: { 'x-amz-checksum-sha1': 'short' },
    };
    expect(codeOf(() => expectedOf(parts))).toBe('InvalidRequest');
  });

  test('minio-go names the algorithm without sdk', () => {
    const parts: RequestParts = {
      headers: { 'x-amz-trailer': 'x-amz-checksum-sha1', 'x-amz-checksum-algorithm': 'sha1' },
      trailers: { 'x-amz-checksum-sha1': SHA1 },
    };
    expect(expectedOf(parts)).toBe(SHA1);
  });

  const refused: [string, Fields][] = [
    ['two headers', { 'x-amz-checksum-sha256': SHA256, 'x-amz-checksum-sha1': SHA1 }],
    ['a header and a trailer', { 'x-amz-checksum-sha256': SHA256, 'x-amz-trailer': 'x-amz-checksum-sha1' }],
    ['two trailers', { 'x-amz-trailer': 'x-amz-checksum-sha1, x-amz-checksum-crc32' }],
    ['no base64', { 'x-amz-checksum-sha256': 'bad' }],
    ['empty', { 'x-amz-checksum-crc32': '' }],
    ['of the length of another algorithm', { 'x-amz-checksum-crc32': SHA1 }],
    ['an unknown algorithm', { 'x-amz-checksum-xxhash64': 'AAAAAAAAAAA=' }],
    ['an unknown algorithm in a trailer', { 'x-amz-trailer': 'x-amz-checksum-md5' }],
    ['another algorithm named', { 'x-amz-checksum-sha256': SHA256, 'x-amz-sdk-checksum-algorithm': 'CRC32' }],
    ['an algorithm named without a value', { 'x-amz-sdk-checksum-algorithm': 'CRC32' }],
    ['an unknown algorithm named', { 'x-amz-sdk-checksum-algorithm': 'CRC16' }],
  ];
  test.each(refused)('%s: InvalidRequest', (_, headers) => {
    expect(codeOf(() => bodyChecksum(requestOf({ headers })))).toBe('InvalidRequest');
  });

  test('the message names the header', () => {
    const error = errorOf(() => checksumHeader(headersOf({ 'x-amz-checksum-crc32': 'bad' })));
    expect(error.message).toBe('Value for x-amz-checksum-crc32 header is invalid.');
  });

  test('in a presigned query', () => {
    const query = `x-amz-checksum-sha1=${encodeURIComponent(SHA1)}&x-amz-sdk-checksum-algorithm=SHA1`;
    expect(expectedOf({ query })).toBe(SHA1);
    expect(codeOf(() => expectedOf({ query: 'x-amz-checksum-sha1=nonsense' }))).toBe('InvalidRequest');
  });

  test('the checksum of no body, which the JavaScript SDK signs into each presigned upload, promises nothing', () => {
    const query = 'x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32';
    const checksum = bodyChecksum(requestOf({ query, body: 'hello' }));
    expect(checksum?.algorithm).toBe('CRC32');
    expect(checksum?.expected()).toBeUndefined();
    expect(expectedOf({ headers: { 'x-amz-checksum-crc32': 'AAAAAA==' } })).toBe('AAAAAA==');
  });

  test('a composite one only where it is the object that is named', () => {
    const headers = headersOf({ 'x-amz-checksum-crc32': 'AAAAAA==-3' });
    expect(checksumHeader(headers, true)).toEqual({ algorithm: 'CRC32', value: 'AAAAAA==-3' });
    expect(codeOf(() => checksumHeader(headers))).toBe('InvalidRequest');
  });

  test('response headers', () => {
    expect(checksumHeaders({ algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: 'AAAAAAAAAAA=' })).toEqual([
      ['x-amz-checksum-crc64nvme', 'AAAAAAAAAAA='],
      ['x-amz-checksum-type', 'FULL_OBJECT'],
    ]);
    expect(checksumHeaders(undefined)).toEqual([]);
  });
});

describe('Content-MD5', () => {
  test('16 bytes of base64', () => {
    const md5 = createHash('md5').update('hello').digest('base64');
    expect(contentMd5(headersOf({ 'content-md5': md5 }))).toBe(md5);
    expect(contentMd5(headersOf({}))).toBeUndefined();
  });

  test.each([
    '',
    'YWJyYWNhZGFicmE=',
    'rL0Y20xC+Fzt72VPzMSk2A',
    'rL0Y20xC+Fzt72VPzMSk2B==',
    '!L0Y20xC+Fzt72VPzMSk2A==',
  ])('%j: InvalidDigest', (value) => {
    expect(codeOf(() => contentMd5(headersOf({ 'content-md5': value })))).toBe('InvalidDigest');
  });
});

describe('checksum settings of a multipart upload', () => {
  test.each([
    [{}, undefined],
    [{ 'x-amz-checksum-algorithm': 'CRC32' }, { algorithm: 'CRC32', type: 'COMPOSITE' }],
    [{ 'x-amz-checksum-algorithm': 'crc64nvme' }, { algorithm: 'CRC64NVME', type: 'FULL_OBJECT' }],
    [
      { 'x-amz-checksum-algorithm': 'CRC32C', 'x-amz-checksum-type': 'FULL_OBJECT' },
      { algorithm: 'CRC32C', type: 'FULL_OBJECT' },
    ],
  ] as const)('%o', (headers, settings) => {
    expect(uploadChecksum(headersOf(headers))).toEqual(settings);
  });

  test.each<Fields>([
    { 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'FULL_OBJECT' },
    { 'x-amz-checksum-algorithm': 'CRC64NVME', 'x-amz-checksum-type': 'COMPOSITE' },
    { 'x-amz-checksum-type': 'COMPOSITE' },
    { 'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'PARTIAL' },
    { 'x-amz-checksum-algorithm': 'XXHASH3' },
  ])('%o: InvalidRequest', (headers) => {
    expect(codeOf(() => uploadChecksum(headersOf(headers)))).toBe('InvalidRequest');
  });
});

describe('bodies', () => {
  test('a length must be declared', () => {
    expect(codeOf(() => uploadBody(requestOf({ length: undefined })))).toBe('MissingContentLength');
    const error = errorOf(() => uploadBody(requestOf({ length: undefined })));
    expect(error.status).toBe(411);
  });

  test('aws-chunked framing says where the body ends', async () => {
    const body = uploadBody(
      requestOf({
        headers: { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' },
        body: 'hello',
        length: undefined,
      }),
    );
    expect(body.length).toBeUndefined();
    const pieces: Uint8Array[] = [];
    for await (const piece of body.bytes) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe('hello');
  });

  test('more than 5 GiB', () => {
    const error = errorOf(() => uploadBody(requestOf({ length: 5 * 1024 ** 3 + 1 })));
    expect(error.code).toBe('EntityTooLarge');
    expect(error.fields).toContainEqual(['ProposedSize', '5368709121']);
    expect(uploadBody(requestOf({ length: 5 * 1024 ** 3 })).length).toBe(5368709120);
  });

  test('a document that does not match its checksum is not read', async () => {
    const body = '<Delete/>';
    const right = createHash('sha256').update(body).digest('base64');
    const document = await readCheckedXml(
      requestOf({ body, headers: { 'x-amz-checksum-sha256': right } }),
      'Delete',
    );
    expect(document.name).toBe('Delete');
    await expect(
      readCheckedXml(requestOf({ body, headers: { 'x-amz-checksum-sha256': SHA256 } }), 'Delete'),
    ).rejects.toMatchObject({ code: 'BadDigest' });
    await expect(readCheckedXml(requestOf({ body: Buffer.from([0xff]) }), 'Delete')).rejects.toMatchObject({
      code: 'MalformedXML',
    });
  });
});
