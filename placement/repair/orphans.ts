import type { ChunkLocks } from './chunkLocks.ts';
import { throwIfAborted } from './repairExamine.ts';
import { countRecorded, sweepBounds, type SweepBounds } from './sweepBounds.ts';
import { SweepPosition } from './sweepPosition.ts';
import type {
  ChunkCatalog,
  ChunkId,
  ChunkRecord,
  Clock,
  ProviderHandle,
  ProviderId,
  Progress,
  Providers,
  StoredShard,
} from '../types.ts';

/** Shards listed at a time. */
const PAGE = 256;
/** Failures kept of one provider and in all; the others are counted. */
const FAILED_OF_ONE_MAX = 10;
const FAILED_MAX = 1_000;
/** Most of a call's time that counts against a provider: a clock that is put forward is not its fault. */
const CALL_MS_MAX = 30_000;
const CHUNK_ID = /^[0-9a-f]{32}$/;

export interface OrphanDeps {
  readonly catalog: ChunkCatalog;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly locks: ChunkLocks;
  /** True for a chunk of a write under way, or of an intent that reclaim has not settled: its record may still come. */
  readonly isPending: (chunk: ChunkId) => boolean | Promise<boolean>;
  /** Shards at a provider by its last heartbeat; undefined where there is none. */
  readonly heldShards?: ((provider: ProviderId) => number | undefined) | undefined;
}

export interface OrphanOptions {
  /** Age by the provider's clock, in milliseconds, below which a shard is spared: its record may still be on its way. */
  readonly graceMs: number;
  /** False: only count. */
  readonly delete: boolean;
}

export interface OrphanReport {
  /** Shards listed. */
  readonly shards: number;
  /** Shards that a record places where they are, and those of pending chunks. */
  readonly claimed: number;
  readonly busy: number;
  /** Shards that no record claims, those of pending chunks left out. */
  readonly orphans: number;
  /** Bytes of the orphans. */
  readonly bytes: number;
  /** Orphans spared because of their age. */
  readonly young: number;
  readonly deleted: number;
  /** Providers that could not be walked to the end, and shards that could not be deleted: the first of them. */
  readonly failed: readonly { readonly provider: ProviderId; readonly reason: string }[];
  /** All of them. */
  readonly failures: number;
  /** Providers among them that list more than one sweep takes from them. */
  readonly cut: number;
}

/** Decides on one stored shard. 'busy': a repair or a write has its hand on the chunk. */
type ShardClaim = 'claimed' | 'busy' | 'young' | 'orphan';

/** @param record what the catalog holds for the shard's chunk now */
function judgeShard(
  stored: StoredShard,
  provider: ProviderId,
  record: ChunkRecord | undefined,
  busy: boolean,
  now: number,
  graceMs: number,
): ShardClaim {
  if (record?.shards[stored.index]?.provider === provider) return 'claimed';
  if (busy) return 'busy';
  return now - stored.storedAt < graceMs ? 'young' : 'orphan';
}

/**
 * The walk in the other direction: every shard that a provider holds, against the records. Takes a bounded number of names and time from each
 * provider. Goes on where the last run stopped, at providers that were cut short too.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function sweepOrphans(
  deps: OrphanDeps,
  options: OrphanOptions,
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<OrphanReport> {
  const position = await SweepPosition.open(deps.catalog);
  const recorded = await countRecorded(deps.catalog, signal);
  const save = (provider: ProviderId, after: string): Promise<void> => position.at(provider, after);
  const sweep = new OrphanSweep(deps, options, save, onProgress, signal);
  for (const handle of position.remaining(deps.providers.all())) {
    const { id } = handle.info;
    const after = position.afterOf(id);
    await position.at(id, after);
    const bounds = sweepBounds(recorded.get(id) ?? 0, deps.heldShards?.(id));
    await position.at(id, await sweep.provider(handle, after, bounds));
  }
  await position.roundEnded();
  return sweep.report();
}

/**
 * The same for one provider, from its first shard as far as the bounds allow.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function sweepProvider(
  deps: OrphanDeps,
  handle: ProviderHandle,
  options: OrphanOptions,
  bounds: SweepBounds,
  signal?: AbortSignal,
): Promise<OrphanReport> {
  const sweep = new OrphanSweep(deps, options, async () => undefined, undefined, signal);
  await sweep.provider(handle, undefined, bounds);
  return sweep.report();
}

class OrphanSweep {
  readonly #deps: OrphanDeps;
  readonly #options: OrphanOptions;
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #save: (provider: ProviderId, after: string) => Promise<void>;
  readonly #counts = { shards: 0, claimed: 0, busy: 0, orphans: 0, bytes: 0, young: 0, deleted: 0, cut: 0 };
  readonly #failed: { provider: ProviderId; reason: string }[] = [];
  #failures = 0;
  /** Of the provider being walked, and the milliseconds for which it was waited. */
  #failuresHere = 0;
  #waitedMs = 0;

  constructor(
    deps: OrphanDeps,
    options: OrphanOptions,
    save: (provider: ProviderId, after: string) => Promise<void>,
    onProgress: ((progress: Progress) => void) | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#save = save;
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  report(): OrphanReport {
    return { ...this.#counts, failed: this.#failed, failures: this.#failures };
  }

  /** Returns the stored name after which the walk is to go on another time; undefined when there is nothing to go on with. */
  async provider(
    handle: ProviderHandle,
    resumedAfter: string | undefined,
    bounds: SweepBounds,
  ): Promise<string | undefined> {
    const { id } = handle.info;
    this.#failuresHere = 0;
    this.#waitedMs = 0;
    let names = 0;
    for (let after = resumedAfter; ;) {
      throwIfAborted(this.#signal);
      const page = await this.#page(handle, after);
      if (page.length === 0) return undefined;
      for (const stored of page) {
        if (names >= bounds.names || this.#waitedMs >= bounds.timeMs) return this.#cut(id, names, after);
        await this.#shard(stored, handle);
        names++;
        after = storedName(stored);
      }
      await this.#save(id, after!);
      this.#onProgress?.({
        job: 'scrub',
        done: this.#counts.shards,
        total: undefined,
        bytes: this.#counts.bytes,
      });
    }
  }

  #cut(provider: ProviderId, names: number, after: string | undefined): string | undefined {
    this.#counts.cut++;
    this.#fail(provider, `its list goes on after ${names} shards: the rest is left for another sweep`);
    return after;
  }

  #fail(provider: ProviderId, reason: string): void {
    this.#failures++;
    if (++this.#failuresHere > FAILED_OF_ONE_MAX || this.#failed.length >= FAILED_MAX) return;
    this.#failed.push({ provider, reason });
  }

  async #waitFor<T>(call: () => Promise<T>): Promise<T> {
    const { clock } = this.#deps;
    const began = clock.now();
    try {
      return await call();
    } finally {
      this.#waitedMs += Math.min(CALL_MS_MAX, Math.max(0, clock.now() - began));
    }
  }

  /** Providers are not trusted: a list that makes no progress or names what is no shard ends the walk there. */
  async #page(handle: ProviderHandle, after: string | undefined): Promise<StoredShard[]> {
    const provider = handle.info.id;
    try {
      const page = await this.#waitFor(() => handle.transport.list(after, PAGE, this.#signal));
      let last = after ?? '';
      for (const stored of page) {
        if (
          !CHUNK_ID.test(stored.chunk) ||
          !Number.isSafeInteger(stored.index) ||
          storedName(stored) <= last
        ) {
          this.#fail(provider, 'its list is not one of shards in order');
          return [];
        }
        last = storedName(stored);
      }
      return page;
    } catch (error) {
      throwIfAborted(this.#signal);
      this.#fail(provider, error instanceof Error ? error.message : String(error));
      return [];
    }
  }

  async #shard(stored: StoredShard, handle: ProviderHandle): Promise<void> {
    this.#counts.shards++;
    const claim = await this.#judge(stored, handle.info.id);
    if (claim === 'claimed' || claim === 'busy') {
      this.#counts[claim]++;
      return;
    }
    this.#counts.orphans++;
    this.#counts.bytes += stored.length;
    if (claim === 'young') this.#counts.young++;
    else if (this.#options.delete) await this.#delete(stored, handle);
  }

  async #judge(stored: StoredShard, provider: ProviderId, locked = false): Promise<ShardClaim> {
    const { catalog, clock, isPending, locks } = this.#deps;
    // Asked before the record is read: a write that ends in between has its record by then.
    const busy = (!locked && locks.isHeld(stored.chunk)) || (await isPending(stored.chunk));
    const record = await catalog.get(stored.chunk);
    return judgeShard(stored, provider, record, busy, clock.now(), this.#options.graceMs);
  }

  /** Judges once more with the chunk locked, so that no repair can begin to rely on the shard meanwhile. */
  async #delete(stored: StoredShard, handle: ProviderHandle): Promise<void> {
    await this.#deps.locks.run(stored.chunk, async () => {
      if ((await this.#judge(stored, handle.info.id, true)) !== 'orphan') return;
      try {
        const name = { chunk: stored.chunk, index: stored.index };
        await this.#waitFor(() => handle.transport.delete(name, this.#signal));
        this.#counts.deleted++;
      } catch (error) {
        throwIfAborted(this.#signal);
        this.#fail(handle.info.id, error instanceof Error ? error.message : String(error));
      }
    });
  }
}

function storedName(shard: StoredShard): string {
  return `${shard.chunk}.${shard.index}`;
}
