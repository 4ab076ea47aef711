/**
 * The form of a shard in a file:
 *
 *     shard bytes ‖ leaf hashes ‖ trailer = magic (8) ‖ length as u64 little-endian (8) ‖ root (32)
 *
 * The file's size alone gives the shard's length, and the trailer must say the same: a torn, shortened or extended
 * file is found without reading its bytes. Wrong bytes are for the reader to find, against the root in its record.
 */
import { HASH_BYTES, LEAF_BYTES } from '#erasure';
import type { ShardSeal } from '../types.ts';

/** The last digit is the format's version. */
const MAGIC = Buffer.from('SWshard1', 'latin1');
const LENGTH_AT = MAGIC.length;
const ROOT_AT = LENGTH_AT + 8;
export const TRAILER_BYTES = ROOT_AT + HASH_BYTES;
/** Far above a chunk's length: a file that a provider has blown up must not be believed, since its leaf hashes are read into memory. */
export const SHARD_BYTES_MAX = 1024 ** 3;

/** Bytes of the leaf hashes of a shard of `length` bytes. */
export function leavesBytes(length: number): number {
  return Math.ceil(length / LEAF_BYTES) * HASH_BYTES;
}

export function encodeTrailer({ root, length }: ShardSeal): Buffer {
  const trailer = Buffer.allocUnsafe(TRAILER_BYTES);
  trailer.set(MAGIC);
  trailer.writeBigUInt64LE(BigInt(length), LENGTH_AT);
  trailer.set(root, ROOT_AT);
  return trailer;
}

/** Length of the shard in a file of `size` bytes. `undefined`: no whole shard has a file of this size. */
export function shardLengthOf(size: number): number | undefined {
  const body = size - TRAILER_BYTES;
  const leaves = Math.ceil(body / (LEAF_BYTES + HASH_BYTES));
  const length = body - leaves * HASH_BYTES;
  if (length <= 0 || length > SHARD_BYTES_MAX) return undefined;
  return leavesBytes(length) === leaves * HASH_BYTES ? length : undefined;
}

/** Takes the end of a file, leaf hashes and trailer. `undefined` where it is not the end of a shard of this length. */
export function decodeTail(tail: Uint8Array, length: number): ShardSeal | undefined {
  const leaves = tail.subarray(0, leavesBytes(length));
  const trailer = Buffer.from(tail.buffer, tail.byteOffset + leaves.length, tail.length - leaves.length);
  if (trailer.length !== TRAILER_BYTES || MAGIC.compare(trailer, 0, MAGIC.length) !== 0) return undefined;
  if (trailer.readBigUInt64LE(LENGTH_AT) !== BigInt(length)) return undefined;
  return { root: trailer.subarray(ROOT_AT), length, leaves };
}

/** The bytes of a shard of `length` bytes that leaves [first, first + count) cover; `undefined` outside of it. */
export function leafRange(
  length: number,
  first: number,
  count: number,
): { start: number; end: number } | undefined {
  const width = Math.ceil(length / LEAF_BYTES);
  if (!Number.isInteger(first) || !Number.isInteger(count)) return undefined;
  if (first < 0 || count < 1 || first + count > width) return undefined;
  return { start: first * LEAF_BYTES, end: Math.min(length, (first + count) * LEAF_BYTES) };
}
