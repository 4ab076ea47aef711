import { Climb, isRange, proofLength } from './merkle.ts';
import { HASH_BYTES, type Hasher } from './types.ts';

/** Proofs of many ranges of one shard. */
export interface Prover {
  /** Equals Hasher.proof of the same leaves. */
  proof(first: number, count: number): Uint8Array;
}

/**
 * Hashes each level of the tree once, at the first proof that needs it, where Hasher.proof does for each.
 * Takes as much memory again as the leaves.
 * @param leaves every leaf hash of the shard, concatenated; kept
 */
export function createProver(hasher: Pick<Hasher, 'levelAbove'>, leaves: Uint8Array): Prover {
  const width = leaves.length / HASH_BYTES;
  const levels = [leaves];
  return {
    proof(first, count) {
      if (!isRange(first, count, width)) {
        throw new RangeError(`no leaves [${first}, ${first + count}) in a shard of ${width} leaves`);
      }
      const proof = new Uint8Array(proofLength(first, first + count, width));
      let length = 0;
      for (const climb = new Climb(first, first + count, width); length < proof.length; climb.rise()) {
        if (climb.level === levels.length) levels.push(hasher.levelAbove(levels[climb.level - 1]!));
        const level = levels[climb.level]!;
        if (climb.left) length = put(level, climb.first - 1, proof, length);
        if (climb.right) length = put(level, climb.end, proof, length);
      }
      return proof;
    },
  };
}

/** @returns where the next goes */
function put(level: Uint8Array, index: number, proof: Uint8Array, at: number): number {
  proof.set(level.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES), at);
  return at + HASH_BYTES;
}
