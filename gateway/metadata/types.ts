/** The metadata seam: ordered bytes, atomic within a partition, durable when a commit resolves. */

export type Bytes = Uint8Array;

/** A condition of a commit: the key holds exactly `value`, or is absent when `value` is null. */
export interface Check {
  readonly key: Bytes;
  readonly value: Bytes | null;
}

export interface Commit {
  readonly checks?: readonly Check[];
  readonly puts?: readonly (readonly [key: Bytes, value: Bytes])[];
  /** Deleting an absent key is no error. */
  readonly deletes?: readonly Bytes[];
}

/** A half-open key range, in unsigned byte order. Its bounds may be empty or longer than any key. */
export interface Range {
  /** First key, inclusive. */
  readonly from: Bytes;
  /** End of the range, exclusive. */
  readonly to: Bytes;
  /** Largest number of entries to return. */
  readonly limit: number;
  /** Walk from `to` down to `from`. */
  readonly reverse?: boolean;
}

export type Entry = readonly [key: Bytes, value: Bytes];

/** Whether what a store acknowledged outlives a crash, a loss of power and a failover of its server. */
export interface StoreDurability {
  readonly state: 'strong' | 'weak';
  /** Why it is weak, each naming what to change; none while it is strong. */
  readonly reasons: readonly string[];
  /** The server answered when it was last asked; always true without one. */
  readonly reachable: boolean;
}

/**
 * Every implementation runs the contract suite in test/gateway/metadata/keyValueStoreContract.ts.
 *
 * Keys are 1…1,900 bytes and values at most 16 MiB; anything else rejects with MetadataError 'TooLarge'. Returned arrays belong
 * to the caller and never change; arguments are not kept. No callback runs inside a transaction, so that LMDB, Redis and SQL fit.
 */
export interface KeyValueStore {
  /** Number of partitions, fixed for the life of the data; partitions are 0…partitions−1. */
  readonly partitions: number;
  get(partition: number, key: Bytes): Promise<Bytes | undefined>;
  /** One page of a range, a consistent snapshot of it. Shorter than `limit` only when the range ends. */
  scan(partition: number, range: Range): Promise<Entry[]>;
  /**
   * Applies everything or nothing. Resolves true when applied and durable, false when a check failed (nothing applied).
   * A key may be in `checks` and in one of `puts` or `deletes`, never in both of the latter.
   * @throws MetadataError 'Unknown': the outcome is not known; re-read before acting on it.
   * @throws MetadataError 'Full' or 'Unavailable': certainly not applied.
   */
  commit(partition: number, commit: Commit): Promise<boolean>;
  /** Absent: strong by construction. See durabilityOf in durability.ts. */
  durability?(): StoreDurability;
  /** Calls the listener after each change of durability() until the returned function is called. */
  onDurability?(listener: (now: StoreDurability) => void): () => void;
  /** Waits for commits under way, then closes. */
  close(): Promise<void>;
}

export type MetadataErrorKind = 'Unknown' | 'Unavailable' | 'Full' | 'TooLarge' | 'Corrupt';

export class MetadataError extends Error {
  override readonly name = 'MetadataError';
  readonly kind: MetadataErrorKind;
  readonly retryable: boolean;
  constructor(kind: MetadataErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.retryable = kind === 'Unknown' || kind === 'Unavailable';
  }
}
