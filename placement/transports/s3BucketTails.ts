import { createHasher, createProver, type Prover } from '#erasure';
import { decodeTail } from './shardFile.ts';
import { TransportError, type ShardSeal } from '../types.ts';

/** What is known of a stored shard besides its bytes. */
export interface ShardTail {
  readonly seal: ShardSeal;
  /** Of the object. */
  readonly size: number;
  readonly prover: Prover;
}

const hasher = createHasher();
/** Leaf hashes kept, as many bytes of inner nodes again: those of 8 GiB of shards. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** @param bytes the end of an object of `size` bytes from the shard's `length` on. @throws TransportError 'Corrupt' */
export function readTail(bytes: Uint8Array, length: number, size: number): ShardTail {
  const seal = decodeTail(bytes, length);
  if (!seal)
    throw new TransportError('Corrupt', `the object's trailer is not that of a shard of ${length} bytes`);
  return { seal, size, prover: createProver(hasher, seal.leaves) };
}

/** Tails of the shards that were read last: with one, a read of leaves is one request. */
export class ShardTails {
  readonly #tails = new Map<string, ShardTail>();
  #bytes = 0;

  get(key: string): ShardTail | undefined {
    const tail = this.#tails.get(key);
    if (tail) {
      this.#tails.delete(key);
      this.#tails.set(key, tail);
    }
    return tail;
  }

  set(key: string, tail: ShardTail): void {
    this.delete(key);
    this.#tails.set(key, tail);
    this.#bytes += tail.seal.leaves.length;
    for (const [oldest] of this.#tails) {
      if (this.#bytes <= KEPT_BYTES_MAX) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const tail = this.#tails.get(key);
    if (!tail) return;
    this.#tails.delete(key);
    this.#bytes -= tail.seal.leaves.length;
  }
}
