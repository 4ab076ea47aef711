/** A slow and obvious writer of aws-chunked bodies, checked against the published examples, to test the decoder with. */
import { createHmac } from 'node:crypto';
import { AuthError } from '../../../gateway/auth/types.ts';
import type { AuthErrorKind, ChunkSigning } from '../../../gateway/auth/types.ts';
import { SCOPE, SECRET_KEY, sha256 } from './signing.ts';

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export const signing: ChunkSigning = {
  signingKey: ['20130524', 'us-east-1', 's3', 'aws4_request'].reduce(
    (key: string | Buffer, part) => hmac(key, part),
    `AWS4${SECRET_KEY}`,
  ) as Buffer,
  seedSignature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  timestamp: '20130524T000000Z',
  scope: SCOPE,
};

function signature(kind: 'PAYLOAD' | 'TRAILER', ...lines: string[]): string {
  const text = [`AWS4-HMAC-SHA256-${kind}`, signing.timestamp, signing.scope, ...lines].join('\n');
  return hmac(Buffer.from(signing.signingKey), text).toString('hex');
}

/** One buffer per chunk, the empty last one included. Each has its header and its data; the last ends with its header line. */
export function signedChunks(
  parts: readonly Buffer[],
  seed = signing.seedSignature,
): { chunks: Buffer[]; last: string } {
  let previous = seed;
  const chunks = [...parts, Buffer.alloc(0)].map((data) => {
    previous = signature('PAYLOAD', previous, sha256(''), sha256(data));
    const head = Buffer.from(`${data.length.toString(16)};chunk-signature=${previous}\r\n`);
    return data.length === 0 ? head : Buffer.concat([head, data, Buffer.from('\r\n')]);
  });
  return { chunks, last: previous };
}

export function unsignedChunks(parts: readonly Buffer[]): Buffer[] {
  return [...parts, Buffer.alloc(0)].map((data) => {
    const head = Buffer.from(`${data.length.toString(16)}\r\n`);
    return data.length === 0 ? head : Buffer.concat([head, data, Buffer.from('\r\n')]);
  });
}

export function signedTrailer(trailers: readonly (readonly [string, string])[], last: string): string {
  const lines = trailers.map(([name, value]) => `${name}:${value}`);
  const signed = signature('TRAILER', last, sha256(lines.map((line) => `${line}\n`).join('')));
  return [...lines, `x-amz-trailer-signature:${signed}`, '', ''].join('\r\n');
}

export async function* pieces(body: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

/** The kind that reading a body to its end is refused with. */
export async function chunkRefusal(bytes: AsyncIterable<Uint8Array>): Promise<AuthErrorKind | 'accepted'> {
  try {
    await collect(bytes);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return error.kind;
  }
}
