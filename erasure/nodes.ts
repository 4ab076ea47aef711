import type { Digest } from './blake3.ts';
import { HASH_BYTES } from './types.ts';

const INNER = 0x01;

/**
 * Memory that the nodes of a tree are put into and hashed in. One serves a whole process: what it holds is lost between
 * calls of the Hasher. `from` and `to` are offsets of bytes in it.
 */
export interface NodeMemory {
  /** The memory itself, of at least `bytes` bytes. It may move when it grows, with what it holds. */
  room(bytes: number): Buffer;
  /**
   * Puts the level above the `count` nodes from `from` on to `to`, which is at most a node behind `from`: so `from` itself
   * will do. An odd last node rises as it is.
   */
  raise(from: number, count: number, to: number): void;
  /** Puts BLAKE3 of the `length` bytes from `from` on to `to`. At most 64 bytes; the rest of the 64 is overwritten. */
  hashBlock(from: number, length: number, to: number): void;
}

/** Inner nodes digest by digest: the reference for the kernel's, and in its place in runtimes without WASM SIMD. */
export class DigestNodes implements NodeMemory {
  readonly #digest: Digest;
  readonly #pair = Buffer.alloc(1 + 2 * HASH_BYTES, INNER);
  #memory = Buffer.alloc(0);

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  room(bytes: number): Buffer {
    if (this.#memory.length < bytes) this.#memory = Buffer.concat([this.#memory], 2 * bytes);
    return this.#memory;
  }

  raise(from: number, count: number, to: number): void {
    const memory = this.#memory;
    for (let left = count; left > 1; left -= 2, from += 2 * HASH_BYTES, to += HASH_BYTES) {
      memory.copy(this.#pair, 1, from, from + 2 * HASH_BYTES);
      this.#digest(this.#pair, memory, to);
    }
    if (count % 2 === 1) memory.copyWithin(to, from, from + HASH_BYTES);
  }

  hashBlock(from: number, length: number, to: number): void {
    this.#digest(this.#memory.subarray(from, from + length), this.#memory, to);
  }
}
