import { connect } from 'node:net';
import * as fc from 'fast-check';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startS3Gateway } from './gateway.ts';
import type { S3Gateway } from './gateway.ts';

let gateway: S3Gateway;
beforeAll(async () => {
  gateway = await startS3Gateway();
  await gateway.client.send(new CreateBucketCommand({ Bucket: 'bucket' }));
  await gateway.client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body: 'x' }));
});
afterAll(() => gateway.stop());

/** Sends bytes, ends its side, and returns all that comes back until the server closes. */
function raw(bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(gateway.port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (piece: string) => (received += piece));
    // A reset tells as much as an end: the server gave up on this client.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
    socket.end(bytes);
  });
}

/** No status is 500, and the server still serves. */
async function survives(response: string): Promise<void> {
  for (const [, status] of response.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)) expect(status).not.toBe('500');
  expect(gateway.errors).toEqual([]);
}

const line = fc.constantFrom(
  'GET / HTTP/1.1',
  'PUT /bucket/key HTTP/1.1',
  'POST /bucket?delete HTTP/1.1',
  'HEAD //%00 HTTP/1.1',
  'GET http://h/x HTTP/1.0',
  'OPTIONS * HTTP/1.1',
  'GET /\x7f HTTP/1.1',
  'DELETE /bucket/%',
  'X',
  'GET /?a=%ff&b HTTP/1.1',
);
const header = fc.oneof(
  fc.constantFrom(
    'Host: h',
    'Host: bucket.h',
    'Content-Length: 3',
    'Content-Length: -1',
    'Content-Length: 99999999999999999999',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip',
    'Expect: 100-continue',
    'Expect: x',
    'Connection: close',
    'Connection: keep-alive',
    'Connection: Upgrade',
    'Upgrade: h2c',
    'x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    'x-amz-decoded-content-length: 1e3',
    'Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e',
    'Range: bytes=0-0',
    'x-amz-copy-source: %',
    'Content-MD5: x',
    '__proto__: x',
    ': x',
    ' folded',
    'a:\x00',
  ),
  fc
    .tuple(fc.string({ maxLength: 8 }), fc.string({ unit: 'binary-ascii', maxLength: 20 }))
    .map(([name, value]) => `${name}: ${value}`),
);
const tail = fc.constantFrom(
  '',
  'abc',
  '0\r\n\r\n',
  '3\r\nabc\r\n0\r\n\r\n',
  'ffffffffffffffff\r\n',
  '-1\r\n',
  'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
  '\0',
);
const httpSoup = fc
  .tuple(line, fc.array(header, { maxLength: 6 }), tail)
  .map(([first, headers, rest]) =>
    Buffer.from(`${[first, ...headers].join('\r\n')}\r\n\r\n${rest}`, 'latin1'),
  );

describe('wire fuzz', () => {
  test('any bytes on the socket', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(httpSoup, fc.uint8Array({ maxLength: 300 })), async (bytes) =>
        survives(await raw(bytes)),
      ),
      { numRuns: 400 },
    );
    expect((await gateway.fetch('GET', '/bucket/key')).text).toBe('x');
  });

  const fragment = fc.oneof(
    fc.constantFrom(
      '<Delete>',
      '</Delete>',
      '<Object>',
      '</Object>',
      '<Key>',
      '</Key>',
      '<Quiet>true</Quiet>',
      '<Tagging>',
      '</Tagging>',
      '<TagSet/>',
      '<TagSet><Tag>',
      '</Tag></TagSet>',
      '<VersioningConfiguration>',
      '</VersioningConfiguration>',
      '<Status>',
      '</Status>',
      'Enabled',
      '<CreateBucketConfiguration>',
      '<AccessControlPolicy>',
      '<CompleteMultipartUpload><Part>',
      '<PartNumber>1',
      '<!DOCTYPE x [',
      '<![CDATA[',
      ']]>',
      '&#0;',
      '&lt;',
      '&x;',
      '<__proto__>',
      '<?xml version="1.0"?>',
      '<a b="c">',
      '\u0000',
      '\ufeff',
    ),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );

  test('any document to every operation that takes one', async () => {
    const routes = [
      ['POST', '/bucket', { delete: '' }],
      ['PUT', '/bucket', { versioning: '' }],
      ['PUT', '/bucket', { tagging: '' }],
      ['PUT', '/bucket', { acl: '' }],
      ['PUT', '/bucket', { encryption: '' }],
      ['PUT', '/fuzzed', {}],
      ['PUT', '/bucket/key', { tagging: '' }],
      ['PUT', '/bucket/key', { acl: '' }],
      ['POST', '/bucket/key', { uploadId: 'x' }],
    ] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...routes),
        fc.array(fragment, { maxLength: 10 }),
        async ([method, path, query], pieces) => {
          const response = await gateway.fetch(method, path, {
            query,
            body: pieces.join(''),
            headers: { 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' },
          });
          expect(response.status).toBeLessThan(500);
          const other = await gateway.fetch(method, path, { query, body: pieces.join('') });
          expect(other.status).toBeLessThan(500);
        },
      ),
      { numRuns: 150 },
    );
    expect(gateway.errors).toEqual([]);
  });

  test('any query and headers on every method', async () => {
    const name = fc.oneof(
      fc.constantFrom(
        'versionId',
        'partNumber',
        'uploadId',
        'uploads',
        'list-type',
        'max-keys',
        'continuation-token',
        'key-marker',
        'version-id-marker',
        'encoding-type',
        'delimiter',
        'prefix',
        'marker',
        'attributes',
        'tagging',
        'acl',
        'x-id',
        'response-content-type',
        'part-number-marker',
        'max-parts',
        'max-uploads',
        'upload-id-marker',
        '__proto__',
      ),
      fc.string({ maxLength: 5 }),
    );
    const value = fc.oneof(
      fc.constantFrom(
        '',
        '0',
        '1',
        '2',
        '-1',
        'url',
        'null',
        '99999999999',
        '/',
        '\0',
        'text/plain\r\nx: y',
        'é',
      ),
      fc.string({ unit: 'grapheme', maxLength: 8 }),
    );
    const headerName = fc.constantFrom(
      'range',
      'if-match',
      'if-none-match',
      'if-modified-since',
      'x-amz-copy-source',
      'x-amz-copy-source-range',
      'x-amz-metadata-directive',
      'x-amz-tagging',
      'x-amz-checksum-crc32',
      'x-amz-sdk-checksum-algorithm',
      'x-amz-object-attributes',
      'x-amz-server-side-encryption',
      'x-amz-server-side-encryption-customer-algorithm',
      'x-amz-meta-a',
      'content-type',
      'expires',
      'x-amz-mp-object-size',
      'x-amz-acl',
    );
    const headerValue = fc.oneof(
      fc.constantFrom(
        '*',
        '"x"',
        'bytes=-1',
        'bytes=0-0,2-3',
        'AES256',
        'bucket/key',
        '/bucket/key?versionId=null',
        'COPY',
        'REPLACE',
        'ETag',
        'CRC32',
        'a=b',
      ),
      fc.string({ maxLength: 12 }).map((text) => text.replace(/[^\x21-\x7e]/g, '').trim()),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE'),
        fc.constantFrom('/', '/bucket', '/bucket/key', '/bucket/none', '/nowhere/key'),
        fc.dictionary(name, value, { maxKeys: 4 }),
        fc.dictionary(headerName, headerValue, { maxKeys: 4 }),
        async (method, path, query, headers) => {
          const response = await gateway.fetch(method, path, {
            query,
            headers,
            ...(method === 'PUT' && { body: 'abc' }),
          });
          expect([200, 201, 204, 206, 304, 400, 403, 404, 405, 409, 411, 412, 416, 417, 501]).toContain(
            response.status,
          );
        },
      ),
      { numRuns: 600 },
    );
    expect(gateway.errors).toEqual([]);
  });
});
