/** Seams of the erasure room: pure maths over bytes, no I/O. */

/** k data + m parity shards. */
export interface Profile {
  readonly data: number;
  readonly parity: number;
}

/**
 * Reed-Solomon over GF(2^8), byte-compatible with reed-solomon-erasure (Vandermonde, polynomial 0x11d).
 * One instance serves one profile. Calls are synchronous and never keep a reference to an argument.
 */
export interface ErasureCodec {
  readonly profile: Profile;
  /**
   * Codes one stripe. `data` is k cells of `cell` bytes, contiguous (length exactly k·cell; the caller pads
   * with zeroes). Returns the m parity cells, contiguous, in memory of their own, or in `into` (exactly m·cell
   * bytes) when given: fresh memory may cost as much as coding it, so a caller in a loop reuses its own.
   * @throws ErasureError kind 'BadLength'
   */
  encode(data: Uint8Array, cell: number, into?: Uint8Array): Uint8Array;
  /**
   * Rebuilds the `wanted` shards (indexes 0…k+m−1, data first) of one stripe, or of the same byte range of
   * one stripe: coding is byte-wise, so any equal-length slices of the shards do. `shards` has k+m entries,
   * `undefined` where absent; the first k present ones are used. Returned in the order of `wanted`; a wanted shard that is
   * present is returned as it is. `into`, when given, has the memory to rebuild each of `wanted` in, unused for those
   * present; a shard that is wanted twice is rebuilt once, in the first.
   * @throws ErasureError kind 'TooFewShards' when fewer than k are present, 'BadLength' when lengths differ.
   * @throws RangeError when `wanted` names a shard that the profile does not have.
   */
  reconstruct(
    shards: readonly (Uint8Array | undefined)[],
    wanted: readonly number[],
    into?: readonly Uint8Array[],
  ): Uint8Array[];
}

export type ErasureErrorKind = 'BadProfile' | 'BadLength' | 'TooFewShards';

export class ErasureError extends Error {
  override readonly name = 'ErasureError';
  readonly kind: ErasureErrorKind;
  readonly retryable = false;
  constructor(kind: ErasureErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Bytes of a shard that one leaf hash covers; the last leaf of a shard may be shorter. */
export const LEAF_BYTES = 16 * 1024;
export const HASH_BYTES = 32;

/**
 * BLAKE3 hashing. A shard's leaves are hashed each on its own; the leaf hashes form a binary Merkle tree whose
 * root, bound to the shard's length, is the shard's root. The tree's shape follows from the length alone: each level
 * pairs its nodes from the left, and an odd last node rises as it is (the shape of RFC 6962 and of BLAKE3).
 *
 *     leaf = BLAKE3(leaf bytes)    node = BLAKE3(0x01 ‖ left ‖ right)    root = BLAKE3(0x02 ‖ u64le length ‖ top)
 *
 * An empty shard has no leaves and no top.
 */
export interface Hasher {
  /** Plain BLAKE3-256 of `data`: 32 bytes. */
  hash(data: Uint8Array): Uint8Array;
  /** A builder that takes a shard's bytes in order, in pieces of any size. */
  tree(): TreeBuilder;
  /**
   * Proof that leaves [first, first+count) belong to the shard: the sibling hashes a verifier cannot compute,
   * concatenated, left to right and bottom up. `leaves` is every leaf hash of the shard, concatenated.
   *
   * The order, exactly: for each level from the leaves to the one below the top, whose nodes over the range are
   * [a, b) of n: node a−1 when a is odd, then node b when b is odd and b < n; the next level has ⌊a/2⌋, ⌈b/2⌉, ⌈n/2⌉.
   * The whole shard's proof is empty.
   * @throws RangeError when the shard has no such leaves, or count is 0.
   */
  proof(leaves: Uint8Array, first: number, count: number): Uint8Array;
  /**
   * True when `bytes` are exactly the leaves [first, first+count) of the shard of `length` bytes with this root.
   * Never throws on hostile input: a proof of the wrong size or a range outside the shard is false.
   */
  verify(root: Uint8Array, length: number, first: number, bytes: Uint8Array, proof: Uint8Array): boolean;
  /**
   * The same of one leaf of which only the hash (32 bytes) is known: true when `leaf` of the shard hashes to it.
   * Never throws on hostile input.
   */
  verifyLeafHash(
    root: Uint8Array,
    length: number,
    leaf: number,
    leafHash: Uint8Array,
    proof: Uint8Array,
  ): boolean;
  /**
   * Root of a shard of `length` bytes from its concatenated leaf hashes.
   * @throws RangeError when a shard of that length has another number of leaves.
   */
  root(leaves: Uint8Array, length: number): Uint8Array;
  /** The nodes above `level`, a level's nodes from the leaves on, both concatenated. */
  levelAbove(level: Uint8Array): Uint8Array;
}

export interface TreeBuilder {
  update(bytes: Uint8Array): void;
  /** The sealed tree; the builder must not be used after. */
  finish(): ShardTree;
}

export interface ShardTree {
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** Length of the shard in bytes. */
  readonly length: number;
  /** All leaf hashes, concatenated: 32 bytes for each LEAF_BYTES of shard. */
  readonly leaves: Uint8Array;
}
