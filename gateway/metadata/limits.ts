/** What every store refuses in the same words, before it touches any data. */

import { keyText } from './commitCopy.ts';
import { MetadataError } from './types.ts';
import type { Bytes, Commit, Range } from './types.ts';

/** LMDB's largest key is 1,978 bytes; the rest is left to stores that prefix keys. */
export const MAX_KEY_BYTES = 1_900;
export const MAX_VALUE_BYTES = 16 * 1_024 * 1_024;

/** @throws MetadataError 'TooLarge' */
export function assertKey(key: Bytes): void {
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    throw new MetadataError('TooLarge', `a key is 1…${MAX_KEY_BYTES} bytes, this one is ${key.length}`);
  }
}

/** @throws MetadataError 'TooLarge' */
function assertValue(value: Bytes): void {
  if (value.length > MAX_VALUE_BYTES) {
    throw new MetadataError(
      'TooLarge',
      `a value is at most ${MAX_VALUE_BYTES} bytes, this one is ${value.length}`,
    );
  }
}

/**
 * @throws MetadataError 'TooLarge'
 * @throws TypeError when a key is both put and deleted
 */
export function assertCommit({ checks = [], puts = [], deletes = [] }: Commit): void {
  for (const { key, value } of checks) {
    assertKey(key);
    if (value !== null) assertValue(value);
  }
  for (const [key, value] of puts) {
    assertKey(key);
    assertValue(value);
  }
  for (const key of deletes) assertKey(key);
  if (puts.length > 0 && deletes.length > 0) assertDisjoint(puts, deletes);
}

function assertDisjoint(puts: NonNullable<Commit['puts']>, deletes: readonly Bytes[]): void {
  const gone = new Set(deletes.map(keyText));
  for (const [key] of puts) {
    if (gone.has(keyText(key))) throw new TypeError(`a commit puts and deletes the key ${hex(key)}`);
  }
}

/** @throws RangeError */
export function assertPartition(partition: number, partitions: number): void {
  if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
    throw new RangeError(`there is no partition ${partition}: there are ${partitions}`);
  }
}

/** @throws RangeError when the limit is not an integer ≥ 0 */
export function assertRange(range: Range): void {
  if (!Number.isSafeInteger(range.limit) || range.limit < 0) {
    throw new RangeError(`the limit of a scan is an integer ≥ 0, not ${range.limit}`);
  }
}

function hex(key: Bytes): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('hex');
}
