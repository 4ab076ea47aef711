/**
 * CRC of a whole from the CRCs of its parts. A reflected CRC is a polynomial over GF(2) with the highest bit as x⁰; appending n bytes
 * multiplies the CRC of what came before by x^(8n), modulo the CRC's polynomial (as zlib's crc32_combine does it).
 */

/** A CRC of `bits` bits, reflected, with initial value and final XOR all ones; its polynomial with the bits reversed. */
export interface CrcField {
  readonly bits: number;
  readonly polynomial: bigint;
}

export const CRC32: CrcField = { bits: 32, polynomial: 0xedb88320n };
export const CRC32C: CrcField = { bits: 32, polynomial: 0x82f63b78n };
export const CRC64NVME: CrcField = { bits: 64, polynomial: 0x9a6c9329ac4bc9b5n };

export interface CrcPart {
  readonly crc: bigint;
  /** Bytes. */
  readonly length: number;
}

/** CRC of the parts' bytes one after another; of no part, that of nothing. */
export function combineCrcs(field: CrcField, parts: readonly CrcPart[]): bigint {
  // Most parts of an upload have the same length, and the powers are what takes time.
  const shifts = new Map<number, bigint>();
  let whole = 0n;
  for (const { crc, length } of parts) {
    let shift = shifts.get(length);
    if (shift === undefined) {
      shift = powerOfX(field, BigInt(length) * 8n);
      shifts.set(length, shift);
    }
    whole = multiply(field, shift, whole) ^ crc;
  }
  return whole;
}

/** x^exponent by squaring. */
function powerOfX(field: CrcField, exponent: bigint): bigint {
  const one = 1n << BigInt(field.bits - 1);
  let power = one;
  let square = one >> 1n;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) power = multiply(field, square, power);
    square = multiply(field, square, square);
  }
  return power;
}

function multiply({ bits, polynomial }: CrcField, a: bigint, b: bigint): bigint {
  let product = 0n;
  let shifted = b;
  for (let mask = 1n << BigInt(bits - 1); mask > 0n; mask >>= 1n) {
    if (a & mask) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ polynomial : shifted >> 1n;
  }
  return product;
}
