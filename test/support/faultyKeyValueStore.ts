/** A KeyValueStore that fails at its nth commit, before or after applying it; through the seam, as a real one would. */
import { MetadataError } from '../../gateway/metadata/types.ts';
import type { Bytes, Commit, Entry, KeyValueStore, Range } from '../../gateway/metadata/types.ts';

export interface Fault {
  /** Number of the commit, from 1. */
  readonly at: number;
  readonly applied: boolean;
  /** 'crash': nothing works afterwards. 'unknown': the caller is told that the outcome is not known, and all goes on. */
  readonly kind: 'crash' | 'unknown';
}

export class FaultyKeyValueStore implements KeyValueStore {
  readonly partitions: number;
  readonly #inner: KeyValueStore;
  readonly #fault: Fault;
  #commits = 0;
  #dead = false;

  constructor(inner: KeyValueStore, fault: Fault) {
    this.#inner = inner;
    this.#fault = fault;
    this.partitions = inner.partitions;
  }

  /** The fault has struck. */
  get struck(): boolean {
    return this.#commits >= this.#fault.at;
  }

  async get(partition: number, key: Bytes): Promise<Bytes | undefined> {
    this.#assertAlive();
    return this.#inner.get(partition, key);
  }

  async scan(partition: number, range: Range): Promise<Entry[]> {
    this.#assertAlive();
    return this.#inner.scan(partition, range);
  }

  async commit(partition: number, commit: Commit): Promise<boolean> {
    this.#assertAlive();
    const { at, applied, kind } = this.#fault;
    if (++this.#commits !== at) return this.#inner.commit(partition, commit);
    if (kind === 'crash') this.#dead = true;
    if (applied) await this.#inner.commit(partition, commit);
    throw new MetadataError(kind === 'crash' ? 'Unavailable' : 'Unknown', 'injected');
  }

  async close(): Promise<void> {}

  #assertAlive(): void {
    if (this.#dead) throw new MetadataError('Unavailable', 'the process is dead');
  }
}
