/** Bodies that lie: after every refusal the object is the one before, and nothing else is there. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway } from '../support/gateway.ts';
import type { Gateway } from '../support/gateway.ts';
import { attacker, sign, signedChunks, trailerSignature } from './wire.ts';
import type { Attacker, Headers, Signed } from './wire.ts';

const PRECIOUS = 'precious';
const DATA = [Buffer.alloc(70_000, 'a'), Buffer.alloc(30_000, 'b')];
const LENGTH = DATA.reduce((sum, part) => sum + part.length, 0);
const CRC = base64Crc(Buffer.concat(DATA));

function base64Crc(data: Buffer): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(data));
  return bytes.toString('base64');
}

let gateway: Gateway;
let client: Attacker;
beforeAll(async () => {
  gateway = await startGateway();
  const { accessKeyId, secretAccessKey } = gateway.credentials;
  client = attacker(gateway.endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey });
  await client.put('/framing', '');
  await client.put('/framing/key', PRECIOUS);
});
afterAll(() => gateway.stop());

/** What stands in the bucket. */
async function state(): Promise<string[]> {
  const list = await client.get('/framing');
  const object = await client.get('/framing/key');
  return [...(list.body.match(/<Key>.*?<\/Key>/g) ?? []), object.body];
}

const MODES = {
  'signed chunks': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'signed chunks and trailer': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  'unsigned chunks and trailer': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
} as const;
type Mode = keyof typeof MODES;

interface Parts {
  /** Two chunks of data and the empty last one. */
  readonly chunks: readonly Buffer[];
  readonly trailer: string;
  readonly signed: Signed;
}

interface Lie {
  /** The body, from the right parts of it. */
  readonly body?: (parts: Parts) => readonly (Buffer | string)[];
  readonly decodedLength?: string;
  readonly announced?: string;
  readonly crc?: string;
  readonly trailerSignature?: string;
  readonly only?: 'signed' | 'trailer';
}

function request(mode: Mode, lie: Lie): Buffer {
  const isSigned = MODES[mode].includes('HMAC');
  const hasTrailer = MODES[mode].endsWith('TRAILER');
  const headers: Headers = [
    ['content-encoding', 'aws-chunked'],
    ['x-amz-decoded-content-length', lie.decodedLength ?? String(LENGTH)],
    ...(hasTrailer ? [['x-amz-trailer', lie.announced ?? 'x-amz-checksum-crc32'] as const] : []),
  ];
  const put = { method: 'PUT', path: '/framing/key', headers, sha256: MODES[mode], length: 'none' } as const;
  const signed = sign(client.endpoint, client.keys, put);
  const { chunks, last } = signedChunks(signed, DATA);
  const line = `x-amz-checksum-crc32:${lie.crc ?? CRC}`;
  const seal = lie.trailerSignature ?? trailerSignature(signed, last, `${line}\n`);
  const trailer = hasTrailer
    ? `${line}\r\n${isSigned ? `x-amz-trailer-signature:${seal}\r\n` : ''}\r\n`
    : '\r\n';
  const parts = { chunks: isSigned ? chunks : [...DATA, Buffer.alloc(0)].map(unsigned), trailer, signed };
  const pieces = (lie.body ?? honest)(parts).map((piece) =>
    typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece,
  );
  const body = Buffer.concat(pieces);
  const head = `${signed.head.slice(0, -2)}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

function unsigned(data: Buffer): Buffer {
  const end = data.length === 0 ? '' : '\r\n';
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from(end)]);
}

const honest = ({ chunks, trailer }: Parts): readonly (Buffer | string)[] => [...chunks, trailer];

const LIES: Record<string, Lie> = {
  'chunks out of order': { body: ({ chunks, trailer }) => [chunks[1]!, chunks[0]!, chunks[2]!, trailer] },
  'a chunk dropped': { body: ({ chunks, trailer }) => [chunks[1]!, chunks[2]!, trailer] },
  'a chunk repeated': {
    body: ({ chunks, trailer }) => [chunks[0]!, chunks[0]!, chunks[1]!, chunks[2]!, trailer],
  },
  'no last chunk': { body: ({ chunks }) => chunks.slice(0, 2) },
  'a chunk cut short': { body: ({ chunks }) => [chunks[0]!.subarray(0, 5000)] },
  'a negative size': { body: () => ['-5\r\nhello\r\n0\r\n\r\n'] },
  'a size beyond every file': { body: ({ chunks }) => ['ffffffffffffffff\r\n', chunks[0]!] },
  'a size beyond 64 bits': { body: () => ['10000000000000005\r\nhello\r\n0\r\n\r\n'] },
  'an endless chunk header': { body: () => [`5;${'x'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`] },
  'no line end after the data': {
    body: ({ chunks, trailer }) => [chunks[0]!.subarray(0, -2), chunks[1]!, chunks[2]!, trailer],
  },
  'no framing': { body: () => ['hello world'] },
  'no body': { body: () => [] },
  'a declared length too small': { decodedLength: '5' },
  'a declared length too large': { decodedLength: String(LENGTH + 5) },
  'a declared length of 6 TiB': { decodedLength: '6597069766656' },
  'a declared length that is none': { decodedLength: '1e5' },
  'data after the end': { body: (parts) => [...honest(parts), 'more'] },
  'a flipped bit': {
    only: 'signed',
    body: ({ chunks, trailer }) => {
      const flipped = Buffer.from(chunks[0]!);
      flipped[500]! ^= 1;
      return [flipped, chunks[1]!, chunks[2]!, trailer];
    },
  },
  'chunks without signatures': { only: 'signed', body: () => ['5\r\nhello\r\n0\r\n\r\n'] },
  'a chunk of another request': {
    only: 'signed',
    body: ({ chunks, trailer, signed }) => {
      const other = { ...signed, signature: 'a'.repeat(64) };
      return [signedChunks(other, DATA).chunks[0]!, chunks[1]!, chunks[2]!, trailer];
    },
  },
  'a wrong checksum': { only: 'trailer', crc: 'AAAAAA==' },
  'a checksum that is none': { only: 'trailer', crc: '!!' },
  'no trailer': { only: 'trailer', body: ({ chunks }) => [...chunks, '\r\n'] },
  'a trailer twice': {
    only: 'trailer',
    body: ({ chunks, trailer }) => [...chunks, `x-amz-checksum-crc32:${CRC}\r\n`, trailer],
  },
  'a trailer that was not announced': {
    only: 'trailer',
    body: ({ chunks, trailer }) => [...chunks, 'x-amz-meta-evil:1\r\n', trailer],
  },
  'an endless trailer': {
    only: 'trailer',
    body: ({ chunks }) => [...chunks, `x-amz-checksum-crc32:${'A'.repeat(100_000)}\r\n\r\n`],
  },
  'an announced checksum that does not come': {
    only: 'trailer',
    announced: 'x-amz-checksum-crc32,x-amz-checksum-sha256',
  },
};

describe.each(Object.keys(MODES) as Mode[])('%s', (mode) => {
  const lies = Object.entries(LIES).filter(
    ([, { only }]) => only === undefined || MODES[mode].includes(only === 'signed' ? 'HMAC' : 'TRAILER'),
  );

  test.each(lies)('%s: refused, nothing changes', async (_name, lie) => {
    const reply = await client.raw(request(mode, lie));
    expect([400, 403]).toContain(reply.status);
    expect(reply.code).toMatch(/^[A-Z]\w+$/);
    expect(await state()).toEqual(['<Key>key</Key>', PRECIOUS]);
  });

  test('the truth is taken', async () => {
    const reply = await client.raw(request(mode, {}));
    expect(reply.status).toBe(200);
    expect(await state()).toEqual(['<Key>key</Key>', Buffer.concat(DATA).toString('latin1')]);
    await client.put('/framing/key', PRECIOUS);
  });
});

test('a forged signature over the trailer: refused, nothing changes', async () => {
  const lie = request('signed chunks and trailer', { trailerSignature: 'a'.repeat(64) });
  expect((await client.raw(lie)).code).toBe('SignatureDoesNotMatch');
  expect(await state()).toEqual(['<Key>key</Key>', PRECIOUS]);
});

const zeros = (length: number): string => Buffer.alloc(length).toString('base64');
const MISMATCHES: [string, string, string][] = [
  ['content-md5', zeros(16), 'BadDigest'],
  ['content-md5', 'garbage', 'InvalidDigest'],
  ['x-amz-checksum-crc32', zeros(4), 'BadDigest'],
  ['x-amz-checksum-crc32c', zeros(4), 'BadDigest'],
  ['x-amz-checksum-crc64nvme', zeros(8), 'BadDigest'],
  ['x-amz-checksum-sha1', zeros(20), 'BadDigest'],
  ['x-amz-checksum-sha256', zeros(32), 'BadDigest'],
  ['x-amz-checksum-sha256', zeros(31), 'InvalidRequest'],
  ['x-amz-checksum-md6', zeros(4), 'InvalidRequest'],
];

test.each(MISMATCHES)('%s: %s does not match the body: %s, nothing changes', async (name, value, code) => {
  expect((await client.put('/framing/key', 'evil', [[name, value]])).code).toBe(code);
  expect(await state()).toEqual(['<Key>key</Key>', PRECIOUS]);
});

test('a body other than the signed one: refused, nothing changes', async () => {
  const sha256 = createHash('sha256').update('good').digest('hex');
  const reply = await client.call({ method: 'PUT', path: '/framing/key', body: 'evil', sha256 });
  expect(reply.code).toBe('XAmzContentSHA256Mismatch');
  expect(await state()).toEqual(['<Key>key</Key>', PRECIOUS]);
});
