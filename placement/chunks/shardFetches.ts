import { LEAF_BYTES, type Hasher } from '#erasure';
import { covers, type ByteRange } from './stripeRanges.ts';
import {
  TransportError,
  type CallOutcome,
  type ChunkRecord,
  type Clock,
  type Providers,
  type ShardSlice,
  type Verification,
} from '../types.ts';

/** Verified bytes of a shard. */
export interface VerifiedSlice extends ByteRange {
  readonly bytes: Uint8Array;
  readonly proof: Uint8Array;
  readonly fetch: ShardFetch;
  /** Of the answer; told of once the bytes are known to be right. */
  readonly latencyMs: number;
  readonly release: (() => void) | undefined;
}

export interface ShardFetch extends ByteRange {
  readonly index: number;
  readonly begunAt: number;
  /** From here on another shard is asked for, too. */
  readonly hedgeAt: number;
  /** Here it has failed. */
  readonly endsAt: number;
}

export interface ShardFetchesContext {
  readonly providers: Providers;
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly readMs: number;
  readonly verifies: Verification;
  /** A shard is lost, torn or wrong. */
  onDamage(index: number, reason: string): void;
}

/** Gets ranges of a chunk's shards from their providers, and lets nothing through that does not verify, where that is not the reader's to find. */
export class ShardFetches {
  readonly #context: ShardFetchesContext;
  readonly #chunk: ChunkRecord;
  readonly #shardLength: number;
  readonly #onChange: () => void;
  readonly #stop = new AbortController();
  readonly pending = new Map<number, ShardFetch>();
  readonly failed = new Set<number>();
  readonly slices = new Map<number, VerifiedSlice>();

  /** @param onChange called when a fetch has ended */
  constructor(chunk: ChunkRecord, shardLength: number, context: ShardFetchesContext, onChange: () => void) {
    this.#chunk = chunk;
    this.#shardLength = shardLength;
    this.#context = context;
    this.#onChange = onChange;
  }

  has(index: number, range: ByteRange): boolean {
    const slice = this.slices.get(index);
    return slice !== undefined && covers(slice, range);
  }

  /** The bytes of a range that `has`. */
  bytes(index: number, { start, end }: ByteRange): Uint8Array {
    const slice = this.slices.get(index)!;
    return slice.bytes.subarray(start - slice.start, end - slice.start);
  }

  /** Asks the shard's provider for the leaves that the range lies in. */
  fetch(index: number, range: ByteRange): void {
    const { providers, clock, readMs } = this.#context;
    const place = this.#chunk.shards[index];
    const handle = place && providers.get(place.provider);
    if (!handle) {
      this.failed.add(index);
      if (place) this.#context.onDamage(index, 'its provider is not registered');
      this.#onChange();
      return;
    }
    const first = Math.floor(range.start / LEAF_BYTES);
    const count = Math.ceil(range.end / LEAF_BYTES) - first;
    const start = first * LEAF_BYTES;
    const end = Math.min(start + count * LEAF_BYTES, this.#shardLength);
    const now = clock.now();
    const { id } = handle.info;
    const hedgeAt = now + providers.hedgeAfterMs(id);
    const fetch: ShardFetch = { index, start, end, begunAt: now, hedgeAt, endsAt: now + readMs };
    this.pending.set(index, fetch);
    handle.transport
      .get({ chunk: this.#chunk.id, index }, first, count, this.#stop.signal, this.#shardLength)
      .then(
        (slice) => this.#arrived(fetch, slice, first),
        (error: unknown) => this.#fail(fetch, error instanceof TransportError ? error.kind : 'Unavailable'),
      );
  }

  /** Gives up fetches that have had their time. */
  expire(): void {
    const now = this.#context.clock.now();
    for (const fetch of this.pending.values()) if (now >= fetch.endsAt) this.#fail(fetch, 'Timeout');
  }

  /** Ends the fetches that are not needed any more, and charges those that were too slow to be of use. */
  stop(): void {
    const now = this.#context.clock.now();
    for (const fetch of this.pending.values()) {
      if (now >= fetch.hedgeAt) this.#report(fetch, 'Timeout');
    }
    const isIdle = this.pending.size === 0;
    this.pending.clear();
    if (!isIdle) this.#stop.abort(STOPPED);
  }

  /** Frees what has come, which was right as far as its reader can tell. */
  release(): void {
    for (const slice of this.slices.values()) {
      if (this.#context.verifies === 'reader') this.#report(slice.fetch, undefined, slice.latencyMs);
      slice.release?.();
    }
    this.slices.clear();
  }

  /** The reader has stopped, maybe because something was wrong: finds out what. */
  examine(): void {
    const { hasher, verifies } = this.#context;
    if (verifies === 'leaves') return;
    for (const { fetch, bytes, proof, latencyMs, start } of this.slices.values()) {
      const { root } = this.#chunk.shards[fetch.index]!;
      const isRight = hasher.verify(root, this.#shardLength, start / LEAF_BYTES, bytes, proof);
      this.#report(fetch, isRight ? undefined : 'WrongBytes', latencyMs);
      if (!isRight) this.#context.onDamage(fetch.index, 'WrongBytes');
    }
  }

  #arrived(fetch: ShardFetch, slice: ShardSlice, first: number): void {
    if (this.pending.get(fetch.index) !== fetch) return;
    const isWhole = slice.first === first && slice.bytes.length === fetch.end - fetch.start;
    if (!isWhole || !this.#verifies(fetch.index, slice)) {
      this.#fail(fetch, 'WrongBytes');
      return;
    }
    this.pending.delete(fetch.index);
    const { bytes, proof, release } = slice;
    const { start, end, index } = fetch;
    const latencyMs = this.#context.clock.now() - fetch.begunAt;
    this.slices.set(index, { start, end, bytes, proof, fetch, latencyMs, release });
    if (this.#context.verifies === 'leaves') this.#report(fetch, undefined, latencyMs);
    this.#onChange();
  }

  #verifies(index: number, { first, bytes, proof }: ShardSlice): boolean {
    const { hasher, verifies } = this.#context;
    const { root } = this.#chunk.shards[index]!;
    return verifies === 'reader' || hasher.verify(root, this.#shardLength, first, bytes, proof);
  }

  #fail(fetch: ShardFetch, failure: NonNullable<CallOutcome['failure']>): void {
    if (this.pending.get(fetch.index) !== fetch) return;
    this.pending.delete(fetch.index);
    this.failed.add(fetch.index);
    this.#report(fetch, failure);
    if (failure === 'NotFound' || failure === 'Corrupt' || failure === 'WrongBytes') {
      this.#context.onDamage(fetch.index, failure);
    }
    this.#onChange();
  }

  #report(
    { index, begunAt }: ShardFetch,
    failure: CallOutcome['failure'],
    latencyMs = this.#context.clock.now() - begunAt,
  ): void {
    const { providers } = this.#context;
    const outcome = { kind: 'read', latencyMs } as const;
    providers.report(this.#chunk.shards[index]!.provider, failure ? { ...outcome, failure } : outcome);
  }
}

/** Made once: an AbortController's own reason costs a stack trace. */
const STOPPED = new Error('not needed any more');
