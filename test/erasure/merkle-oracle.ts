import { createBLAKE3 } from 'hash-wasm';
import { LEAF_BYTES } from '#erasure';

const blake3 = await createBLAKE3();

/** A third implementation of BLAKE3, so that the oracle shares nothing with what it tests. */
function hash(...parts: Uint8Array[]): Uint8Array {
  blake3.init();
  parts.forEach((part) => blake3.update(part));
  return blake3.digest('binary');
}

/** The Merkle tree as RFC 6962 words it: recursive, top down. */
function node(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return hash(leaves[0]!);
  const split = largestPowerBelow(leaves.length);
  return hash(Uint8Array.of(1), node(leaves.slice(0, split)), node(leaves.slice(split)));
}

export function oracleRoot(shard: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(shard.length), true);
  const top = shard.length > 0 ? node(leavesOf(shard)) : new Uint8Array(0);
  return hash(Uint8Array.of(2), length, top);
}

interface Sibling {
  /** Both halves of a split of 2^level leaves and the rest are nodes of that level, full or not. */
  readonly level: number;
  readonly from: number;
  readonly hash: Uint8Array;
}

/** The highest subtrees of `leaves`, which begin at leaf `from`, without a leaf of [first, end). */
function outside(
  leaves: readonly Uint8Array[],
  from: number,
  level: number,
  first: number,
  end: number,
): Sibling[] {
  const to = from + leaves.length;
  if (from >= first && to <= end) return [];
  if (to <= first || from >= end) return [{ level, from, hash: node(leaves) }];
  const split = largestPowerBelow(leaves.length);
  const below = Math.log2(split);
  return [
    ...outside(leaves.slice(0, split), from, below, first, end),
    ...outside(leaves.slice(split), from + split, below, first, end),
  ];
}

/** Bottom up, on a level left to right. */
export function oracleProof(shard: Uint8Array, first: number, count: number): Uint8Array {
  const siblings = outside(leavesOf(shard), 0, Infinity, first, first + count);
  siblings.sort((a, b) => a.level - b.level || a.from - b.from);
  return Uint8Array.from(siblings.flatMap((sibling) => [...sibling.hash]));
}

function leavesOf(shard: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(shard.length / LEAF_BYTES) }, (_, index) =>
    shard.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES),
  );
}

function largestPowerBelow(count: number): number {
  return 2 ** Math.floor(Math.log2(count - 1));
}
