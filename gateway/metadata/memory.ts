/** KeyValueStore in memory: for tests and throw-away gateways. Nothing outlives the process. */

import { assertCommit, assertKey, assertPartition, assertRange } from './limits.ts';
import { SortedEntries } from './sortedEntries.ts';
import { MetadataError } from './types.ts';
import type { Bytes, Check, Commit, Entry, KeyValueStore, Range, StoreDurability } from './types.ts';

/** @throws RangeError when `partitions` is not an integer ≥ 1 */
export function openMemoryStore({ partitions = 1 }: { partitions?: number } = {}): KeyValueStore {
  return new MemoryStore(partitions);
}

class MemoryStore implements KeyValueStore {
  readonly partitions: number;
  readonly #entries: readonly SortedEntries[];
  #closed = false;

  constructor(partitions: number) {
    if (!Number.isSafeInteger(partitions) || partitions < 1) {
      throw new RangeError(`a store has at least 1 partition, not ${partitions}`);
    }
    this.partitions = partitions;
    this.#entries = Array.from({ length: partitions }, () => new SortedEntries());
  }

  async get(partition: number, key: Bytes): Promise<Bytes | undefined> {
    const entries = this.#partition(partition);
    assertKey(key);
    const value = entries.get(key);
    return value && copy(value);
  }

  async scan(partition: number, range: Range): Promise<Entry[]> {
    const entries = this.#partition(partition);
    assertRange(range);
    const { from, to, limit, reverse = false } = range;
    const page: Entry[] = [];
    if (limit === 0) return page;
    for (const [key, value] of reverse ? entries.descending(from, to) : entries.ascending(from, to)) {
      page.push([copy(key), copy(value)]);
      if (page.length === limit) break;
    }
    return page;
  }

  async commit(partition: number, commit: Commit): Promise<boolean> {
    const entries = this.#partition(partition);
    assertCommit(commit);
    if (!(commit.checks ?? []).every((check) => holds(entries, check))) return false;
    for (const [key, value] of commit.puts ?? []) entries.set(copy(key), copy(value));
    for (const key of commit.deletes ?? []) entries.delete(key);
    return true;
  }

  durability(): StoreDurability {
    return { state: 'weak', reasons: ['nothing outlives the process'], reachable: true };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #partition(partition: number): SortedEntries {
    if (this.#closed) throw new MetadataError('Unavailable', 'the metadata store is closed');
    assertPartition(partition, this.partitions);
    return this.#entries[partition] as SortedEntries;
  }
}

function holds(entries: SortedEntries, { key, value }: Check): boolean {
  const found = entries.get(key);
  if (found === undefined || value === null) return found === undefined && value === null;
  return Buffer.compare(found, value) === 0;
}

/** Own memory, not a slice of a pooled Buffer. */
function copy(bytes: Bytes): Bytes {
  return new Uint8Array(bytes);
}
