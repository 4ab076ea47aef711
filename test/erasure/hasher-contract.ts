import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HASH_BYTES, LEAF_BYTES, type Hasher } from '#erasure';
import { blake3Vectors } from './blake3-vectors.ts';
import { oracleProof, oracleRoot } from './merkle-oracle.ts';
import { bytesFrom } from './support.ts';

const SHARD_MAX = 37 * LEAF_BYTES;
const shard = bytesFrom(11, SHARD_MAX);

/** Shard lengths, those about whole leaves among them, and a range of the shard's leaves. */
const ranges = fc
  .oneof(
    fc.integer({ min: 1, max: SHARD_MAX }),
    fc
      .record({ leaves: fc.integer({ min: 1, max: 36 }), off: fc.integer({ min: -1, max: 1 }) })
      .map(({ leaves, off }) => leaves * LEAF_BYTES + off),
  )
  .chain((length) => {
    const width = Math.ceil(length / LEAF_BYTES);
    return fc.integer({ min: 0, max: width - 1 }).chain((first) =>
      fc.record({
        length: fc.constant(length),
        first: fc.constant(first),
        count: fc.integer({ min: 1, max: width - first }),
      }),
    );
  });

/** The contract of Hasher; every implementation runs it. */
export function describeHasher(name: string, hasher: Hasher): void {
  const treeOf = (bytes: Uint8Array) => {
    const builder = hasher.tree();
    builder.update(bytes);
    return builder.finish();
  };
  const bytesOf = (length: number, first: number, count: number) =>
    shard.subarray(first * LEAF_BYTES, Math.min(length, (first + count) * LEAF_BYTES));

  describe(`${name} keeps the contract of Hasher`, () => {
    test('hashes the official BLAKE3 vectors', () => {
      for (const [length, expected] of blake3Vectors) {
        const input = Uint8Array.from({ length }, (_, index) => index % 251);
        expect(Buffer.from(hasher.hash(input)).toString('hex'), `${length} bytes`).toBe(expected);
      }
    });

    test('pieces of any size build the tree of the oracle', () => {
      const cuts = fc.array(fc.integer({ min: 0, max: SHARD_MAX }), { maxLength: 12 });
      fc.assert(
        fc.property(ranges, cuts, ({ length }, at) => {
          const builder = hasher.tree();
          const ends = [...at.filter((cut) => cut < length), length].sort((a, b) => a - b);
          ends.forEach((end, index) => builder.update(shard.subarray(ends[index - 1] ?? 0, end)));
          const tree = builder.finish();
          expect(tree.length).toBe(length);
          expect(tree.root).toEqual(oracleRoot(shard.subarray(0, length)));
          expect(hasher.root(tree.leaves, length)).toEqual(tree.root);
          expect(tree.leaves.length).toBe(Math.ceil(length / LEAF_BYTES) * HASH_BYTES);
        }),
        { numRuns: 40 },
      );
    });

    test('a builder keeps no reference to a piece', () => {
      const piece = shard.slice(0, 1000);
      const builder = hasher.tree();
      builder.update(piece);
      piece.fill(0);
      expect(builder.finish().root).toEqual(oracleRoot(shard.subarray(0, 1000)));
    });

    test('an empty shard has a root, no leaves, and one valid proof: nothing', () => {
      const empty = new Uint8Array(0);
      const tree = hasher.tree().finish();
      expect(tree).toEqual({ root: oracleRoot(empty), length: 0, leaves: empty });
      expect(hasher.verify(tree.root, 0, 0, empty, empty)).toBe(true);
      expect(hasher.verify(tree.root, 0, 1, empty, empty)).toBe(false);
      expect(hasher.verify(tree.root, 0, 0, shard.subarray(0, 1), empty)).toBe(false);
      expect(hasher.verify(tree.root, 0, 0, empty, tree.root)).toBe(false);
      expect(hasher.verify(tree.root, 1, 0, empty, empty)).toBe(false);
    });

    test('every range is proved by the hashes of the oracle, no more, no fewer', () => {
      fc.assert(
        fc.property(ranges, ({ length, first, count }) => {
          const tree = treeOf(shard.subarray(0, length));
          const proof = hasher.proof(tree.leaves, first, count);
          expect(proof).toEqual(oracleProof(shard.subarray(0, length), first, count));
          expect(hasher.verify(tree.root, length, first, bytesOf(length, first, count), proof)).toBe(true);
        }),
        { numRuns: 60 },
      );
    });

    test('one leaf is proved by its hash alone, and by no other', () => {
      fc.assert(
        fc.property(ranges, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ length, first }, at, flip) => {
          const { root, leaves } = treeOf(shard.subarray(0, length));
          const proof = hasher.proof(leaves, first, 1);
          const leaf = hasher.hash(bytesOf(length, first, 1));
          const changed = leaf.slice();
          changed[at % changed.length]! ^= flip;
          const broken = proof.slice();
          if (broken.length > 0) broken[at % broken.length]! ^= flip;
          expect(hasher.verifyLeafHash(root, length, first, leaf, proof)).toBe(true);
          const refused = [
            hasher.verifyLeafHash(root, length, first, changed, proof),
            hasher.verifyLeafHash(changed, length, first, leaf, proof),
            hasher.verifyLeafHash(root, length, first + 1, leaf, proof),
            hasher.verifyLeafHash(root, length, first - 1, leaf, proof),
            hasher.verifyLeafHash(root, length + 1, first, leaf, proof),
            hasher.verifyLeafHash(root, length, first, leaf.subarray(1), proof),
            hasher.verifyLeafHash(root, length, first, leaf, Buffer.concat([proof, root])),
            broken.length > 0 && hasher.verifyLeafHash(root, length, first, leaf, broken),
            broken.length > 0 && hasher.verifyLeafHash(root, length, first, leaf, proof.subarray(0, -1)),
          ];
          expect(refused).not.toContain(true);
          for (const number of [NaN, Infinity, -1, 0.5, 2 ** 53]) {
            expect(hasher.verifyLeafHash(root, length, number, leaf, proof)).toBe(false);
            expect(hasher.verifyLeafHash(root, number, first, leaf, proof)).toBe(false);
          }
        }),
        { numRuns: 60 },
      );
    });

    test('anything else is refused', () => {
      fc.assert(
        fc.property(
          ranges,
          fc.nat(),
          fc.integer({ min: 1, max: 255 }),
          ({ length, first, count }, at, flip) => {
            const { root, leaves } = treeOf(shard.subarray(0, length));
            const bytes = bytesOf(length, first, count);
            const proof = hasher.proof(leaves, first, count);
            const flipped = (whole: Uint8Array) => {
              const copy = whole.slice();
              copy[at % copy.length]! ^= flip;
              return copy;
            };
            const refused = [
              hasher.verify(root, length, first, flipped(bytes), proof),
              hasher.verify(flipped(root), length, first, bytes, proof),
              hasher.verify(root.subarray(1), length, first, bytes, proof),
              proof.length > 0 && hasher.verify(root, length, first, bytes, flipped(proof)),
              proof.length > 0 && hasher.verify(root, length, first, bytes, proof.subarray(HASH_BYTES)),
              proof.length > 0 && hasher.verify(root, length, first, bytes, proof.subarray(0, -1)),
              hasher.verify(root, length, first, bytes, Buffer.concat([proof, proof, root])),
              hasher.verify(root, length, first + 1, bytes, proof),
              hasher.verify(root, length, first - 1, bytes, proof),
              hasher.verify(root, length + 1, first, bytes, proof),
              hasher.verify(root, length - 1, first, bytes, proof),
              hasher.verify(root, length + LEAF_BYTES, first, bytes, proof),
              hasher.verify(root, length, first, bytes.subarray(1), proof),
              hasher.verify(root, length, first, bytes.subarray(0, -1), proof),
              hasher.verify(root, length, first, new Uint8Array(0), proof),
            ];
            expect(refused).not.toContain(true);
          },
        ),
        { numRuns: 60 },
      );
    });

    test('hostile numbers are refused without throwing', () => {
      const { root, leaves } = treeOf(shard.subarray(0, 3 * LEAF_BYTES));
      const bytes = bytesOf(3 * LEAF_BYTES, 0, 1);
      const proof = hasher.proof(leaves, 0, 1);
      const hostile = [NaN, Infinity, -Infinity, -1, 0.5, 2 ** 53, Number.MAX_VALUE];
      for (const number of hostile) {
        expect(hasher.verify(root, number, 0, bytes, proof)).toBe(false);
        expect(hasher.verify(root, 3 * LEAF_BYTES, number, bytes, proof)).toBe(false);
        expect(hasher.verify(root, number, number, new Uint8Array(0), proof)).toBe(false);
      }
      expect(hasher.verify(root, Number.MAX_SAFE_INTEGER, 0, bytes, proof)).toBe(false);
    });

    test('a proof of leaves that are not there, or a root of too few leaves, is a bug of the caller', () => {
      const { leaves } = treeOf(shard.subarray(0, 3 * LEAF_BYTES));
      for (const [first, count] of [
        [0, 0],
        [0, 4],
        [3, 1],
        [-1, 1],
        [0.5, 1],
        [0, 1.5],
      ] as const) {
        expect(() => hasher.proof(leaves, first, count)).toThrow(RangeError);
      }
      expect(() => hasher.root(leaves, 2 * LEAF_BYTES)).toThrow(RangeError);
    });
  });
}
