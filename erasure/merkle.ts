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
import type { NodeMemory } from './nodes.ts';
import { HASH_BYTES, LEAF_BYTES } from './types.ts';

const ROOT = 0x02;
/** 0x02 and the length. */
const SEAL_BYTES = 9;

/** Where nodes are put in a NodeMemory: the node before is free for a left sibling, and for what the root adds to the top. */
export const NODES_AT = HASH_BYTES;

/** Number of leaves of a shard. @param length bytes */
export function leafCount(length: number): number {
  return Math.ceil(length / LEAF_BYTES);
}

/** Whether a shard of `width` leaves has leaves [first, first + count), at least one. */
export function isRange(first: number, count: number, width: number): boolean {
  return (
    Number.isSafeInteger(first) &&
    first >= 0 &&
    Number.isInteger(count) &&
    count >= 1 &&
    first + count <= width
  );
}

/** Turns the top at NODES_AT, unless the shard is empty, into the root there. @param length bytes of the shard */
export function seal(nodes: NodeMemory, length: number): void {
  const from = NODES_AT - SEAL_BYTES;
  const memory = nodes.room(from + 64);
  memory[from] = ROOT;
  memory.writeUInt32LE(length % 2 ** 32, from + 1);
  memory.writeUInt32LE(Math.floor(length / 2 ** 32), from + 5);
  nodes.hashBlock(from, SEAL_BYTES + (length > 0 ? HASH_BYTES : 0), NODES_AT);
}

/**
 * The nodes over leaves [first, end) on one level after another, from the leaves up. This is the one definition of
 * what a range's proof holds and in which order: on each level below the top the left sibling, then the right.
 */
export class Climb {
  /** 0 for the leaves. */
  level = 0;
  /** The range's nodes on this level are [first, end) of `width`. */
  first: number;
  end: number;
  width: number;

  /** @param width number of leaves; 0 ≤ first < end ≤ width */
  constructor(first: number, end: number, width: number) {
    this.first = first;
    this.end = end;
    this.width = width;
  }

  get belowTop(): boolean {
    return this.width > 1;
  }

  /** The node `first - 1` is in the proof. */
  get left(): boolean {
    return this.first % 2 === 1;
  }

  /** The node `end` is in the proof. */
  get right(): boolean {
    return this.end % 2 === 1 && this.end < this.width;
  }

  rise(): void {
    this.level++;
    this.first = Math.floor(this.first / 2);
    this.end = Math.ceil(this.end / 2);
    this.width = Math.ceil(this.width / 2);
  }
}

/** Bytes of the proof of leaves [first, end). */
export function proofLength(first: number, end: number, width: number): number {
  let nodes = 0;
  for (const climb = new Climb(first, end, width); climb.belowTop; climb.rise()) {
    nodes += Number(climb.left) + Number(climb.right);
  }
  return nodes * HASH_BYTES;
}
