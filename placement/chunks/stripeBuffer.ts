import { LEAF_BYTES, type ErasureCodec } from '#erasure';
import { freeMemory } from '../freeMemory.ts';
import { sharedCells, type Cell, type StripePool } from './stripeMemory.ts';

/**
 * Gathers the data of one stripe after the other and codes it. The first stripe's memory is what the chunk needs or, where that is not known, grows with
 * its content, so that a small object takes little; full stripes use the pool's.
 */
export class StripeBuffer {
  readonly #codec: ErasureCodec;
  readonly #pool: StripePool;
  readonly #capacity: number;
  readonly #total: number;
  readonly #expected: number | undefined;
  #bytes: Uint8Array = new Uint8Array(0);
  #filled = 0;
  #isFirst = true;

  /** @param cell bytes of a cell in a full stripe @param length of the chunk, where it is known */
  constructor(codec: ErasureCodec, cell: number, pool: StripePool, length?: number) {
    const { data, parity } = codec.profile;
    this.#codec = codec;
    this.#pool = pool;
    this.#capacity = data * cell;
    this.#total = (data + parity) * cell;
    this.#expected = length;
  }

  get isFull(): boolean {
    return this.#filled === this.#capacity;
  }

  get isEmpty(): boolean {
    return this.#filled === 0;
  }

  /** Copies as many of `bytes` as have room; returns how many. */
  fill(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#capacity - this.#filled);
    this.#reserve(this.#filled + taken);
    this.#bytes.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    return taken;
  }

  /** Codes what was gathered, and begins the next stripe. Returns the cells of all k+m shards. */
  code(): Cell[] {
    const { data, parity } = this.#codec.profile;
    const cell = Math.ceil(this.#filled / data);
    this.#reserve(cell * data);
    this.#bytes.fill(0, this.#filled, cell * data);
    const room = this.#bytes.subarray(cell * data, cell * (data + parity));
    const input = this.#bytes.subarray(0, cell * data);
    const isRoomy = room.length === cell * parity;
    const output = isRoomy ? this.#codec.encode(input, cell, room) : this.#codec.encode(input, cell);
    const cells = [...split(input, cell), ...split(output, cell)];
    const bytes = this.#bytes;
    const coded = sharedCells(cells, () => this.#giveBack(bytes));
    this.#isFirst = false;
    this.#bytes = new Uint8Array(0);
    this.#filled = 0;
    return coded;
  }

  /** Drops what was gathered. */
  clear(): void {
    this.#giveBack(this.#bytes);
    this.#bytes = new Uint8Array(0);
    this.#filled = 0;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const size = this.#isFirst ? this.#sizeFor(bytes) : this.#total;
    const grown = size < this.#total ? Buffer.allocUnsafeSlow(size) : this.#pool.take(this.#total);
    grown.set(this.#bytes.subarray(0, this.#filled));
    this.#giveBack(this.#bytes);
    this.#bytes = grown;
  }

  #giveBack(bytes: Uint8Array): void {
    if (bytes.length === this.#total) this.#pool.give(bytes);
    else freeMemory(bytes);
  }

  /** Room for padding and parity; and for more, once a second write shows that there is more. */
  #sizeFor(bytes: number): number {
    const { data, parity } = this.#codec.profile;
    if (this.#expected !== undefined && bytes <= this.#expected) {
      const coded = Math.ceil(Math.min(this.#expected, this.#capacity) / data) * (data + parity);
      // What is nearly a full stripe may as well have the memory of one.
      return 2 * coded > this.#total ? this.#total : coded;
    }
    const coded = (Math.ceil(bytes / data) + 1) * (data + parity);
    return this.#filled === 0 ? coded : Math.max(coded, 4 * bytes, LEAF_BYTES);
  }
}

function split(bytes: Uint8Array, cell: number): Uint8Array[] {
  const count = cell === 0 ? 0 : bytes.length / cell;
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * cell, (index + 1) * cell));
}
