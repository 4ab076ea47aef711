import { levelAbove, proofSteps } from './merkle.ts';
import { HASH_BYTES, type Hasher } from './types.ts';

/** Proofs of many ranges of one shard. */
export interface Prover {
  /** Equals Hasher.proof of the same leaves. */
  proof(first: number, count: number): Uint8Array;
}

/**
 * Hashes the inner nodes once, at the first proof, where Hasher.proof hashes nearly all of them for each.
 * Takes as much memory again as the leaves.
 * @param leaves every leaf hash of the shard, concatenated; kept
 */
export function createProver(hasher: Hasher, leaves: Uint8Array): Prover {
  const digest = (data: Uint8Array): Uint8Array => hasher.hash(data);
  const width = leaves.length / HASH_BYTES;
  const levels = [leaves];
  const node = (level: number, index: number): Uint8Array => {
    while (levels.length <= level) levels.push(levelAbove(digest, levels[levels.length - 1]!));
    return levels[level]!.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  };
  return {
    proof(first, count) {
      if (
        !Number.isInteger(first) ||
        !Number.isInteger(count) ||
        first < 0 ||
        count < 1 ||
        first + count > width
      ) {
        throw new RangeError(`no leaves [${first}, ${first + count}) in a shard of ${width} leaves`);
      }
      const siblings: Uint8Array[] = [];
      [...proofSteps(first, first + count, width)].forEach((step, level) => {
        if (step.left) siblings.push(node(level, step.first - 1));
        if (step.right) siblings.push(node(level, step.end));
      });
      return new Uint8Array(Buffer.concat(siblings));
    },
  };
}
