/** An engine over metadata and chunks in memory, with a view of what it keeps. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '#placement';
import type { EngineOptions } from '../../../gateway/engine/context.ts';
import { chunkCodec } from '../../../gateway/engine/codecs.ts';
import { customerKeyEncryption } from '../../../gateway/engine/keyring.ts';
import { idAt, KIND, ofKind } from '../../../gateway/engine/keys.ts';
import { openObjectStore } from '../../../gateway/engine/store.ts';
import type { Engine } from '../../../gateway/engine/store.ts';
import { EngineError } from '../../../gateway/engine/types.ts';
import type {
  Body,
  ObjectStore,
  OpenRequest,
  PutRequest,
  WriteResult,
} from '../../../gateway/engine/types.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import type { KeyValueStore } from '../../../gateway/metadata/types.ts';
import { MemoryChunkStore } from '../../support/memoryChunkStore.ts';

const PROFILE = { data: 2, parity: 1 };
export const OWNER = 'someone';

/** Time that moves one millisecond with every look, so that order by clock and by commit can be told apart from nothing. */
class TestClock implements Clock {
  time = Date.parse('2026-01-01T00:00:00Z');
  now(): number {
    return this.time++;
  }
  async sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  }
}

/** Small limits, so that small bodies have many chunks, parts and pages. */
export const SMALL: Partial<EngineOptions> = { chunkBytes: 100_000, reservedIds: 8, partBytesMin: 10 };

/** One for all engines of a test: what a gateway's key file is to its restarts. */
const masterKey = randomBytes(32);

export interface Harness {
  kv: KeyValueStore;
  chunks: MemoryChunkStore;
  clock: TestClock;
  engine: Engine;
  store: ObjectStore;
  /** Another start over the same metadata and chunks, after a crash of the one before. */
  restart(kv?: KeyValueStore): Promise<Engine>;
}

export async function createHarness(
  settings: { partitions?: number; kv?: KeyValueStore; options?: Partial<EngineOptions> } = {},
): Promise<Harness> {
  const { partitions = 1, options = SMALL } = settings;
  const chunks = new MemoryChunkStore();
  const clock = new TestClock();
  const start = (kv: KeyValueStore): Promise<Engine> =>
    openObjectStore({
      kv,
      chunks,
      keyring: customerKeyEncryption(masterKey),
      clock,
      random: { fraction: () => 0.5 },
      region: 'us-east-1',
      profile: PROFILE,
      options,
    });
  const kv = settings.kv ?? openMemoryStore({ partitions });
  const engine = await start(kv);
  const harness: Harness = {
    kv,
    chunks,
    clock,
    engine,
    store: engine.store,
    restart: async (other = kv) => {
      harness.engine = await start(other);
      harness.store = harness.engine.store;
      return harness.engine;
    },
  };
  return harness;
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

/** A body in pieces of a few sizes. */
export function bodyOf(text: string | Uint8Array, rest: Omit<Body, 'bytes'> = {}): Body {
  const all = bytesOf(text);
  return {
    ...rest,
    bytes: (async function* pieces() {
      for (let at = 0, size = 1; at < all.length; at += size, size = Math.min(size * 7, 70_000)) {
        yield all.subarray(at, at + size);
      }
    })(),
  };
}

export const noAttributes = { headers: [], userMetadata: [], tags: [] } as const;

export const putText = (
  store: ObjectStore,
  bucket: string,
  key: string,
  text: string | Uint8Array,
  rest: Partial<PutRequest> = {},
): Promise<WriteResult> => store.put({ ...noAttributes, bucket, key, body: bodyOf(text), ...rest });

export async function readAll(
  store: ObjectStore,
  request: OpenRequest,
  start = 0,
  end?: number,
): Promise<Buffer> {
  const opened = await store.open(request);
  try {
    const pieces = [];
    for await (const piece of opened.stream(start, end ?? opened.info.size)) pieces.push(piece);
    return Buffer.concat(pieces);
  } finally {
    opened.close();
  }
}

export const readText = async (
  store: ObjectStore,
  bucket: string,
  key: string,
  versionId?: string,
): Promise<string> =>
  (await readAll(store, { bucket, key, ...(versionId === undefined ? {} : { versionId }) })).toString();

/** Kind of the engine error that a promise rejects with; 'none' when it resolves. */
export async function kindOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof EngineError) return error.kind;
    throw error;
  }
}

export async function recordedChunks(kv: KeyValueStore): Promise<string[]> {
  const ids = [];
  for (let partition = 0; partition < kv.partitions; partition++) {
    for (const [, value] of await kv.scan(partition, { ...ofKind(KIND.chunk), limit: 100_000 })) {
      ids.push(chunkCodec.decode(value).record.id);
    }
  }
  return ids.sort();
}

export async function countOf(kv: KeyValueStore, kind: keyof typeof KIND): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < kv.partitions; partition++) {
    count += (await kv.scan(partition, { ...ofKind(KIND[kind]), limit: 100_000 })).length;
  }
  return count;
}

/** After reclaim, nothing is left that no version, part or upload names: neither chunks nor records of any kind. */
export async function leftovers(harness: Harness): Promise<string[]> {
  const { kv, chunks } = harness;
  const found: string[] = [];
  const recorded = await recordedChunks(kv);
  for (const id of chunks.stored.keys()) if (!recorded.includes(id)) found.push(`orphan chunk ${id}`);
  for (const id of recorded) if (!chunks.stored.has(id)) found.push(`lost chunk ${id}`);
  const referred = new Set<string>();
  for (let partition = 0; partition < kv.partitions; partition++) {
    for (const [key] of await kv.scan(partition, { ...ofKind(KIND.ref), limit: 100_000 }))
      referred.add(idAt(key, 1, 16));
  }
  for (const id of recorded) if (!referred.has(id)) found.push(`chunk without reference ${id}`);
  for (const id of referred) if (!recorded.includes(id)) found.push(`reference without chunk ${id}`);
  for (const kind of ['garbage', 'doomed', 'pending'] as const) {
    const count = await countOf(kv, kind);
    if (count > 0) found.push(`${count} × ${kind}`);
  }
  return found;
}
