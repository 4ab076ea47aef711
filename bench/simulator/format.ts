import type { Cell } from './types.ts';

/** Three significant digits, as people read them; whole numbers in full up to a million. */
export function short(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (cell === 0) return '0';
  if (!Number.isFinite(cell)) return String(cell);
  const size = Math.abs(cell);
  if (Number.isInteger(cell) && size < 1e6) return cell.toLocaleString('en-US');
  if (size >= 1e6 || size < 1e-3) return cell.toExponential(2).replace('e+', 'e');
  return String(Number(cell.toPrecision(size >= 100 ? 4 : 3)));
}

export function percent(share: number, digits = 3): string {
  return `${Number((100 * share).toPrecision(digits))} %`;
}
