/**
 * The Merkle tree over a shard's leaf hashes. Its shape is that of RFC 6962 and of BLAKE3: the left subtree of n
 * leaves holds the largest power of two below n. Seen from below, each level pairs its nodes from the left, and an
 * odd last node rises as it is.
 *
 *     inner node = BLAKE3(0x01 ‖ left ‖ right)
 *     root       = BLAKE3(0x02 ‖ length as u64 little-endian ‖ top)      with no top when the shard is empty
 *
 * The length in the root fixes the tree's shape, so no inner node can pass for a leaf nor one shard for another's
 * beginning.
 */
import type { Digest } from './blake3.ts';
import { HASH_BYTES, LEAF_BYTES } from './types.ts';

const INNER = 0x01;
const ROOT = 0x02;

/** Number of leaves of a shard. @param length bytes */
export function leafCount(length: number): number {
  return Math.ceil(length / LEAF_BYTES);
}

/** @param top 32 bytes, or none for an empty shard; @param length bytes of the shard */
export function sealRoot(digest: Digest, top: Uint8Array, length: number): Uint8Array {
  const message = new Uint8Array(9 + top.length);
  message[0] = ROOT;
  new DataView(message.buffer).setBigUint64(1, BigInt(length), true);
  message.set(top, 9);
  return Uint8Array.from(digest(message));
}

/** The level above `level`, both as concatenated hashes. */
export function levelAbove(digest: Digest, level: Uint8Array): Uint8Array {
  const count = level.length / HASH_BYTES;
  const above = new Uint8Array(Math.ceil(count / 2) * HASH_BYTES);
  const message = new Uint8Array(1 + 2 * HASH_BYTES);
  message[0] = INNER;
  for (let index = 0; index + 1 < count; index += 2) {
    message.set(level.subarray(index * HASH_BYTES, (index + 2) * HASH_BYTES), 1);
    above.set(digest(message), (index / 2) * HASH_BYTES);
  }
  if (count % 2 === 1) above.set(level.subarray((count - 1) * HASH_BYTES), above.length - HASH_BYTES);
  return above;
}

/** The node above all of `nodes`; none of none. */
export function top(digest: Digest, nodes: Uint8Array): Uint8Array {
  while (nodes.length > HASH_BYTES) nodes = levelAbove(digest, nodes);
  return nodes;
}

/** The node `index` of a level, level 0 being the leaves; hashes only what lies under it. */
export function nodeAt(digest: Digest, leaves: Uint8Array, level: number, index: number): Uint8Array {
  const size = 2 ** level * HASH_BYTES;
  return top(digest, leaves.subarray(index * size, (index + 1) * size));
}

/** What the proof of a range holds on one level. The range's nodes there are [first, end). */
export interface ProofStep {
  readonly first: number;
  readonly end: number;
  /** The node `first - 1` is in the proof. */
  readonly left: boolean;
  /** The node `end` is in the proof. */
  readonly right: boolean;
}

/**
 * The levels of the proof of leaves [first, end), from the leaves up to the one below the top. This is the one
 * definition of what a proof holds and in which order: level after level, on each the left sibling, then the right.
 * @param width number of leaves; 0 ≤ first < end ≤ width
 */
export function* proofSteps(first: number, end: number, width: number): Generator<ProofStep, undefined> {
  while (width > 1) {
    yield { first, end, left: first % 2 === 1, right: end % 2 === 1 && end < width };
    first = Math.floor(first / 2);
    end = Math.ceil(end / 2);
    width = Math.ceil(width / 2);
  }
}

export function proofLength(steps: readonly ProofStep[]): number {
  return steps.reduce((bytes, { left, right }) => bytes + (Number(left) + Number(right)) * HASH_BYTES, 0);
}
