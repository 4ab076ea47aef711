import { createHasher, createProver, HASH_BYTES } from '#erasure';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

const hasher = createHasher();

test('a prover gives the proofs that the hasher gives, in any order', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: HASH_BYTES, maxLength: 70 * HASH_BYTES }),
      fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 10 }),
      (bytes, ranges) => {
        const width = Math.floor(bytes.length / HASH_BYTES);
        const leaves = bytes.subarray(0, width * HASH_BYTES);
        const prover = createProver(hasher, leaves);
        for (const [a, b] of ranges) {
          const first = a % width;
          const count = 1 + (b % (width - first));
          expect(Buffer.compare(prover.proof(first, count), hasher.proof(leaves, first, count))).toBe(0);
        }
      },
    ),
  );
});

test('a prover refuses leaves that the shard does not have', () => {
  const prover = createProver(hasher, new Uint8Array(5 * HASH_BYTES));
  for (const [first, count] of [
    [0, 6],
    [5, 1],
    [-1, 1],
    [0, 0],
    [0.5, 1],
  ] as const) {
    expect(() => prover.proof(first, count)).toThrow(RangeError);
  }
});
