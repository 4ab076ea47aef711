/** What repair, evacuation and their like need to know of other processes over the same store, and what keeps a former holder's hands still. */
import { TransportError } from '#placement';
import type {
  ChunkId,
  ChunkStore,
  OpenChunkStore,
  ProviderHandle,
  ProviderId,
  ProviderRegistry,
  Providers,
  ShardTransport,
} from '#placement';
import type { Leadership } from './engine/lease.ts';
import type { Activity } from './engine/memberRecords.ts';

/** Chunks that a beat lists at most. */
const LISTED_MAX = 1_000;
/** States in which the registry gives a provider no new shards. */
const LEAVING: ReadonlySet<string> = new Set(['suspended', 'exiting', 'disqualified', 'gone']);

/** A chunk store that remembers which of its chunks still have a shard on its way after their record is there. */
export interface WatchedChunks {
  readonly store: ChunkStore;
  /** Undefined: too many. */
  uploading(): readonly ChunkId[] | undefined;
}

export function watchChunks(chunks: OpenChunkStore): WatchedChunks {
  const late = new Set<ChunkId>();
  const store: ChunkStore = {
    read: (...all) => chunks.read(...all),
    delete: (chunk) => chunks.delete(chunk),
    deleteUnrecorded: (id) => chunks.deleteUnrecorded(id),
    async create(id, profile, length) {
      const writer = await chunks.create(id, profile, length);
      return {
        id,
        get length() {
          return writer.length;
        },
        write: (bytes) => writer.write(bytes),
        abort: () => writer.abort(),
        async finish() {
          const written = await writer.finish();
          if (chunks.isUploading(id)) late.add(id);
          return written;
        },
      };
    },
  };
  return {
    store,
    uploading() {
      for (const id of late) if (!chunks.isUploading(id)) late.delete(id);
      return late.size > LISTED_MAX ? undefined : [...late];
    },
  };
}

export function activityOf(chunks: WatchedChunks, providers: ProviderRegistry): Activity {
  const leaving = providers.all().filter(({ info }) => LEAVING.has(info.state));
  return {
    uploading: chunks.uploading(),
    quietAt: leaving.filter(({ info }) => providers.openPuts(info.id) === 0).map(({ info }) => info.id),
  };
}

/**
 * Providers for the background work: nothing is put or deleted by a process that is no longer sure of doing it for all, and puts of other
 * processes count as open. What is under way at that moment does no harm: a shard that no record names is an orphan, and a delete
 * is only ever sent for what no record names.
 */
export function heldProviders(
  providers: ProviderRegistry,
  leadership: Pick<Leadership, 'isHeld'>,
  openPutsElsewhere: (id: ProviderId) => number,
): Providers {
  const handles = new WeakMap<ProviderHandle, ProviderHandle>();
  const held = (handle: ProviderHandle): ProviderHandle => {
    let known = handles.get(handle);
    if (!known) {
      const transport = guarded(handle.transport, leadership);
      known = {
        get info() {
          return handle.info;
        },
        transport,
      };
      handles.set(handle, known);
    }
    return known;
  };
  return {
    all: () => providers.all().map(held),
    get(id) {
      const handle = providers.get(id);
      return handle && held(handle);
    },
    candidates: () => providers.candidates(),
    report: (...all) => providers.report(...all),
    noteLoad: (...all) => providers.noteLoad(...all),
    openPuts: (id) => providers.openPuts(id) + openPutsElsewhere(id),
    strays: (chunk) => providers.strays(chunk),
    readRank: (id) => providers.readRank(id),
    hedgeAfterMs: (id) => providers.hedgeAfterMs(id),
    revive: () => providers.revive(),
    close: () => providers.close(),
  };
}

function guarded(transport: ShardTransport, leadership: Pick<Leadership, 'isHeld'>): ShardTransport {
  const assertHeld = (): void => {
    if (!leadership.isHeld()) throw new TransportError('Aborted', 'another process does the background work');
  };
  return {
    async put(...all) {
      assertHeld();
      await transport.put(...all);
    },
    async delete(...all) {
      assertHeld();
      await transport.delete(...all);
    },
    get: (...all) => transport.get(...all),
    list: (...all) => transport.list(...all),
    prove: (...all) => transport.prove(...all),
    space: (...all) => transport.space(...all),
    close: () => transport.close(),
  };
}
