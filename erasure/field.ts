/** GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d) and the generator 2, as reed-solomon-erasure has it. */

const POLYNOMIAL = 0x11d;

/** 2^i for i in 0…509: doubled, so that a sum of two logarithms needs no reduction. */
const powers = new Uint8Array(510);
const logarithms = new Uint8Array(256);

for (let exponent = 0, value = 1; exponent < 255; exponent++) {
  powers[exponent] = value;
  powers[exponent + 255] = value;
  logarithms[value] = exponent;
  value = value < 128 ? value << 1 : (value << 1) ^ POLYNOMIAL;
}

/** @param a,b bytes */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : powers[logarithms[a]! + logarithms[b]!]!;
}

/** @param a byte, not 0 */
export function invert(a: number): number {
  return powers[255 - logarithms[a]!]!;
}

/** a^exponent, with 0^0 = 1. @param exponent ≥ 0 */
export function power(a: number, exponent: number): number {
  if (exponent === 0) return 1;
  return a === 0 ? 0 : powers[(logarithms[a]! * exponent) % 255]!;
}
