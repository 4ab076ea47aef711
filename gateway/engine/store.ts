/** Puts the object store together. */
import type { Profile } from '#erasure';
import type { ChunkCatalog, ChunkId, ChunkStore, Clock, Random } from '#placement';
import type { KeyValueStore } from '../metadata/types.ts';
import { createBuckets, recoverBuckets } from './buckets.ts';
import { createCatalog } from './catalog.ts';
import { createCheck } from './check.ts';
import type { CheckObjects } from './check.ts';
import { completeUpload } from './complete.ts';
import { DEFAULT_OPTIONS } from './context.ts';
import type { Context, EngineOptions } from './context.ts';
import { copy } from './copy.ts';
import { createBucketOf } from './bucketOf.ts';
import { clearAbandoned, isPending } from './deadSessions.ts';
import { toEngineError } from './errors.ts';
import { fenced } from './fence.ts';
import type { KeyEncryption } from './keyring.ts';
import { SoleHolder } from './lease.ts';
import type { Leadership } from './lease.ts';
import { list, listUploads, listVersions } from './listing.ts';
import { Locks } from './locks.ts';
import { put, remove, setTags, stat } from './objects.ts';
import { copyPart, listParts, putPart } from './parts.ts';
import { Packs } from './packs.ts';
import { ReadCache } from './readCache.ts';
import type { Hex } from './model.ts';
import { Peers } from './peers.ts';
import type { PeersOptions } from './peers.ts';
import { Pins } from './pins.ts';
import { open } from './reader.ts';
import { createReclaim } from './reclaim.ts';
import type { Reclaim } from './reclaim.ts';
import { Session } from './session.ts';
import { EngineError } from './types.ts';
import type { ObjectStore } from './types.ts';
import { abortUpload, createUpload, upload } from './uploads.ts';

export interface EngineParts {
  readonly kv: KeyValueStore;
  readonly chunks: ChunkStore;
  readonly keyring: KeyEncryption;
  readonly clock: Clock;
  readonly random: Random;
  readonly region: string;
  /** Of new chunks. */
  readonly profile: Profile;
  readonly options?: Partial<EngineOptions>;
  /** Other processes use the same store; absent: this one has it to itself. */
  readonly peers?: PeersOptions;
}

export interface Engine {
  readonly store: ObjectStore;
  readonly catalog: ChunkCatalog;
  /** The same for background work: its commits apply only while this process does that for all. */
  readonly heldCatalog: ChunkCatalog;
  /** Names this process to the others. */
  readonly session: Hex;
  readonly leadership: Leadership;
  /** Other processes over the same store; undefined: there can be none. */
  readonly peers: Peers | undefined;
  /** Not started. */
  readonly reclaim: Reclaim;
  readonly check: CheckObjects;
  /** Bucket that a chunk was written to; undefined where nothing says so any more. */
  bucketOf(chunk: ChunkId): Promise<string | undefined>;
  /** May a record of this chunk still come? For those who look for orphan shards. */
  isPending(id: ChunkId): Promise<boolean>;
  /** Stops reclaim and takes back this process's reservations. To be called once no request is under way; leaves `kv` open. */
  close(): Promise<void>;
}

/** Opens the store and carries bucket changes that a crash interrupted to their end. @throws EngineError 'Unavailable' … */
export async function openObjectStore(parts: EngineParts): Promise<Engine> {
  const options = { ...DEFAULT_OPTIONS, ...parts.options };
  const session = new Session(parts.kv, options.reservedIds);
  const pins = new Pins();
  const peers = parts.peers && (await Peers.join({ ...parts, session, pins }, parts.peers));
  const context: Context = {
    ...parts,
    options: peers ? { ...options, isLive: (one) => peers.members.isLive(one) } : options,
    session,
    cache: new ReadCache(options.readCacheBytes),
    packs: new Packs({ ...parts, session }),
    pins,
    locks: new Locks(),
  };
  await recoverBuckets(context).catch(async (error: unknown) => {
    await peers?.leave().catch(() => undefined);
    throw error;
  });
  const held = peers && contextOfHolder(context, peers);
  const reclaim = createReclaim(
    context,
    peers && held && { context: held, isHeld: () => peers.lease.isHeld(), look: () => peers.members.look() },
  );
  const leadership = peers?.lease ?? new SoleHolder();
  return {
    store: createStore(context),
    catalog: createCatalog(parts.kv),
    heldCatalog: createCatalog(held?.kv ?? parts.kv),
    session: session.id,
    leadership,
    peers,
    reclaim,
    check: createCheck(context),
    bucketOf: createBucketOf(context),
    isPending: (id) => isPending(parts.kv, id),
    close: async () => {
      peers?.pins.giveUp();
      await reclaim.stop();
      await clearAbandoned(context);
      await leadership.release();
      await (peers ? peers.leave() : session.close());
    },
  };
}

/** What reclaim works with on behalf of all processes. */
function contextOfHolder(context: Context, peers: Peers): Context {
  const { kv, session, chunks } = context;
  return {
    ...context,
    kv: fenced(kv, session),
    pins: peers.pins,
    chunks: {
      create: (...all) => chunks.create(...all),
      read: (...all) => chunks.read(...all),
      deleteUnrecorded: (id) => chunks.deleteUnrecorded(id),
      async delete(chunk) {
        // A shard that comes late would stay for ever.
        if (peers.listsUpload(chunk.id)) {
          throw new EngineError(
            'Unavailable',
            `Chunk ${chunk.id} is still being uploaded by another process`,
          );
        }
        await chunks.delete(chunk);
      },
    },
  };
}

function createStore(context: Context): ObjectStore {
  /** Errors of the rooms below leave in the engine's words. */
  const run = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw toEngineError(error);
    }
  };
  const buckets = createBuckets(context);
  return {
    ...buckets,
    listBuckets: (options) => run(buckets.listBuckets(options)),
    bucket: (name) => run(buckets.bucket(name)),
    put: (request) => run(put(context, request)),
    open: (request) => run(open(context, request)),
    copy: (request) => run(copy(context, request)),
    delete: (request) => run(remove(context, request)),
    setTags: (request, tags) => run(setTags(context, request, tags)),
    stat: (request) => run(stat(context, request)),
    list: (request) => run(list(context, request)),
    listVersions: (request) => run(listVersions(context, request)),
    createUpload: (request) => run(createUpload(context, request)),
    upload: (ref) => run(upload(context, ref)),
    putPart: (request) => run(putPart(context, request)),
    copyPart: (request) => run(copyPart(context, request)),
    completeUpload: (request) => run(completeUpload(context, request)),
    abortUpload: (ref) => run(abortUpload(context, ref)),
    listParts: (request) => run(listParts(context, request)),
    listUploads: (request) => run(listUploads(context, request)),
  };
}
