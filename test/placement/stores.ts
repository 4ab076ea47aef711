import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createChunkStore,
  openProviders,
  seededRandom,
  systemClock,
  type ChunkRecord,
  type ChunkStoreOptions,
  type OpenChunkStore,
  type ProviderId,
  type ProviderRegistry,
  type ShardTransport,
} from '#placement';
import { filesIn, scratch } from './directories.ts';
import { newChunkId } from './shards.ts';

export interface TestStore {
  readonly store: OpenChunkStore;
  readonly providers: ProviderRegistry;
  readonly root: string;
  /** Chunks that readers put into the repair queue, with the reason. */
  readonly queued: (readonly [chunk: string, reason: string])[];
  /** Path of the file that a shard of a record is in. */
  path(record: ChunkRecord, index: number): string;
  /** Stored shards of all providers, as `${chunk}.${index}`. */
  stored(): Promise<string[]>;
  dispose(): Promise<void>;
}

export interface TestStoreOptions extends Partial<ChunkStoreOptions> {
  readonly directories?: number;
  /** Site of each directory; by default its own. */
  readonly sites?: readonly string[];
  /** Wraps a provider's transport, by the number of its directory. */
  readonly wrap?: (transport: ShardTransport, directory: number) => ShardTransport;
}

/** A chunk store over real directories. */
export async function openTestStore({
  sites,
  directories = sites?.length ?? 6,
  wrap,
  ...options
}: TestStoreOptions = {}): Promise<TestStore> {
  const { path: root, remove } = await scratch();
  const entries = Array.from({ length: directories }, (_, number) => {
    const endpoint = join(root, `p${number}`);
    return {
      endpoint,
      domain: { region: 'r', site: sites?.[number] ?? `s${number}`, operator: `o${number}` },
    };
  });
  const decorate = (transport: ShardTransport, { endpoint }: { endpoint: string }): ShardTransport =>
    wrap ? wrap(transport, Number(endpoint.slice(root.length + 2))) : transport;
  const clock = options.clock ?? systemClock;
  const providers = await openProviders({ entries, clock, decorate });
  const queued: (readonly [string, string])[] = [];
  const store = createChunkStore({
    providers,
    clock,
    random: seededRandom(1),
    catalog: { enqueueRepair: async (id, reason) => void queued.push([id, reason]) },
    ...options,
  });
  const path = (record: ChunkRecord, index: number): string => {
    const { endpoint } = providers.get(record.shards[index]!.provider)!.info;
    return join(endpoint, 'shards', record.id.slice(0, 2), `${record.id}.${index}`);
  };
  return {
    store,
    providers,
    root,
    queued,
    path,
    async stored() {
      const files = await Promise.all(entries.map(({ endpoint }) => filesIn(join(endpoint, 'shards'))));
      return files.flat().map((file) => file.slice(3));
    },
    async dispose() {
      await store.close();
      await providers.close();
      await remove();
    },
  };
}

/** Number of the directory of a provider. */
export function directoryOf({ providers, root }: TestStore, id: ProviderId): number {
  return Number(providers.get(id)!.info.endpoint.slice(root.length + 2));
}

/** Writes a chunk in pieces. */
export async function writeChunk(
  { store }: TestStore,
  bytes: Uint8Array,
  profile = { data: 4, parity: 2 },
  piece = 100_000,
): Promise<Awaited<ReturnType<Awaited<ReturnType<OpenChunkStore['create']>>['finish']>>> {
  const writer = await store.create(newChunkId(), profile);
  const memory = new Uint8Array(piece);
  for (let at = 0; at < bytes.length; at += piece) {
    const part = bytes.subarray(at, at + piece);
    memory.set(part);
    await writer.write(memory.subarray(0, part.length));
    memory.fill(0xaa);
  }
  return writer.finish();
}

export async function readAll(
  { store }: TestStore,
  record: ChunkRecord,
  offset = 0,
  length = record.length - offset,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.read(record, offset, length)) {
    // A piece is good until the next is asked for.
    pieces.push(Uint8Array.from(piece));
  }
  return Buffer.concat(pieces);
}

/** Removes the shards' files. */
export async function lose(made: TestStore, record: ChunkRecord, indexes: readonly number[]): Promise<void> {
  await Promise.all(indexes.map((index) => rm(made.path(record, index))));
}

/** The transport with some methods replaced. */
export function proxy(transport: ShardTransport, methods: Partial<ShardTransport>): ShardTransport {
  return new Proxy(transport, {
    get(target, property: keyof ShardTransport) {
      return methods[property] ?? target[property].bind(target);
    },
  });
}
