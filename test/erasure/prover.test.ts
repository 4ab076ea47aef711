import { expect, test } from 'vitest';
import { HASH_BYTES, createHasher, createProver } from '#erasure';
import { bytesFrom } from './support.ts';

const hasher = createHasher();

test('a prover gives the proofs of its hasher', () => {
  for (let width = 1; width <= 13; width++) {
    const leaves = bytesFrom(width, width * HASH_BYTES);
    const prover = createProver(hasher, leaves);
    for (let first = width - 1; first >= 0; first--) {
      for (let count = 1; first + count <= width; count++) {
        expect(prover.proof(first, count)).toEqual(hasher.proof(leaves, first, count));
      }
    }
  }
});

test('a proof of leaves that are not there is a bug of the caller', () => {
  const prover = createProver(hasher, bytesFrom(1, 3 * HASH_BYTES));
  for (const [first, count] of [
    [0, 0],
    [0, 4],
    [3, 1],
    [-1, 1],
    [0.5, 1],
    [0, 1.5],
  ] as const) {
    expect(() => prover.proof(first, count)).toThrow(RangeError);
  }
});
