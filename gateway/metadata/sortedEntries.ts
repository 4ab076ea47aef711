/**
 * An ordered map of byte keys: a list of sorted leaves of bounded size, found by two binary searches. An insert moves
 * at most one leaf's entries and, when a leaf splits, the list of leaves.
 */

import type { Bytes } from './types.ts';

/** Entries in a full leaf; a measured compromise between moving entries and moving leaves. */
const LEAF_ENTRIES = 256;

interface Leaf {
  readonly keys: Bytes[];
  readonly values: Bytes[];
}

interface Position {
  readonly leaf: number;
  readonly index: number;
}

export class SortedEntries {
  /** Never an empty leaf, except the only one. */
  readonly #leaves: Leaf[] = [{ keys: [], values: [] }];

  get(key: Bytes): Bytes | undefined {
    const at = this.#lowerBound(key);
    const leaf = this.#leaf(at.leaf);
    return isKey(leaf.keys[at.index], key) ? leaf.values[at.index] : undefined;
  }

  set(key: Bytes, value: Bytes): void {
    const at = this.#lowerBound(key);
    const leaf = this.#leaf(at.leaf);
    if (isKey(leaf.keys[at.index], key)) {
      leaf.values[at.index] = value;
      return;
    }
    leaf.keys.splice(at.index, 0, key);
    leaf.values.splice(at.index, 0, value);
    if (leaf.keys.length > LEAF_ENTRIES) this.#split(at.leaf);
  }

  delete(key: Bytes): void {
    const at = this.#lowerBound(key);
    const leaf = this.#leaf(at.leaf);
    if (!isKey(leaf.keys[at.index], key)) return;
    leaf.keys.splice(at.index, 1);
    leaf.values.splice(at.index, 1);
    if (leaf.keys.length === 0 && this.#leaves.length > 1) this.#leaves.splice(at.leaf, 1);
  }

  /** Entries of [from, to), ascending. The map must not change while it is walked. */
  *ascending(from: Bytes, to: Bytes): Generator<readonly [Bytes, Bytes]> {
    const start = this.#lowerBound(from);
    for (let number = start.leaf; number < this.#leaves.length; number++) {
      const { keys, values } = this.#leaf(number);
      for (let index = number === start.leaf ? start.index : 0; index < keys.length; index++) {
        const key = keys[index] as Bytes;
        if (Buffer.compare(key, to) >= 0) return;
        yield [key, values[index] as Bytes];
      }
    }
  }

  /** Entries of [from, to), descending. The map must not change while it is walked. */
  *descending(from: Bytes, to: Bytes): Generator<readonly [Bytes, Bytes]> {
    const end = this.#lowerBound(to);
    for (let number = end.leaf; number >= 0; number--) {
      const { keys, values } = this.#leaf(number);
      for (let index = (number === end.leaf ? end.index : keys.length) - 1; index >= 0; index--) {
        const key = keys[index] as Bytes;
        if (Buffer.compare(key, from) < 0) return;
        yield [key, values[index] as Bytes];
      }
    }
  }

  /** Place of the first key ≥ `key`; at the end of a leaf when the next leaf starts above it. */
  #lowerBound(key: Bytes): Position {
    let low = 0;
    let high = this.#leaves.length;
    // The last leaf whose first key is ≤ key, or the first leaf.
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(this.#leaf(middle).keys[0] as Bytes, key) <= 0) low = middle;
      else high = middle;
    }
    const { keys } = this.#leaf(low);
    let first = 0;
    let last = keys.length;
    while (first < last) {
      const middle = (first + last) >>> 1;
      if (Buffer.compare(keys[middle] as Bytes, key) < 0) first = middle + 1;
      else last = middle;
    }
    return { leaf: low, index: first };
  }

  #split(number: number): void {
    const { keys, values } = this.#leaf(number);
    const half = keys.length >>> 1;
    this.#leaves.splice(number + 1, 0, { keys: keys.splice(half), values: values.splice(half) });
  }

  #leaf(number: number): Leaf {
    return this.#leaves[number] as Leaf;
  }
}

function isKey(found: Bytes | undefined, key: Bytes): boolean {
  return found !== undefined && Buffer.compare(found, key) === 0;
}
