import { expect, test } from 'vitest';
import * as fc from 'fast-check';
import { createCodec } from '#erasure';
import { isAligned } from '../../placement/alignedMemory.ts';
import { StripeBuffer } from '../../placement/chunks/stripeBuffer.ts';
import { StripePool } from '../../placement/chunks/stripeMemory.ts';

const MIB = 2 ** 20;

/** Where a piece of memory lies, for comparing. */
interface Span {
  readonly buffer: ArrayBufferLike;
  readonly start: number;
  readonly end: number;
}

const spanOf = ({ buffer, byteOffset, length }: Uint8Array): Span => ({
  buffer,
  start: byteOffset,
  end: byteOffset + length,
});

const overlap = (a: Span, b: Span): boolean => a.buffer === b.buffer && a.start < b.end && b.start < a.end;

test('no two stripes in use share a byte, whatever is taken and given back', () => {
  const sizes = fc.constantFrom(96 * 1024, 384 * 1024, 1632 * 1024, 5 * MIB);
  const steps = fc.array(
    fc.oneof(
      sizes,
      fc.nat().map((at) => ({ give: at })),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (wanted) => {
      const pool = new StripePool();
      const used: Uint8Array[] = [];
      for (const step of wanted) {
        if (typeof step === 'object') {
          const [given] = used.splice(step.give % Math.max(1, used.length), 1);
          if (given) pool.give(given);
          continue;
        }
        const taken = pool.take(step);
        expect(taken.length).toBe(step);
        expect(isAligned(taken)).toBe(true);
        const span = spanOf(taken);
        expect(used.some((other) => overlap(spanOf(other), span))).toBe(false);
        used.push(taken);
      }
    }),
    { numRuns: 300 },
  );
});

test('smaller stripes share the memory of a larger one that lies idle, and it is whole again after them', () => {
  const pool = new StripePool();
  const large = pool.take(4 * MIB);
  pool.give(large);
  const small = [1, 2, 3, 4].map(() => pool.take(MIB));
  expect(small.every(({ buffer }) => buffer === large.buffer)).toBe(true);
  const [first, ...rest] = small as [Uint8Array, ...Uint8Array[]];
  for (const piece of rest) pool.give(piece);
  expect(pool.take(4 * MIB).buffer).not.toBe(large.buffer);
  pool.give(first);
  expect(pool.take(4 * MIB)).toBe(large);
});

test('keeps no more than its bound', () => {
  const pool = new StripePool();
  const taken = Array.from({ length: 12 }, () => pool.take(5 * MIB));
  for (const bytes of taken) pool.give(bytes);
  const again = Array.from({ length: 12 }, () => pool.take(5 * MIB));
  expect(again.filter((bytes) => taken.includes(bytes)).length).toBe(8);
});

test('nor where a few of many shared buffers never come back', () => {
  const pool = new StripePool();
  // Each is split in five, one of which is lost, as with a write that was broken off.
  const small = Array.from({ length: 20 }, () => {
    pool.give(pool.take(5 * MIB));
    return Array.from({ length: 5 }, () => pool.take(MIB));
  });
  const lost = new Set(small.map(([first]) => first!.buffer));
  expect(lost.size).toBe(20);
  for (const pieces of small) for (const piece of pieces.slice(1)) pool.give(piece);
  const again = Array.from({ length: 80 }, () => pool.take(MIB));
  expect(again.filter(({ buffer }) => lost.has(buffer)).length).toBeLessThanOrEqual(40);
  // What was in use meanwhile is not the pool's any more.
  for (const [first] of small.slice(-5)) pool.give(first!);
  const larger = pool.take(5 * MIB);
  expect(lost.has(larger.buffer)).toBe(false);
  pool.give(larger);
  expect(pool.take(5 * MIB)).toBe(larger);
});

const PROFILE = { data: 4, parity: 2 };
const CELL = 64 * 1024;
const STRIPE = 6 * CELL;

test('what was gathered of a stripe that is given up is used again', () => {
  const pool = new StripePool();
  const memory = pool.take(STRIPE);
  pool.give(memory);
  const stripe = new StripeBuffer(createCodec(PROFILE), CELL, pool, 4 * CELL);
  stripe.fill(Buffer.alloc(CELL));
  const isTaken = (): boolean => pool.take(STRIPE) === memory;
  expect(isTaken()).toBe(false);
  stripe.clear();
  stripe.clear();
  expect([isTaken(), isTaken()]).toEqual([true, false]);
});

test.each([1, 4 * CELL - 5, 4 * CELL])('nothing of a former stripe is in one of %i bytes', (length) => {
  const coded = (former: number): Buffer => {
    const pool = new StripePool();
    pool.give(pool.take(2 * STRIPE).fill(former));
    const stripe = new StripeBuffer(createCodec(PROFILE), CELL, pool, 4 * CELL);
    stripe.fill(Buffer.alloc(length, 7));
    const cells = stripe.code();
    expect(isAligned(cells[0]!.bytes)).toBe(true);
    return Buffer.concat(cells.map(({ bytes }) => bytes));
  };
  expect(coded(0xff).equals(coded(0))).toBe(true);
});
