import { oneRow } from './one-row';
import { twoRows, threeRows, fourRows } from './rows';

/**
 * Multiplies a `rows` x `columns` matrix over GF(2^8) by `columns` input slices: output r is the sum over c of
 * coefficient (r, c) times input c, byte by byte. All arguments are addresses or counts of bytes in linear memory.
 *
 * `tables`  32 bytes for each coefficient: its products with 0...15, then with 0x00, 0x10 ... 0xf0. Rows go in groups
 *           of four and a last group of the rest; a group's tables lie column after column, in a column row after row
 * `input`   slice c begins at input + c * stride
 * `output`  slice r begins at output + r * stride
 * `bytes`   multiple of 32, at most `stride`
 */
export function multiply(
  rows: usize,
  columns: usize,
  tables: usize,
  input: usize,
  output: usize,
  stride: usize,
  bytes: usize,
): void {
  while (rows >= 4) {
    fourRows(columns, tables, input, output, stride, bytes);
    tables += columns * 128;
    output += stride * 4;
    rows -= 4;
  }
  if (rows == 3) threeRows(columns, tables, input, output, stride, bytes);
  else if (rows == 2) twoRows(columns, tables, input, output, stride, bytes);
  else if (rows == 1) oneRow(columns, tables, input, output, stride, bytes);
}
