import type { ChunkLocks } from './chunkLocks.ts';
import { throwIfAborted } from './repairExamine.ts';
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
const NOTE = 'scrub.orphans';
const CHUNK_ID = /^[0-9a-f]{32}$/;

export interface OrphanDeps {
  readonly catalog: ChunkCatalog;
  readonly providers: Providers;
  readonly clock: Clock;
  readonly locks: ChunkLocks;
  /** True for a chunk of a write under way, or of an intent that reclaim has not settled: its record may still come. */
  readonly isPending: (chunk: ChunkId) => boolean | Promise<boolean>;
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
  /** Providers that could not be walked to the end. */
  readonly failed: readonly { readonly provider: ProviderId; readonly reason: string }[];
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
 * The walk in the other direction: every shard that a provider holds, against the records. Goes on where the last run stopped.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function sweepOrphans(
  deps: OrphanDeps,
  options: OrphanOptions,
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<OrphanReport> {
  const save = (cursor: string) => deps.catalog.setNote(NOTE, cursor);
  const sweep = new OrphanSweep(deps, options, save, onProgress, signal);
  const resumed = readCursor(await deps.catalog.getNote(NOTE));
  const handles = [...deps.providers.all()].sort((a, b) => compare(a.info.id, b.info.id));
  for (const handle of handles) {
    if (resumed && compare(handle.info.id, resumed.provider) < 0) continue;
    await sweep.provider(handle, resumed?.provider === handle.info.id ? resumed.after : undefined);
  }
  await deps.catalog.setNote(NOTE, '');
  return sweep.report();
}

/**
 * The same for one provider, from its first shard to its last.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function sweepProvider(
  deps: OrphanDeps,
  handle: ProviderHandle,
  options: OrphanOptions,
  signal?: AbortSignal,
): Promise<OrphanReport> {
  const sweep = new OrphanSweep(deps, options, async () => undefined, undefined, signal);
  await sweep.provider(handle, undefined);
  return sweep.report();
}

interface Cursor {
  readonly provider: ProviderId;
  /** Stored name. */
  readonly after: string;
}

/** A note is the provider's id after the stored name, which has no space. */
function readCursor(note: string | undefined): Cursor | undefined {
  const space = note ? note.indexOf(' ') : -1;
  return note && space > 0 ? { after: note.slice(0, space), provider: note.slice(space + 1) } : undefined;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

class OrphanSweep {
  readonly #deps: OrphanDeps;
  readonly #options: OrphanOptions;
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #save: (cursor: string) => Promise<void>;
  readonly #counts = { shards: 0, claimed: 0, busy: 0, orphans: 0, bytes: 0, young: 0, deleted: 0 };
  readonly #failed: { provider: ProviderId; reason: string }[] = [];

  constructor(
    deps: OrphanDeps,
    options: OrphanOptions,
    save: (cursor: string) => Promise<void>,
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
    return { ...this.#counts, failed: this.#failed };
  }

  async provider(handle: ProviderHandle, resumedAfter: string | undefined): Promise<void> {
    for (let after = resumedAfter; ;) {
      throwIfAborted(this.#signal);
      const page = await this.#page(handle, after);
      if (page.length === 0) return;
      for (const stored of page) await this.#shard(stored, handle);
      after = storedName(page.at(-1)!);
      await this.#save(`${after} ${handle.info.id}`);
      this.#onProgress?.({
        job: 'scrub',
        done: this.#counts.shards,
        total: undefined,
        bytes: this.#counts.bytes,
      });
    }
  }

  /** Providers are not trusted: a list that makes no progress or names what is no shard ends the walk there. */
  async #page(handle: ProviderHandle, after: string | undefined): Promise<StoredShard[]> {
    const provider = handle.info.id;
    try {
      const page = await handle.transport.list(after, PAGE, this.#signal);
      let last = after ?? '';
      for (const stored of page) {
        if (
          !CHUNK_ID.test(stored.chunk) ||
          !Number.isSafeInteger(stored.index) ||
          storedName(stored) <= last
        ) {
          this.#failed.push({ provider, reason: 'its list is not one of shards in order' });
          return [];
        }
        last = storedName(stored);
      }
      return page;
    } catch (error) {
      throwIfAborted(this.#signal);
      this.#failed.push({ provider, reason: error instanceof Error ? error.message : String(error) });
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
        await handle.transport.delete({ chunk: stored.chunk, index: stored.index }, this.#signal);
        this.#counts.deleted++;
      } catch (error) {
        throwIfAborted(this.#signal);
        const reason = error instanceof Error ? error.message : String(error);
        this.#failed.push({ provider: handle.info.id, reason });
      }
    });
  }
}

function storedName(shard: StoredShard): string {
  return `${shard.chunk}.${shard.index}`;
}
