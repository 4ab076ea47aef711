import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TransportError } from '#placement';
import { NetworkError } from '../../../placement/network/errors.ts';
import { PutBody } from '../../../placement/provider/putBody.ts';
import { sampleBytes, sealOf } from '../shards.ts';

/** The body in pieces of these sizes, over and over. */
async function* pieces(body: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer, undefined> {
  for (let at = 0, turn = 0; at < body.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield body.subarray(at, at + size);
    at += size;
  }
}

function bodyOf(length: number): { bytes: Uint8Array; body: Buffer; root: Uint8Array } {
  const bytes = sampleBytes(length);
  const { root } = sealOf(bytes);
  return { bytes, root, body: Buffer.concat([bytes, root]) };
}

/** What a transport makes of the source; each cell's memory is only good until the next. */
async function received(body: PutBody, useWhole: boolean): Promise<Buffer> {
  const source = await body.source();
  if (useWhole && source.whole) return Buffer.from(source.whole.bytes);
  const parts: Buffer[] = [];
  for await (const cell of source.cells) parts.push(Buffer.from(cell));
  source.seal();
  return Buffer.concat(parts);
}

const CELL = 256 * 1024;
const length = fc.oneof(
  fc.integer({ min: 1, max: 3 * CELL }),
  fc.constantFrom(CELL - 32, CELL - 1, CELL, CELL + 1, CELL + 31, CELL + 32, 2 * CELL, 2 * CELL + 1),
);
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 300_000 })), {
  minLength: 1,
  maxLength: 5,
});

describe('a body, however it is cut into pieces', () => {
  test('gives back its bytes and the seal of them', async () => {
    await fc.assert(
      fc.asyncProperty(length, sizes, fc.integer({ min: 0, max: 1000 }), async (length, sizes, more) => {
        const { bytes, root, body } = bodyOf(length);
        const put = new PutBody(pieces(body, [...sizes, 70_000]), length + more);
        expect(Buffer.compare(await received(put, more % 2 === 0), bytes)).toBe(0);
        const seal = await put.seal();
        expect([Buffer.compare(seal.root, root), seal.length]).toEqual([0, length]);
        put.release();
      }),
      { numRuns: 40 },
    );
  });

  test('is refused when it is longer than its grant', async () => {
    await fc.assert(
      fc.asyncProperty(length, sizes, fc.integer({ min: 1, max: 100 }), async (length, sizes, less) => {
        const { body } = bodyOf(length);
        const put = new PutBody(pieces(body, [...sizes, 70_000]), Math.max(0, length - less));
        await expect(received(put, true)).rejects.toThrow(NetworkError);
        put.release();
      }),
      { numRuns: 40 },
    );
  });

  test('is no shard when a byte of it was changed, or its end is missing', async () => {
    await fc.assert(
      fc.asyncProperty(length, sizes, fc.nat(), fc.boolean(), async (length, sizes, at, cut) => {
        const { body } = bodyOf(length);
        const damaged = cut ? body.subarray(0, at % body.length) : Buffer.from(body);
        if (!cut) damaged[at % body.length]! ^= 0x10;
        const put = new PutBody(pieces(damaged, [...sizes, 70_000]), length);
        await expect(received(put, true)).rejects.toThrow(TransportError);
        put.release();
      }),
      { numRuns: 40 },
    );
  });
});

test('a body that nobody wanted to the end is sealed all the same', async () => {
  const { root, body } = bodyOf(700_000);
  const put = new PutBody(pieces(body, [60_000]), 700_000);
  await put.source();
  expect(Buffer.compare((await put.seal()).root, root)).toBe(0);
});
