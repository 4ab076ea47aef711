/**
 * CRC-64/NVME: polynomial 0xad93d23594c93659, reflected, initial value and final XOR all ones (NVM Command Set Specification 1.0d, 5.2.1.3.4).
 * Without WASM eight bytes per step (slicing-by-8) on 32-bit halves, because BigInt arithmetic would be a hundred times slower.
 */
import { crc64NvmeStep } from '#erasure';
import type { Crc64Step } from '#erasure';

/** The polynomial with its bits reversed, as two 32-bit halves. */
const POLYNOMIAL_HIGH = 0x9a6c9329;
const POLYNOMIAL_LOW = 0xac4bc9b5;
const SLICES = 8;

/** Entry (slice × 256 + byte): the low half at twice that index, the high half after it. */
const TABLE = buildTable();

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** One body's CRC. `update` any number of times, then `digest`: eight bytes, big-endian. */
export interface Crc64 {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

/** On the WASM kernel where the runtime has it, several times as fast. */
export function createCrc64Nvme(): Crc64 {
  const step = crc64NvmeStep();
  return step ? new KernelCrc64Nvme(step) : new Crc64Nvme();
}

const ALL_ONES = 0xffff_ffff_ffff_ffffn;

class KernelCrc64Nvme implements Crc64 {
  readonly #step: Crc64Step;
  #register = ALL_ONES;

  constructor(step: Crc64Step) {
    this.#step = step;
  }

  update(bytes: Uint8Array): void {
    this.#register = this.#step(this.#register, bytes);
  }

  digest(): Buffer {
    const digest = Buffer.alloc(8);
    digest.writeBigUInt64BE(this.#register ^ ALL_ONES);
    return digest;
  }
}

/** The same without WASM, and what it is tested against. */
export class Crc64Nvme implements Crc64 {
  #low = -1;
  #high = -1;

  update(bytes: Uint8Array): void {
    const aligned = LITTLE_ENDIAN ? (4 - (bytes.byteOffset & 3)) & 3 : bytes.length;
    const head = Math.min(aligned, bytes.length);
    const words = (bytes.length - head) >>> 3;
    this.#bytewise(bytes, 0, head);
    if (words > 0) this.#wordwise(new Int32Array(bytes.buffer, bytes.byteOffset + head, words * 2));
    this.#bytewise(bytes, head + words * 8, bytes.length);
  }

  /** Eight bytes, big-endian. */
  digest(): Buffer {
    const digest = Buffer.alloc(8);
    digest.writeInt32BE(~this.#high, 0);
    digest.writeInt32BE(~this.#low, 4);
    return digest;
  }

  #bytewise(bytes: Uint8Array, from: number, to: number): void {
    let low = this.#low;
    let high = this.#high;
    for (let index = from; index < to; index++) {
      const entry = ((low ^ (bytes[index] as number)) & 0xff) << 1;
      low = ((low >>> 8) | (high << 24)) ^ (TABLE[entry] as number);
      high = (high >>> 8) ^ (TABLE[entry + 1] as number);
    }
    this.#low = low;
    this.#high = high;
  }

  #wordwise(words: Int32Array): void {
    const table = TABLE;
    let low = this.#low;
    let high = this.#high;
    for (let index = 0; index < words.length; index += 2) {
      const a = low ^ (words[index] as number);
      const b = high ^ (words[index + 1] as number);
      // Byte n of the eight goes through slice 7 − n; a slice is 512 numbers.
      const e0 = 3_584 + ((a & 0xff) << 1);
      const e1 = 3_072 + ((a >>> 7) & 0x1fe);
      const e2 = 2_560 + ((a >>> 15) & 0x1fe);
      const e3 = 2_048 + ((a >>> 23) & 0x1fe);
      const e4 = 1_536 + ((b & 0xff) << 1);
      const e5 = 1_024 + ((b >>> 7) & 0x1fe);
      const e6 = 512 + ((b >>> 15) & 0x1fe);
      const e7 = (b >>> 23) & 0x1fe;
      low =
        (table[e0] as number) ^
        (table[e1] as number) ^
        (table[e2] as number) ^
        (table[e3] as number) ^
        (table[e4] as number) ^
        (table[e5] as number) ^
        (table[e6] as number) ^
        (table[e7] as number);
      high =
        (table[e0 + 1] as number) ^
        (table[e1 + 1] as number) ^
        (table[e2 + 1] as number) ^
        (table[e3 + 1] as number) ^
        (table[e4 + 1] as number) ^
        (table[e5 + 1] as number) ^
        (table[e6 + 1] as number) ^
        (table[e7 + 1] as number);
    }
    this.#low = low;
    this.#high = high;
  }
}

function buildTable(): Int32Array {
  const table = new Int32Array(SLICES * 512);
  for (let byte = 0; byte < 256; byte++) {
    let low = byte;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry) {
        low ^= POLYNOMIAL_LOW;
        high ^= POLYNOMIAL_HIGH;
      }
    }
    table[byte * 2] = low;
    table[byte * 2 + 1] = high;
  }
  // Slice s: the byte's remainder after s more zero bytes.
  for (let at = 512; at < table.length; at += 2) {
    const low = table[at - 512] as number;
    const high = table[at - 511] as number;
    const entry = (low & 0xff) << 1;
    table[at] = ((low >>> 8) | (high << 24)) ^ (table[entry] as number);
    table[at + 1] = (high >>> 8) ^ (table[entry + 1] as number);
  }
  return table;
}
