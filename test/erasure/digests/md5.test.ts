import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kernelModule } from '../../../erasure/digests/build.ts';
import { decodeDigestKernel, digestKernel } from '../../../erasure/digests/kernel.ts';
import { SLOT_BYTES_MAX as SLOT_BYTES, SLOTS } from '../../../erasure/digests/layout.ts';
import { Md5Pool } from '../../../erasure/digests/md5-pool.ts';
import type { LoneMd5, Md5 } from '../../../erasure/digests/md5-pool.ts';

const kernel = digestKernel();
if (!kernel) throw new Error('this runtime has no WASM SIMD');
const newPool = (): Md5Pool => new Md5Pool(kernel);

/** Every byte depends on its place, so that blocks in the wrong order show. */
const PATTERN = Buffer.from(
  Uint8Array.from({ length: 6 * SLOT_BYTES }, (_, at) => (at * 167 + (at >> 8) * 59 + (at >> 16)) & 0xff),
);
const begin = (pool: Md5Pool): Md5 => {
  const md5 = pool.start(() => createHash('md5'));
  if (!md5) throw new Error('no slot is free');
  return md5;
};
const reference = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

test('the committed kernel is what its source builds to, byte for byte', async () => {
  const committed = new URL('../../../erasure/digests/digests-wasm.ts', import.meta.url);
  expect(await kernelModule()).toBe(await readFile(committed, 'utf8'));
  expect(WebAssembly.validate(decodeDigestKernel())).toBe(true);
});

/** A message under way: its bytes, cut as its client's pieces come; what ends before its end is given up. */
interface Message {
  readonly bytes: Buffer;
  readonly pieces: readonly number[];
  readonly end: number;
}

const lengths = fc.oneof(
  fc.nat(260),
  fc.nat(4 * SLOT_BYTES),
  fc.constantFrom(55, 56, 63, 64, 119, 120, SLOT_BYTES - 1, SLOT_BYTES, SLOT_BYTES + 1, 3 * SLOT_BYTES),
);
const pieceSizes = fc.oneof(
  fc.integer({ min: 1, max: 200 }).map((size) => size * 97),
  fc.integer({ min: 1, max: 3 * SLOT_BYTES }),
  fc.constant(SLOT_BYTES),
);
const messages = fc
  .record({
    start: fc.nat(SLOT_BYTES),
    length: lengths,
    pieces: fc.array(pieceSizes, { minLength: 1, maxLength: 5 }),
    share: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 4, nil: undefined }),
  })
  .map(({ start, length, pieces, share }): Message => ({
    bytes: PATTERN.subarray(start, start + length),
    pieces,
    end: share === undefined ? Infinity : share * length,
  }));

/** Hashes the messages in turns; `next` chooses among those under way. Throws at the first digest that is not the message's MD5. */
function interleave(pool: Md5Pool, all: readonly Message[], next: (count: number) => number): void {
  const running = all.map((message) => ({ message, md5: begin(pool), at: 0, turn: 0 }));
  while (running.length > 0) {
    const index = next(running.length);
    const run = running[index]!;
    const { bytes, pieces, end } = run.message;
    if (run.at < Math.min(bytes.length, end)) {
      // A copy that is wiped at once: nothing of a piece's memory may be kept.
      const piece = Buffer.from(bytes.subarray(run.at, run.at + pieces[run.turn++ % pieces.length]!));
      run.md5.update(piece);
      piece.fill(0);
      run.at += piece.length;
      continue;
    }
    if (run.at < bytes.length) run.md5.release();
    else assert.equal(run.md5.digest().toString('hex'), reference(bytes));
    running.splice(index, 1);
  }
}

describe('MD5 side by side', () => {
  test('of any messages, cut anywhere, in any order, some given up midway, is MD5', () => {
    const property = fc.property(
      fc.array(messages, { minLength: 1, maxLength: 9 }),
      fc.infiniteStream(fc.nat(1_000)),
      (all, order) => interleave(newPool(), all, (count) => (order.next().value as number) % count),
    );
    fc.assert(property, { numRuns: 150 });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17])('of %i long messages at one pace', (count) => {
    const all = Array.from({ length: count }, (_, index) => ({
      bytes: PATTERN.subarray(index * 1_001, index * 1_001 + 4 * SLOT_BYTES + index * 64),
      pieces: [65_536],
      end: Infinity,
    }));
    let turn = 0;
    interleave(newPool(), all, (running) => turn++ % running);
  });

  test('of a lone message of any length about that of its slot, and of twice that', () => {
    for (let more = -129; more <= 129; more += 3) {
      const bytes = PATTERN.subarray(0, SLOT_BYTES + more);
      for (const pieces of [[SLOT_BYTES], [50_000, 100_003], [2 * SLOT_BYTES]]) {
        interleave(newPool(), [{ bytes, pieces, end: Infinity }], () => 0);
      }
    }
  });

  test('a message that is the only one goes on alone, until then and among others it does not', () => {
    const pool = newPool();
    let lone = 0;
    const createLone = (): LoneMd5 => {
      lone++;
      return createHash('md5');
    };
    const first = pool.start(createLone);
    first?.update(PATTERN.subarray(0, SLOT_BYTES));
    expect(lone).toBe(0);
    first?.update(PATTERN.subarray(SLOT_BYTES, SLOT_BYTES + 1));
    expect(lone).toBe(1);
    // Two at one time are under way from here on, though the first alone.
    const second = pool.start(createLone);
    second?.update(PATTERN);
    expect(lone).toBe(1);
    expect(first?.digest().toString('hex')).toBe(reference(PATTERN.subarray(0, SLOT_BYTES + 1)));
    expect(second?.digest().toString('hex')).toBe(reference(PATTERN));
    const third = pool.start(createLone);
    third?.update(PATTERN);
    third?.release();
    third?.release();
    expect(lone).toBe(2);
    const fourth = pool.start(createLone);
    fourth?.update(PATTERN);
    expect(lone).toBe(3);
    expect(fourth?.digest().toString('hex')).toBe(reference(PATTERN));
  });

  test('of a message that is joined by others at times', () => {
    const pool = newPool();
    const long = begin(pool);
    for (let at = 0; at < PATTERN.length; at += 50_000) {
      long.update(PATTERN.subarray(at, at + 50_000));
      const short = begin(pool);
      short.update(PATTERN.subarray(at));
      expect(short.digest().toString('hex')).toBe(reference(PATTERN.subarray(at)));
    }
    expect(long.digest().toString('hex')).toBe(reference(PATTERN));
  });

  test('lengths beyond 2^32 bits are in the padding', () => {
    const pool = newPool();
    const other = begin(pool);
    const md5 = begin(pool);
    const hash = createHash('md5');
    const piece = PATTERN.subarray(0, 8 * SLOT_BYTES);
    for (let bytes = 0; bytes <= 2 ** 29; bytes += piece.length) {
      md5.update(piece);
      hash.update(piece);
    }
    expect(md5.digest().toString('hex')).toBe(hash.digest('hex'));
    other.release();
  }, 30_000);
});

describe('slots', () => {
  test('are all in use, then none is to be had, then as many again', () => {
    const pool = newPool();
    for (let round = 0; round < 3; round++) {
      const under = Array.from({ length: SLOTS }, () => begin(pool));
      expect(pool.start(() => createHash('md5'))).toBeUndefined();
      for (const [index, md5] of under.entries()) {
        md5.update(PATTERN.subarray(0, 70_000));
        if (index % 2) md5.release();
        else md5.digest();
        md5.release();
      }
    }
  });

  test('a message that ended does not touch the one that has its slot now', () => {
    const pool = newPool();
    const ended = begin(pool);
    ended.update(PATTERN.subarray(0, 100));
    ended.release();
    const next = begin(pool);
    next.update(PATTERN.subarray(0, 1_000));
    expect(() => ended.update(PATTERN)).toThrow('this MD5 has ended');
    expect(() => ended.digest()).toThrow('this MD5 has ended');
    ended.release();
    expect(next.digest().toString('hex')).toBe(reference(PATTERN.subarray(0, 1_000)));
  });
});
