import { connect } from 'node:net';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENTRIES } from '../../../gateway/s3/table.ts';
import { ACCESS_KEY } from '../auth/signing.ts';
import { startS3Gateway } from './gateway.ts';
import type { RawResponse, S3Gateway } from './gateway.ts';

let gateway: S3Gateway;
beforeAll(async () => {
  gateway = await startS3Gateway();
  await gateway.client.send(new CreateBucketCommand({ Bucket: 'bucket' }));
  await gateway.client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body: 'x' }));
});
afterAll(() => gateway.stop());

/** Sends bytes on a connection of their own and returns all that comes back. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (piece: string) => (received += piece));
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
    socket.write(Buffer.from(text, 'latin1'));
  });
}

const PATHS = { service: '/', bucket: '/bucket', object: '/bucket/key' } as const;
const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
const credential = `${ACCESS_KEY}/${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
const fabricated = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${'0'.repeat(64)}`;
const presigned = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(credential)}&X-Amz-Date=${date}&X-Amz-Expires=60&X-Amz-SignedHeaders=host`;

/** Ways of not being who one says; headers and query. */
const FORMS: Record<string, readonly [headers: Record<string, string>, query?: string]> = {
  nothing: [{}],
  'a credential in the query alone': [{}, `X-Amz-Credential=${encodeURIComponent(credential)}`],
  'a fabricated signature': [
    { authorization: fabricated, 'x-amz-date': date, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  ],
  'a fabricated signature of an unsigned trailer': [
    {
      authorization: fabricated,
      'x-amz-date': date,
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    },
  ],
  'a fabricated presigned URL': [{}, `${presigned}&X-Amz-Signature=${'0'.repeat(64)}`],
  'an unknown key': [
    {
      authorization: fabricated.replace(ACCESS_KEY, 'AKIAUNKNOWN'),
      'x-amz-date': date,
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    },
  ],
  'signature version 2': [
    { authorization: `AWS ${ACCESS_KEY}:AAAAAAAAAAAAAAAAAAAAAAAAAAA=`, date: new Date().toUTCString() },
  ],
  'a bearer token': [{ authorization: 'Bearer abc' }],
  'an empty header': [{ authorization: '' }],
  'two forms at once': [{ authorization: fabricated }, `${presigned}&X-Amz-Signature=${'0'.repeat(64)}`],
};

describe('who cannot show who he is', () => {
  test.each(Object.keys(FORMS))('with %s: refused on every route, and no store is asked', async (form) => {
    const [headers, query = ''] = FORMS[form] as (typeof FORMS)[string];
    gateway.calls.length = 0;
    for (const { method, target, query: selectors = [], headers: names = [] } of ENTRIES) {
      const search = [...selectors, query].filter((part) => part !== '').join('&');
      const lines = [...Object.entries(headers), ...names.map((name) => [name, 'bucket/key'] as const)];
      const response = await raw(
        `${method} ${PATHS[target]}?${search} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n` +
          lines.map(([name, value]) => `${name}: ${value}\r\n`).join('') +
          '\r\n',
      );
      expect(response.slice(0, 12)).toBe('HTTP/1.1 403');
      expect(response).not.toContain('100 Continue');
    }
    expect(gateway.calls).toEqual([]);
  });

  test.each(['OPTIONS', 'PATCH', 'TRACE'])('%s too', async (method) => {
    expect(await raw(`${method} /bucket HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 403/,
    );
  });

  test('what does not parse is not told to a stranger either', async () => {
    for (const path of ['/%zz', '/UPPER/x', `/bucket/${'a'.repeat(2000)}`, '/bucket?unknown', '//']) {
      expect(await raw(`GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)).toMatch(
        /^HTTP\/1\.1 403/,
      );
    }
  });
});

describe('signed requests', () => {
  const codeIn = ({ text }: RawResponse): string | undefined => /<Code>(\w+)<\/Code>/.exec(text)?.[1];

  test.each([
    ['GET', '/bucket', { unknown: '' }, 501, 'NotImplemented'],
    ['GET', '/bucket/key', { policy: '' }, 501, 'NotImplemented'],
    ['PUT', '/bucket/key', { append: '' }, 501, 'NotImplemented'],
    ['POST', '/bucket', {}, 501, 'NotImplemented'],
    ['POST', '/bucket/key', { restore: '' }, 501, 'NotImplemented'],
    ['PATCH', '/bucket/key', {}, 405, 'MethodNotAllowed'],
    ['DELETE', '/', {}, 405, 'MethodNotAllowed'],
    ['GET', '/bucket/%FF', {}, 400, 'InvalidURI'],
    ['GET', '/Bucket/key', {}, 400, 'InvalidBucketName'],
    ['GET', `/bucket/${'a'.repeat(1025)}`, {}, 400, 'KeyTooLongError'],
    ['GET', '/bucket/nothing', {}, 404, 'NoSuchKey'],
  ] as const)('%s %s %o is %i %s', async (method, path, query, status, code) => {
    const response = await gateway.fetch(method, path, { query });
    expect([response.status, codeIn(response)]).toEqual([status, code]);
    expect(response.text).toContain(`<RequestId>${String(response.headers['x-amz-request-id'])}</RequestId>`);
  });

  test('HEAD of a key that is only slashes', async () => {
    expect((await gateway.fetch('HEAD', '/bucket//')).status).toBe(404);
    expect(
      (await gateway.fetch('PUT', '/bucket//', { body: 'slash', headers: { 'content-length': '5' } })).status,
    ).toBe(200);
    expect((await gateway.fetch('GET', '/bucket//')).text).toBe('slash');
    expect((await gateway.fetch('HEAD', '/bucket/')).headers['x-amz-bucket-region']).toBe('us-east-1');
  });

  test('keys that a URL parser would change are kept', async () => {
    for (const path of [
      '/bucket/a/../b',
      '/bucket/./c',
      '/bucket/d//e',
      '/bucket/..',
      '/bucket/f%2Fg',
      '/bucket/h%2Bi',
      '/bucket/j%20k%00',
    ]) {
      expect(
        (await gateway.fetch('PUT', path, { body: path, headers: { 'content-length': String(path.length) } }))
          .status,
      ).toBe(200);
      expect((await gateway.fetch('GET', path)).text).toBe(path);
    }
    expect((await gateway.fetch('GET', '/bucket', { query: { prefix: 'f/' } })).text).toContain(
      '<Key>f/g</Key>',
    );
  });

  test('a PUT that declares no length is 411', async () => {
    // Transfer-Encoding: chunked without aws-chunked: Node's client sends it where no length is given.
    const response = await gateway.fetch('PUT', '/bucket/unknown', {
      body: 'x',
      headers: { 'transfer-encoding': 'chunked' },
    });
    expect([response.status, codeIn(response)]).toEqual([411, 'MissingContentLength']);
  });

  test('an expectation that nobody knows is ignored', async () => {
    expect((await gateway.fetch('GET', '/bucket', { headers: { expect: 'tea' } })).status).toBe(200);
  });

  test('a coding that nobody knows', async () => {
    const coded = await gateway.fetch('PUT', '/bucket/k', {
      headers: { 'transfer-encoding': 'gzip, chunked' },
    });
    expect([coded.status, codeIn(coded)]).toEqual([501, 'NotImplemented']);
  });

  test('malformed XML of every shape is 400', async () => {
    for (const body of [
      '',
      '<',
      '<!DOCTYPE a [<!ENTITY b "c">]><VersioningConfiguration/>',
      '<Other/>',
      '<VersioningConfiguration><__proto__/></VersioningConfiguration>',
      '\xff',
    ]) {
      const response = await gateway.fetch('PUT', '/bucket', { query: { versioning: '' }, body });
      expect([response.status, codeIn(response)]).toEqual([400, 'MalformedXML']);
    }
    const huge = await gateway.fetch('PUT', '/bucket', {
      query: { versioning: '' },
      body: ' '.repeat(9 << 20),
    });
    expect([huge.status, codeIn(huge)]).toEqual([400, 'MaxMessageLengthExceeded']);
  });

  test('no error was an internal one', () => {
    expect(gateway.errors).toEqual([]);
  });
});
