import { invert, multiply, power } from './field.ts';
import type { Profile } from './types.ts';

/** Rows of coefficients in GF(2^8). */
export type Matrix = readonly Uint8Array[];

export function product(a: Matrix, b: Matrix): Matrix {
  const width = b[0]?.length ?? 0;
  return a.map((row) => {
    const sums = new Uint8Array(width);
    row.forEach((factor, index) => addMultiple(sums, b[index]!, factor));
    return sums;
  });
}

/**
 * Gauss-Jordan elimination.
 * @param matrix square and invertible, which any k rows of `codingMatrix` are
 */
export function inverse(matrix: Matrix): Matrix {
  const size = matrix.length;
  const left = matrix.map((row) => Uint8Array.from(row));
  const right = identity(size);
  for (let column = 0; column < size; column++) {
    const pivot = left.findIndex((row, index) => index >= column && row[column] !== 0);
    if (pivot < 0) throw new RangeError('singular matrix');
    for (const side of [left, right]) [side[column], side[pivot]] = [side[pivot]!, side[column]!];
    const scale = invert(left[column]![column]!);
    for (const side of [left, right]) side[column] = side[column]!.map((value) => multiply(value, scale));
    for (let row = 0; row < size; row++) {
      const factor = left[row]![column]!;
      if (row === column || factor === 0) continue;
      for (const side of [left, right]) addMultiple(side[row]!, side[column]!, factor);
    }
  }
  return right;
}

/**
 * The (k+m) × k matrix that maps data cells to all cells. Row r of a Vandermonde matrix is r^0, r^1, …; multiplied by
 * the inverse of its top, it keeps the property that any k rows are invertible and begins with the identity.
 * Source: `build_matrix` of reed-solomon-erasure (core.rs), whose bytes this must reproduce.
 */
export function codingMatrix({ data, parity }: Profile): Matrix {
  const vandermonde = Array.from({ length: data + parity }, (_, row) =>
    Uint8Array.from({ length: data }, (_, column) => power(row, column)),
  );
  return product(vandermonde, inverse(vandermonde.slice(0, data)));
}

/**
 * Rows that compute the shards `wanted` from the shards `sources`.
 * @param sources k different shard indexes
 */
export function decodingRows(coding: Matrix, sources: readonly number[], wanted: readonly number[]): Matrix {
  const toData = inverse(sources.map((source) => coding[source]!));
  return product(
    wanted.map((index) => coding[index]!),
    toData,
  );
}

function identity(size: number): Uint8Array[] {
  return Array.from({ length: size }, (_, row) =>
    Uint8Array.from({ length: size }, (_, column) => Number(row === column)),
  );
}

/** target += factor × row, in place. */
function addMultiple(target: Uint8Array, row: Uint8Array, factor: number): void {
  for (let index = 0; index < target.length; index++) target[index]! ^= multiply(row[index]!, factor);
}
