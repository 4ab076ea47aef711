import type { Digest } from './blake3.ts';
import { HASH_BYTES, LEAF_BYTES, type Hasher, type ShardTree, type TreeBuilder } from './types.ts';

/** Hashes a shard's leaves as its bytes pass; copies only bytes of leaves that a piece holds in part. */
export class LeafTreeBuilder implements TreeBuilder {
  readonly #digest: Digest;
  readonly #root: Hasher['root'];
  #leaves = Buffer.alloc(16 * HASH_BYTES);
  #leavesLength = 0;
  #length = 0;
  /** The leaf under way, when a piece ended inside it. */
  #partial: Uint8Array | undefined;
  #filled = 0;

  constructor(digest: Digest, root: Hasher['root']) {
    this.#digest = digest;
    this.#root = root;
  }

  update(bytes: Uint8Array): void {
    this.#length += bytes.length;
    let at = this.#filled > 0 ? this.#fill(bytes) : 0;
    for (; bytes.length - at >= LEAF_BYTES; at += LEAF_BYTES) {
      this.#push(bytes.subarray(at, at + LEAF_BYTES));
    }
    if (at < bytes.length) this.#fill(bytes.subarray(at));
  }

  finish(): ShardTree {
    if (this.#filled > 0) this.#push(this.#partial!.subarray(0, this.#filled));
    const leaves = new Uint8Array(this.#leaves.subarray(0, this.#leavesLength));
    return { root: this.#root(leaves, this.#length), length: this.#length, leaves };
  }

  /** Adds the beginning of `bytes` to the leaf under way; returns how many it took. */
  #fill(bytes: Uint8Array): number {
    this.#partial ??= new Uint8Array(LEAF_BYTES);
    const taken = Math.min(LEAF_BYTES - this.#filled, bytes.length);
    this.#partial.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    if (this.#filled === LEAF_BYTES) {
      this.#push(this.#partial);
      this.#filled = 0;
    }
    return taken;
  }

  #push(leaf: Uint8Array): void {
    if (this.#leavesLength === this.#leaves.length) {
      const grown = Buffer.alloc(this.#leaves.length * 2);
      grown.set(this.#leaves);
      this.#leaves = grown;
    }
    this.#digest(leaf, this.#leaves, this.#leavesLength);
    this.#leavesLength += HASH_BYTES;
  }
}
