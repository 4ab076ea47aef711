import { randomFillSync } from 'node:crypto';
import { FOLDER_KEYS } from './types.ts';

/** Apart by more than a page and prime, so that few numbers share an offset. */
const STEP_BYTES = 4099;
const SLACK_BYTES = 2 ** 20;

let pool: Buffer = Buffer.alloc(0);

/** Bytes of object `number`: a window into one pool of random bytes, so that making it costs nothing and no two neighbours are alike. */
export function contentOf(number: number, size: number): Buffer {
  if (pool.length < size + SLACK_BYTES) throw new Error(`content of ${size} bytes was not announced`);
  const offset = (number * STEP_BYTES) % SLACK_BYTES;
  return pool.subarray(offset, offset + size);
}

/** To be called before the first object, with the largest size of all. */
export function announce(size: number): void {
  if (pool.length >= size + SLACK_BYTES) return;
  // What is there stays, so that objects written before still read back.
  const larger = randomFillSync(Buffer.allocUnsafe(size + SLACK_BYTES));
  pool.copy(larger);
  pool = larger;
}

export function keyOf(prefix: string, number: number): string {
  return `${prefix}${String(number).padStart(9, '0')}`;
}

/** Key of a set in folders of FOLDER_KEYS keys. */
export function folderKeyOf(prefix: string, number: number): string {
  return `${folderOf(prefix, Math.floor(number / FOLDER_KEYS))}${String(number).padStart(9, '0')}`;
}

export function folderOf(prefix: string, folder: number): string {
  return `${prefix}f${String(folder).padStart(6, '0')}/`;
}
