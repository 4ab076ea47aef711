/** Real clients over a real socket: what they send is authenticated and decoded to what they were given. */
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Client as MinioClient } from 'minio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePayload } from '../../../gateway/auth/payload.ts';
import { createAuthenticator } from '../../../gateway/auth/sigv4.ts';
import { AuthError } from '../../../gateway/auth/types.ts';
import type { Authentication } from '../../../gateway/auth/types.ts';
import { collect } from './chunks.ts';
import { ACCESS_KEY, credentials, REGION, SECRET_KEY, sha256 } from './signing.ts';

interface Received {
  readonly authentication: Authentication;
  readonly url: string;
  readonly body: Buffer;
  readonly trailer: string | undefined;
}

const authenticator = createAuthenticator({
  credentials,
  region: REGION,
  service: 's3',
  clock: { now: Date.now },
});
const received: Received[] = [];
let server: Server;
let endpoint: string;
let client: S3Client;

beforeAll(async () => {
  server = createServer((request, response) => {
    const header = (name: string) => request.headers[name] as string | undefined;
    const work = async () => {
      const url = request.url!;
      const [rawPath, rawQuery = ''] = url.split('?', 2) as [string, string?];
      const { method, rawHeaders } = request;
      const authentication = await authenticator.authenticate({
        method: method!,
        rawPath,
        rawQuery,
        rawHeaders,
      });
      const decodedLength = header('x-amz-decoded-content-length');
      const payload = decodePayload(authentication.payload, request, {
        ...(decodedLength === undefined ? {} : { decodedLength: Number(decodedLength) }),
        announcedTrailers: header('x-amz-trailer')?.split(',') ?? [],
      });
      const body = await collect(payload.bytes);
      received.push({ authentication, url, body, trailer: payload.trailer('x-amz-checksum-crc32') });
      response.setHeader('etag', '"00000000000000000000000000000000"');
      response.end(method === 'GET' && rawPath === '/bucket/' ? '<ListBucketResult/>' : '');
    };
    work().catch((error: unknown) => {
      if (!(error instanceof AuthError)) throw error;
      response.statusCode = 403;
      response.end(`<Error><Code>${error.kind}</Code><Message>${error.message}</Message></Error>`);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new S3Client({
    region: REGION,
    endpoint,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
  });
});

afterAll(() => {
  client.destroy();
  server.closeAllConnections();
  server.close();
});

function latest(): Received {
  const last = received.at(-1);
  if (last === undefined) throw new Error('nothing was received');
  return last;
}

/** Sends a URL as it is, where fetch would resolve its dots; answers the status. */
function send(url: string, method: string, headers: Record<string, string> = {}, body = ''): Promise<number> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(endpoint);
    const path = url.slice(endpoint.length);
    const length = body === '' ? {} : { 'content-length': String(body.length) };
    const request = httpRequest({ hostname, port, path, method, headers: { ...headers, ...length } });
    request.on('error', reject).on('response', (response: IncomingMessage) => {
      response.resume().on('end', () => {
        resolve(response.statusCode!);
      });
    });
    request.end(body);
  });
}

const KEYS = [
  'plain',
  'a b+c',
  "!*'()&$@=;:,?#",
  'ünïcødé/\u{1f600}',
  '../a//b/./',
  '%2F%41%',
  '"<>\\^`{|}~[]',
];

describe('AWS SDK for JavaScript', () => {
  test.each(KEYS)('puts the key %s', async (Key) => {
    await client.send(new PutObjectCommand({ Bucket: 'bucket', Key, Body: 'body' }));
    const { authentication, body, url } = latest();
    expect(authentication.payload).toEqual({ kind: 'Signed', sha256: sha256('body') });
    expect(authentication.principal.accessKey).toBe(ACCESS_KEY);
    expect(body.toString()).toBe('body');
    expect(decodeURIComponent(url.split('?')[0]!)).toBe(`/bucket/${Key}`);
  });

  test('streams with a checksum in an unsigned trailer', async () => {
    const text = 'x'.repeat(100_000);
    await client.send(
      new PutObjectCommand({
        Bucket: 'bucket',
        Key: 'stream',
        Body: Readable.from([Buffer.from(text.slice(0, 70_000)), Buffer.from(text.slice(70_000))]),
        ContentLength: text.length,
      }),
    );
    const { authentication, body, trailer } = latest();
    expect(authentication.payload).toEqual({ kind: 'UnsignedChunks' });
    expect(body.toString()).toBe(text);
    expect(trailer).toMatch(/^[A-Za-z0-9+/]{6}==$/);
  });

  test.each(['  two   inner  ', 'é à', 'tab\tinside', ''])('metadata %j', async (value) => {
    await client.send(
      new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: 'body', Metadata: { a: value, b: 'B' } }),
    );
    expect(latest().body.toString()).toBe('body');
  });

  test.each(["a b+c/!*'()", 'é&=', ''])('lists the prefix %j', async (Prefix) => {
    const before = received.length;
    await client.send(
      new ListObjectsV2Command({ Bucket: 'bucket', Prefix, Delimiter: '/', StartAfter: 'z+' }),
    );
    expect(received.length).toBe(before + 1);
  });

  test.each(KEYS)('presigns the key %s', async (Key) => {
    const input = { Bucket: 'bucket', Key, ResponseContentType: "text/plain; a='b'" };
    const url = await getSignedUrl(client, new GetObjectCommand(input), { expiresIn: 60 });
    expect(await send(url, 'GET')).toBe(200);
    expect(latest().authentication.presigned).toBe(true);
    expect(await send(url, 'DELETE')).toBe(403);
    expect(await send(url, 'GET', { 'x-amz-acl': 'public-read' })).toBe(403);
  });

  test('presigns a PUT with headers that must be sent', async () => {
    const input = {
      Bucket: 'bucket',
      Key: 'k',
      ContentType: 'text/plain',
      ContentLength: 4,
      Metadata: { a: 'b' },
    };
    const url = await getSignedUrl(client, new PutObjectCommand(input), {
      expiresIn: 60,
      signableHeaders: new Set(['content-type', 'content-length']),
      unhoistableHeaders: new Set(['x-amz-meta-a']),
    });
    const headers = { 'content-type': 'text/plain', 'x-amz-meta-a': 'b' };
    expect(await send(url, 'PUT', headers, 'body')).toBe(200);
    expect(latest().body.toString()).toBe('body');
    expect(await send(url, 'PUT', headers, 'longer')).toBe(403);
    expect(await send(url, 'PUT', { ...headers, 'x-amz-meta-a': 'c' }, 'body')).toBe(403);
  });
});

describe('minio-js', () => {
  const minio = () =>
    new MinioClient({
      endPoint: '127.0.0.1',
      port: Number(new URL(endpoint).port),
      useSSL: false,
      region: REGION,
      accessKey: ACCESS_KEY,
      secretKey: SECRET_KEY,
    });

  test.each(KEYS.filter((key) => !key.includes('..')))('puts and presigns the key %s', async (key) => {
    await minio().putObject('bucket', key, Buffer.from('body'), 4, { 'X-Amz-Meta-A': 'a  b' });
    expect(latest().body.toString()).toBe('body');
    const url = await minio().presignedGetObject('bucket', key, 60);
    expect(await send(url, 'GET')).toBe(200);
  });
});
