/** The worked examples of the Amazon S3 API Reference ("Authenticating Requests (AWS Signature Version 4)"). */
import { describe, expect, test } from 'vitest';
import { decodePayload } from '../../../gateway/auth/payload.ts';
import type { PayloadMode, RequestHead } from '../../../gateway/auth/types.ts';
import { collect, pieces } from './chunks.ts';
import { ACCESS_KEY, authenticatorAt, SCOPE, sha256, SIGNED_AT } from './signing.ts';

const authenticator = authenticatorAt(SIGNED_AT);
const EMPTY = sha256('');
const BUCKET_HOST = ['Host', 'examplebucket.s3.amazonaws.com'];
const DATE = ['x-amz-date', '20130524T000000Z'];

function authorization(signedHeaders: string, signature: string): string[] {
  return [
    'Authorization',
    `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY}/${SCOPE},SignedHeaders=${signedHeaders},Signature=${signature}`,
  ];
}

const CHUNKED_HEADERS = [
  'Host',
  's3.amazonaws.com',
  ...DATE,
  'x-amz-storage-class',
  'REDUCED_REDUNDANCY',
  'Content-Encoding',
  'aws-chunked',
  'x-amz-decoded-content-length',
  '66560',
];

const chunkedPut: RequestHead = {
  method: 'PUT',
  rawPath: '/examplebucket/chunkObject.txt',
  rawQuery: '',
  rawHeaders: [
    ...CHUNKED_HEADERS,
    'x-amz-content-sha256',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'Content-Length',
    '66824',
    ...authorization(
      'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
      '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
    ),
  ],
};

const trailerPut: RequestHead = {
  ...chunkedPut,
  rawHeaders: [
    ...CHUNKED_HEADERS,
    'x-amz-content-sha256',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'x-amz-trailer',
    'x-amz-checksum-crc32c',
    ...authorization(
      'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
      '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
    ),
  ],
};

describe('signed heads', () => {
  test('GET object', async () => {
    const result = await authenticator.authenticate({
      method: 'GET',
      rawPath: '/test.txt',
      rawQuery: '',
      rawHeaders: [
        ...BUCKET_HOST,
        'Range',
        'bytes=0-9',
        'x-amz-content-sha256',
        EMPTY,
        ...DATE,
        ...authorization(
          'host;range;x-amz-content-sha256;x-amz-date',
          'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
        ),
      ],
    });
    expect(result).toEqual({
      principal: { accessKey: ACCESS_KEY, owner: 'owner', displayName: 'name' },
      payload: { kind: 'Signed', sha256: EMPTY },
      presigned: false,
    });
  });

  test('PUT object, with a dollar sign that is sent as it is and signed as %24', async () => {
    const body = sha256('Welcome to Amazon S3.');
    const result = await authenticator.authenticate({
      method: 'PUT',
      rawPath: '/test$file.text',
      rawQuery: '',
      rawHeaders: [
        ...BUCKET_HOST,
        'Date',
        'Fri, 24 May 2013 00:00:00 GMT',
        ...DATE,
        'x-amz-storage-class',
        'REDUCED_REDUNDANCY',
        'x-amz-content-sha256',
        body,
        ...authorization(
          'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
          '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
        ),
      ],
    });
    expect(result.payload).toEqual({ kind: 'Signed', sha256: body });
  });

  test.each([
    ['lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
    ['prefix=J&max-keys=2', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ])('GET bucket ?%s', async (rawQuery, signature) => {
    const result = await authenticator.authenticate({
      method: 'GET',
      rawPath: '/',
      rawQuery,
      rawHeaders: [
        ...BUCKET_HOST,
        ...DATE,
        'x-amz-content-sha256',
        EMPTY,
        ...authorization('host;x-amz-content-sha256;x-amz-date', signature),
      ],
    });
    expect(result.principal.accessKey).toBe(ACCESS_KEY);
  });

  test('presigned GET', async () => {
    const result = await authenticator.authenticate({
      method: 'GET',
      rawPath: '/test.txt',
      rawQuery: [
        'X-Amz-Algorithm=AWS4-HMAC-SHA256',
        `X-Amz-Credential=${encodeURIComponent(`${ACCESS_KEY}/${SCOPE}`)}`,
        'X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host',
        'X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
      ].join('&'),
      rawHeaders: BUCKET_HOST,
    });
    expect(result.payload).toEqual({ kind: 'Unsigned' });
    expect(result.presigned).toBe(true);
  });
});

const data = Buffer.alloc(66_560, 'a');

function chunk(size: string, signature: string, from: number, to: number): Buffer {
  return Buffer.concat([
    Buffer.from(`${size};chunk-signature=${signature}\r\n`),
    data.subarray(from, to),
    Buffer.from('\r\n'),
  ]);
}

async function modeOf(head: RequestHead): Promise<PayloadMode> {
  return (await authenticator.authenticate(head)).payload;
}

describe('chunked uploads', () => {
  const body = Buffer.concat([
    chunk('10000', 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648', 0, 65_536),
    chunk('400', '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497', 65_536, 66_560),
    chunk('0', 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9', 0, 0),
  ]);

  test.each([1, 7, 100, 65_536, 100_000])('signed chunks, read %d bytes at a time', async (size) => {
    expect(body.length).toBe(66_824);
    const options = { decodedLength: 66_560, announcedTrailers: [] };
    const payload = decodePayload(await modeOf(chunkedPut), pieces(body, size), options);
    expect((await collect(payload.bytes)).equals(data)).toBe(true);
  });

  const signature = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435';
  test.each([
    ['as documented', `x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${signature}\r\n\r\n`],
    [
      'ended with its last line',
      `x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${signature}\r\n`,
    ],
    [
      'as minio-go sends it',
      `x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:${signature}\r\n\r\n`,
    ],
  ])('signed chunks and a signed trailer, %s', async (_, trailer) => {
    const last = '0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n';
    const body = Buffer.concat([
      chunk('10000', 'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2', 0, 65_536),
      chunk('400', '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7', 65_536, 66_560),
      Buffer.from(last + trailer),
    ]);
    const options = { decodedLength: 66_560, announcedTrailers: ['x-amz-checksum-crc32c'] };
    const payload = decodePayload(await modeOf(trailerPut), pieces(body, 1000), options);
    expect(payload.trailer('x-amz-checksum-crc32c')).toBeUndefined();
    expect((await collect(payload.bytes)).equals(data)).toBe(true);
    expect(payload.trailer('x-amz-checksum-crc32c')).toBe('sOO8/Q==');
  });
});
