/** Seams of the placement room. */
import type { Profile } from '#erasure';

export type ProviderId = string;
export type ChunkId = string;

/** Time and chance are injected, so that tests control both. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
}

/** Place in the failure-domain tree. */
export interface Domain {
  readonly region: string;
  readonly site: string;
  readonly operator: string;
}

/** Levels of the failure-domain tree, and who runs what. */
export const DOMAIN_LEVELS = ['region', 'site', 'operator'] as const;
export type DomainLevel = (typeof DOMAIN_LEVELS)[number];

export type ProviderState =
  | 'vetting'
  | 'active'
  | 'degraded'
  | 'suspended'
  | 'exiting'
  | 'gone'
  | 'disqualified';

export interface ProviderInfo {
  readonly id: ProviderId;
  /** Directory path or URL. */
  readonly endpoint: string;
  readonly domain: Domain;
  readonly state: ProviderState;
  /** False: it did not answer when it was last asked. */
  readonly reachable?: false;
  /** S for placement, in [0, 1], by the oracle; undefined while it is not measured, and for what no oracle judges. */
  readonly score?: number;
  /** Total bytes offered, and bytes free by the last probe. */
  readonly capacity: number;
  readonly free: number;
}

/**
 * Names one shard on a provider: an opaque name, so that a provider learns nothing. `chunk` is 32 lower-case hex digits
 * and `index` 0…k+m−1; the stored name is `${chunk}.${index}`. One shard index of a chunk may in time be
 * written anew by repair to another provider, but a given (provider, chunk, index) is immutable once durable.
 */
export interface ShardName {
  readonly chunk: ChunkId;
  readonly index: number;
}

/** What a writer knows of a shard once its last byte is produced. */
export interface ShardSeal {
  readonly root: Uint8Array;
  /** Bytes of the shard. */
  readonly length: number;
  /** Leaf hashes, concatenated (see Hasher). */
  readonly leaves: Uint8Array;
}

/** A shard on its way to a provider. */
export interface ShardSource {
  /** A cell's memory may be used anew once the next cell is asked for or the put has settled. */
  readonly cells: AsyncIterable<Uint8Array>;
  /** Called once `cells` has ended. */
  seal(): ShardSeal;
  /** The whole shard, where it lies in memory already: a transport may take it in place of `cells` and `seal()`. */
  readonly whole?: WholeShard;
}

export interface WholeShard {
  readonly bytes: Uint8Array;
  readonly seal: ShardSeal;
}

/** Leaves [first, first+count) of a shard with their proof. Unverified: the reader checks it against the root. */
export interface ShardSlice {
  readonly first: number;
  readonly bytes: Uint8Array;
  readonly proof: Uint8Array;
  /** Frees the memory of `bytes`, for those who have done with it. Without it, it is the garbage collector's. */
  readonly release?: () => void;
}

export interface StoredShard extends ShardName {
  /** Bytes of the shard, without its tree. */
  readonly length: number;
  /** Milliseconds since the epoch at which it became durable, by the provider's clock. */
  readonly storedAt: number;
}

/**
 * Immutable shards at one provider. Every implementation runs test/placement/shardTransportContract.ts.
 * All methods reject with TransportError; an aborted signal rejects with kind 'Aborted' and leaves nothing behind.
 */
export interface ShardTransport {
  /**
   * Resolves only when the shard and its name are durable. A shard that exists already with the same root is success; another root
   * is 'Conflict'. A source that fails leaves nothing behind.
   */
  put(name: ShardName, source: ShardSource, signal?: AbortSignal): Promise<void>;
  /**
   * @param length of the whole shard, where the caller only wants its bytes: they may then be had more cheaply; without it, the leaf hashes that
   * are stored beside them are checked, too
   * @throws TransportError 'NotFound' | 'Corrupt' (stored file is torn or of the wrong length) | …
   */
  get(
    name: ShardName,
    firstLeaf: number,
    count: number,
    signal?: AbortSignal,
    length?: number,
  ): Promise<ShardSlice>;
  /** Idempotent: a missing shard is success. */
  delete(name: ShardName, signal?: AbortSignal): Promise<void>;
  /** One page of stored shards in order of stored name, after `after` (exclusive). Empty at the end. */
  list(after: string | undefined, limit: number, signal?: AbortSignal): Promise<StoredShard[]>;
  /** One leaf with its proof: a possession challenge. Like get of one leaf, never from a cache. */
  prove(name: ShardName, leaf: number, signal?: AbortSignal): Promise<ShardSlice>;
  /** Total and free bytes at the provider. */
  space(signal?: AbortSignal): Promise<{ capacity: number; free: number }>;
  close(): Promise<void>;
}

export type TransportErrorKind =
  | 'NotFound'
  | 'Corrupt'
  | 'Conflict'
  | 'NoSpace'
  | 'Unavailable'
  | 'Timeout'
  | 'Aborted'
  | 'Source';

export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly kind: TransportErrorKind;
  readonly retryable: boolean;
  constructor(kind: TransportErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.retryable = kind === 'Unavailable' || kind === 'Timeout';
  }
}

/** Where one shard of a chunk lies, and its Merkle root (32 bytes). */
export interface ShardPlace {
  readonly provider: ProviderId;
  readonly root: Uint8Array;
}

/**
 * Everything that is needed to read a chunk. Stored in metadata by the gateway, changed afterwards only by repair,
 * by compare-and-set on `generation`.
 */
export interface ChunkRecord {
  readonly id: ChunkId;
  readonly profile: Profile;
  /** Bytes of the chunk, ≥ 1. */
  readonly length: number;
  /** Cell bytes of a full stripe. */
  readonly cell: number;
  /** Starts at 1; every repair adds one. */
  readonly generation: number;
  /** k+m entries; undefined where the shard never became durable. */
  readonly shards: readonly (ShardPlace | undefined)[];
}

export interface WrittenChunk {
  readonly record: ChunkRecord;
  readonly needsRepair: boolean;
  /** Any one domain of these levels may be lost, and the chunk can still be read from the shards that are durable now. */
  readonly survives: readonly DomainLevel[];
}

/**
 * A chunk being written, one at a time: bytes go in, a record comes out.
 * Backpressure: `write` resolves when the writer can take more; it holds about two stripes and never a chunk.
 */
export interface ChunkWriter {
  readonly id: ChunkId;
  /** Bytes taken so far. */
  readonly length: number;
  /** @throws PlacementError 'TooFewProviders' as soon as the write quorum cannot be met any more. `bytes` may be reused after it resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Resolves when k+⌈m/2⌉ shards are durable, after a short wait for the others. Shards still on their way go on in the
   * background and stand in the record with their place and root; failed ones are undefined there. In both cases `needsRepair` is true,
   * and the caller stores the record and its repair queue entry in one commit.
   * @throws PlacementError 'TooFewProviders' | 'DomainRule' (shards written are deleted)
   */
  finish(): Promise<WrittenChunk>;
  /** Deletes whatever was written. Idempotent; never rejects. */
  abort(): Promise<void>;
}

/** Who finds out that bytes are wrong: the chunk store by the hashes of their leaves, or its reader. */
export type Verification = 'leaves' | 'reader';

/** Bytes of a chunk, in the order asked for, every one verified against the shard roots of the record unless the reader verifies them itself. */
export interface ChunkStore {
  /**
   * @param id an identifier never used before (32 lower-case hex digits)
   * @param length of what will be written, where it is known: memory is then taken once
   * @throws PlacementError 'TooFewProviders' | 'DomainRule'
   */
  create(id: ChunkId, profile: Profile, length?: number): Promise<ChunkWriter>;
  /**
   * Streams [offset, offset+length) of a chunk in pieces of at most one stripe, with read-ahead bounded by one stripe. A piece is good until the
   * next is asked for: then its memory may be freed.
   * Stopping the iteration releases everything. Wrong or missing shards are decoded around, charged, and reported to the catalog's
   * repair queue.
   * @param verifies 'reader': leaves are not hashed, because the reader finds any wrong byte by an authentication of its own, and then reads
   * the range anew with 'leaves' to have it decoded around
   * @throws PlacementError 'ChunkUnreadable' when fewer than k shards verify: never a wrong byte.
   */
  read(
    chunk: ChunkRecord,
    offset: number,
    length: number,
    signal?: AbortSignal,
    verifies?: Verification,
  ): AsyncIterable<Uint8Array>;
  /**
   * Deletes every shard of the chunk: where the record places it, and wherever a write or repair is known to have failed with one; among few
   * providers, wherever one may be. Idempotent; rejects when a provider that the record names, or at which one of few is known to have failed, could not be
   * asked.
   */
  delete(chunk: ChunkRecord): Promise<void>;
  /** Deletes every shard of a chunk of which no record exists, on all providers. Idempotent. */
  deleteUnrecorded(id: ChunkId): Promise<void>;
}

/**
 * The chunk records and the repair queue, kept by the gateway's metadata: what placement needs of it.
 * `compareAndSet` is false when the record has changed or is gone: then the repair gives up its new shards.
 */
export interface ChunkCatalog {
  get(id: ChunkId): Promise<ChunkRecord | undefined>;
  compareAndSet(expected: ChunkRecord, next: ChunkRecord): Promise<boolean>;
  /** Pages over all chunk records in order of id. */
  list(after: ChunkId | undefined, limit: number): Promise<ChunkRecord[]>;
  /**
   * Idempotent; survives a restart. With `join`, which is pure, an entry that is there already gets the reason made of the one it gives and
   * the new one, atomically; without, the new one.
   */
  enqueueRepair(id: ChunkId, reason: string, join?: (given: string, reason: string) => string): Promise<void>;
  /** Idempotent. With `reason`, only while the entry still gives it: what was found meanwhile stays queued. */
  dequeueRepair(id: ChunkId, reason?: string): Promise<void>;
  repairQueue(after: ChunkId | undefined, limit: number): Promise<ChunkId[]>;
  /** Like `repairQueue`, with the reason each entry was given last. */
  repairEntries(after: ChunkId | undefined, limit: number): Promise<RepairEntry[]>;
  /** A durable cursor or note of a background job (scrub position …). */
  getNote(name: string): Promise<string | undefined>;
  setNote(name: string, value: string): Promise<void>;
}

export interface RepairEntry {
  readonly id: ChunkId;
  readonly reason: string;
}

/** Candidates in, providers for the k+m shards out; the same arguments give the same answer. */
export type ChooseProviders = (request: ChooseRequest) => ChooseAnswer;

export interface Candidate {
  readonly info: ProviderInfo;
  /** ≥ 0: relative share of new shards; 0 = not to be chosen. */
  readonly weight: number;
  /** Bytes on their way there or lately placed; of several valid sets, the one least loaded for its weight is taken. */
  readonly load?: number;
  /** Still being vetted or measured: at most one of them holds a shard of a chunk. */
  readonly unproven?: boolean;
}
export interface ChooseRequest {
  readonly candidates: readonly Candidate[];
  readonly count: number;
  /** Most shards of one chunk in one region, site and with one operator, at each level where the map allows it (m). */
  readonly perDomainMax: number;
  /** Providers that already hold a shard of the chunk (repair): never chosen again, and counted in their domains. */
  readonly taken?: readonly ProviderInfo[];
  /** Providers that are not to be chosen this time. Spares a caller with many candidates a filtered copy of them. */
  readonly excluded?: ReadonlySet<ProviderId>;
  /** Levels that matter most: where not all levels can be had, these are kept first. */
  readonly required?: readonly DomainLevel[];
  /** 32-bit unsigned. */
  readonly seed: number;
}
export interface ChooseAnswer {
  /** At most `count`, all different. Fewer only when there are not enough candidates. */
  readonly chosen: readonly ProviderInfo[];
  /** Levels at which no domain has more than `perDomainMax`, counting `taken`. */
  readonly survives: readonly DomainLevel[];
}

export type PlacementErrorKind =
  | 'TooFewProviders'
  /** No set of providers that can be had survives what the operator requires. */
  | 'DomainRule'
  | 'ChunkUnreadable'
  | 'NoSpace'
  | 'BadConfiguration'
  | 'Aborted';

export class PlacementError extends Error {
  override readonly name = 'PlacementError';
  readonly kind: PlacementErrorKind;
  readonly retryable: boolean;
  constructor(kind: PlacementErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.retryable = kind === 'TooFewProviders' || kind === 'DomainRule' || kind === 'ChunkUnreadable';
  }
}

/** Progress of long work, for progress bars and logs. */
export interface Progress {
  readonly job: 'repair' | 'scrub' | 'check' | 'evacuate' | 'rebalance';
  readonly done: number;
  /** Undefined while the total is not known. */
  readonly total: number | undefined;
  readonly bytes: number;
  /** Milliseconds that the rest will take at the speed so far, where that can be said. */
  readonly etaMs?: number;
}

/** How one call to a provider went; feeds the live window that ranks providers. */
export interface CallOutcome {
  readonly kind: 'read' | 'write';
  readonly latencyMs: number;
  /** Undefined: success. 'WrongBytes': a slice that did not verify. */
  readonly failure?: TransportErrorKind | 'WrongBytes';
}

export interface ProviderHandle {
  readonly info: ProviderInfo;
  readonly transport: ShardTransport;
}

/** How the network stands to a provider; what is configured by the operator and not registered has none. */
export interface ProviderStanding {
  readonly state: ProviderState;
  /** S for placement; undefined while it is not measured. */
  readonly score: number | undefined;
}

/** A provider that joins a running registry. */
export interface ProviderMember {
  readonly id: ProviderId;
  readonly endpoint: string;
  readonly domain: Domain;
  readonly transport: ShardTransport;
  readonly standing: ProviderStanding;
}

/** The registered providers with their live measurements. Identities survive restarts; a provider's address may change, its id not. */
export interface Providers {
  all(): readonly ProviderHandle[];
  get(id: ProviderId): ProviderHandle | undefined;
  /** Providers that may take new shards now, weighted by free space, success and latency window. */
  candidates(): readonly Candidate[];
  report(id: ProviderId, outcome: CallOutcome): void;
  /** Bytes of new shards that are on their way to a provider: they count as its load for a while. */
  noteLoad(id: ProviderId, bytes: number): void;
  /** Puts to a provider that have not ended, whoever began them: their shards may still come to be there. */
  openPuts(id: ProviderId): number;
  /** Providers at which a put or delete of the chunk has failed lately: one of its shards may lie there that no record names. */
  strays(chunk: ChunkId): readonly ProviderId[];
  /** Larger is better: expected speed and reliability of a read now. 0 for one whose breaker is open. */
  readRank(id: ProviderId): number;
  /** Milliseconds after which a read of this provider is hedged: its p95, bounded. */
  hedgeAfterMs(id: ProviderId): number;
  /** Makes missing or emptied local directories usable again; called by an operator's repair. */
  revive(): Promise<void>;
  close(): Promise<void>;
}
