import { describe, expect, test } from 'vitest';
import { invert, multiply, power } from '../../erasure/field.ts';
import { codingMatrix, decodingRows, inverse, product } from '../../erasure/matrix.ts';

/** Product of polynomials over GF(2), reduced by 0x11d bit by bit. */
function slowMultiply(a: number, b: number): number {
  let sum = 0;
  for (let bit = 0; bit < 8; bit++) {
    if (b & (1 << bit)) sum ^= a << bit;
  }
  for (let bit = 14; bit >= 8; bit--) {
    if (sum & (1 << bit)) sum ^= 0x11d << (bit - 8);
  }
  return sum;
}

describe('GF(2^8)', () => {
  test('products, inverses and powers agree with polynomial arithmetic', () => {
    let differences = 0;
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b++) differences += Number(multiply(a, b) !== slowMultiply(a, b));
      if (a > 0) differences += Number(slowMultiply(a, invert(a)) !== 1);
      for (let exponent = 0, value = 1; exponent < 30; exponent++, value = slowMultiply(value, a)) {
        differences += Number(power(a, exponent) !== value);
      }
    }
    expect(differences).toBe(0);
  });
});

describe('coding matrix', () => {
  test('begins with the identity, and has the parity rows that reed-solomon-erasure documents for 4+2', () => {
    const rows = codingMatrix({ data: 4, parity: 2 }).map((row) => [...row]);
    expect(rows).toEqual([
      [1, 0, 0, 0],
      [0, 1, 0, 0],
      [0, 0, 1, 0],
      [0, 0, 0, 1],
      [27, 28, 18, 20],
      [28, 27, 20, 18],
    ]);
  });

  test('times its inverse is the identity', () => {
    const coding = codingMatrix({ data: 5, parity: 4 });
    const rows = [8, 2, 5, 7, 0].map((index) => coding[index]!);
    expect(product(rows, inverse(rows))).toEqual(coding.slice(0, 5));
    expect(decodingRows(coding, [8, 2, 5, 7, 0], [8, 0]).map((row) => [...row])).toEqual([
      [1, 0, 0, 0, 0],
      [0, 0, 0, 0, 1],
    ]);
  });

  test('a singular matrix has no inverse', () => {
    expect(() => inverse([Uint8Array.of(1, 2), Uint8Array.of(1, 2)])).toThrow(RangeError);
  });
});
