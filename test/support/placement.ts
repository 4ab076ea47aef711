/** A small cluster for tests: real local directories, a catalog in memory, a clock that only moves when told or slept on. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chunkLayout, createCodec, createHasher, type Profile } from '#erasure';
import { LocalDirectory } from '../../placement/transports/localDirectory.ts';
import { formatDirectory, shardPath } from '../../placement/transports/providerDirectory.ts';
import type {
  CallOutcome,
  Candidate,
  ChunkCatalog,
  ChunkId,
  ChunkRecord,
  Clock,
  ProviderHandle,
  ProviderId,
  ProviderInfo,
  Providers,
  ProviderState,
  RepairEntry,
  ShardTransport,
} from '../../placement/types.ts';

const PROFILE: Profile = { data: 4, parity: 2 };
export const CELL = 16 * 1024;

/** Time passes by sleeping. */
class ManualClock implements Clock {
  time = Date.now();
  /** Milliseconds slept in all. */
  slept = 0;

  now(): number {
    return this.time;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.time += ms;
    this.slept += ms;
    // A turn of the real loop, so that a background loop that only sleeps lets others run.
    await pause(1);
    signal?.throwIfAborted();
  }
}

/** The catalog's contract, in memory. Hooks run before the call they are named after. */
class MemoryCatalog implements ChunkCatalog {
  readonly records = new Map<ChunkId, ChunkRecord>();
  readonly queue = new Map<ChunkId, string>();
  readonly notes = new Map<string, string>();
  beforeCompareAndSet: ((expected: ChunkRecord) => void | Promise<void>) | undefined;
  afterCompareAndSet: ((expected: ChunkRecord) => void) | undefined;
  beforeNote: ((name: string, value: string) => void) | undefined;

  async get(id: ChunkId): Promise<ChunkRecord | undefined> {
    return this.records.get(id);
  }

  async compareAndSet(expected: ChunkRecord, next: ChunkRecord): Promise<boolean> {
    await this.beforeCompareAndSet?.(expected);
    if (this.records.get(expected.id)?.generation !== expected.generation) return false;
    this.records.set(next.id, next);
    this.afterCompareAndSet?.(expected);
    return true;
  }

  async list(after: ChunkId | undefined, limit: number): Promise<ChunkRecord[]> {
    return page([...this.records.keys()], after, limit).map((id) => this.records.get(id)!);
  }

  async enqueueRepair(
    id: ChunkId,
    reason: string,
    join?: (given: string, reason: string) => string,
  ): Promise<void> {
    const given = this.queue.get(id);
    this.queue.set(id, join && given !== undefined ? join(given, reason) : reason);
  }

  async dequeueRepair(id: ChunkId, reason?: string): Promise<void> {
    if (reason === undefined || this.queue.get(id) === reason) this.queue.delete(id);
  }

  async repairQueue(after: ChunkId | undefined, limit: number): Promise<ChunkId[]> {
    return page([...this.queue.keys()], after, limit);
  }

  async repairEntries(after: ChunkId | undefined, limit: number): Promise<RepairEntry[]> {
    return page([...this.queue.keys()], after, limit).map((id) => ({ id, reason: this.queue.get(id)! }));
  }

  async getNote(name: string): Promise<string | undefined> {
    return this.notes.get(name);
  }

  async setNote(name: string, value: string): Promise<void> {
    this.beforeNote?.(name, value);
    this.notes.set(name, value);
  }
}

function page(ids: ChunkId[], after: ChunkId | undefined, limit: number): ChunkId[] {
  return ids
    .filter((id) => after === undefined || id > after)
    .sort()
    .slice(0, limit);
}

interface Member {
  info: ProviderInfo;
  transport: ShardTransport;
  /** The transport without decorators. */
  readonly storage: LocalDirectory;
  readonly directory: string;
  weight: number;
}

/** Providers over directories of this machine, whose states and transports a test sets. */
export class TestCluster implements Providers {
  readonly root: string;
  readonly members = new Map<ProviderId, Member>();
  readonly outcomes: { readonly id: ProviderId; readonly outcome: CallOutcome }[] = [];
  readonly catalog = new MemoryCatalog();
  readonly clock = new ManualClock();
  /** Puts that count as open. */
  readonly puts = new Map<ProviderId, number>();
  revived = 0;
  #chunks = 0;

  constructor(root: string) {
    this.root = root;
  }

  static async create(count: number): Promise<TestCluster> {
    const cluster = new TestCluster(await mkdtemp(join(tmpdir(), 'shardway-repair-')));
    for (let at = 0; at < count; at++) await cluster.addProvider();
    return cluster;
  }

  async addProvider(): Promise<ProviderId> {
    const number = this.members.size;
    const id = number.toString(16).padStart(32, '0');
    const directory = join(this.root, `provider-${number}`);
    await formatDirectory(directory, id);
    const domain = { region: 'r', site: `site-${number}`, operator: `operator-${number}` };
    const info: ProviderInfo = {
      id,
      endpoint: directory,
      domain,
      state: 'active',
      capacity: 1e12,
      free: 1e11,
    };
    const storage = new LocalDirectory(directory, id);
    this.members.set(id, { info, transport: storage, storage, directory, weight: 1 });
    return id;
  }

  get ids(): ProviderId[] {
    return [...this.members.keys()];
  }

  member(id: ProviderId): Member {
    const member = this.members.get(id);
    if (!member) throw new Error(`no provider ${id}`);
    return member;
  }

  setState(id: ProviderId, state: ProviderState): void {
    const member = this.member(id);
    member.info = { ...member.info, state };
  }

  /** Puts a decorator around a provider's transport. */
  wrap<T extends ShardTransport>(id: ProviderId, decorate: (transport: ShardTransport) => T): T {
    const member = this.member(id);
    const wrapped = decorate(member.transport);
    member.transport = wrapped;
    return wrapped;
  }

  all(): readonly ProviderHandle[] {
    return [...this.members.values()];
  }

  get(id: ProviderId): ProviderHandle | undefined {
    return this.members.get(id);
  }

  candidates(): readonly Candidate[] {
    return [...this.members.values()]
      .filter(({ info }) => info.state === 'active')
      .map(({ info, weight }) => ({ info, weight }));
  }

  report(id: ProviderId, outcome: CallOutcome): void {
    this.outcomes.push({ id, outcome });
  }

  noteLoad(): void {}

  openPuts(id: ProviderId): number {
    return this.puts.get(id) ?? 0;
  }

  strays(): readonly ProviderId[] {
    return [];
  }

  readRank(): number {
    return 1;
  }

  hedgeAfterMs(): number {
    return 100;
  }

  async revive(): Promise<void> {
    this.revived++;
    await Promise.all([...this.members.values()].map(({ storage }) => storage.revive()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.members.values()].map(({ transport }) => transport.close()));
    await rm(this.root, { recursive: true, force: true });
  }

  /** A chunk on the first k+m providers, or on those given (undefined: that shard never became durable), recorded in the catalog. */
  async writeChunk(
    bytes: Uint8Array,
    providers: readonly (ProviderId | undefined)[] = this.ids,
    profile: Profile = PROFILE,
  ): Promise<ChunkRecord> {
    const id = `cc${(++this.#chunks).toString(16).padStart(30, '0')}`;
    const shards = shardsOf(bytes, profile);
    const places = [];
    for (const [index, shard] of shards.entries()) {
      const provider = providers[index];
      if (provider === undefined) {
        places.push(undefined);
        continue;
      }
      const tree = createHasher().tree();
      tree.update(shard);
      const seal = tree.finish();
      const source = { cells: one(shard), seal: () => seal };
      await this.member(provider).transport.put({ chunk: id, index }, source);
      places.push({ provider, root: seal.root });
    }
    const layout = { profile, length: bytes.length, cell: CELL };
    const record: ChunkRecord = { id, ...layout, generation: 1, shards: places };
    this.catalog.records.set(id, record);
    return record;
  }

  /** File of a shard at the provider that the record names. */
  file(record: ChunkRecord, index: number): string {
    return this.fileAt(record.shards[index]!.provider, record.id, index);
  }

  fileAt(provider: ProviderId, chunk: ChunkId, index: number): string {
    return shardPath(this.member(provider).directory, `${chunk}.${index}`);
  }

  async lose(record: ChunkRecord, index: number): Promise<void> {
    await this.member(record.shards[index]!.provider).transport.delete({ chunk: record.id, index });
  }

  /** Changes the stored file behind the provider's back. */
  async damage(record: ChunkRecord, index: number, change: (file: Buffer) => Buffer): Promise<void> {
    const path = this.file(record, index);
    await writeFile(path, change(await readFile(path)));
  }

  flip(record: ChunkRecord, index: number, at: number): Promise<void> {
    return this.damage(record, index, (file) => {
      file[at]! ^= 0x40;
      return file;
    });
  }

  /** Indexes of the shards that do not stand, byte for byte, where the catalog's record says. */
  async wrongShards(id: ChunkId, bytes: Uint8Array): Promise<number[]> {
    const record = this.catalog.records.get(id)!;
    const wrong: number[] = [];
    for (const [index, shard] of shardsOf(bytes, record.profile).entries()) {
      const place = record.shards[index];
      const file = place && (await readFile(this.file(record, index)).catch(() => undefined));
      if (!file || Buffer.compare(file.subarray(0, shard.length), shard) !== 0) wrong.push(index);
    }
    return wrong;
  }

  /** Names of all stored shards, by provider. */
  async stored(): Promise<string[]> {
    const names: string[] = [];
    for (const [id, { transport }] of this.members) {
      const shards = await transport.list(undefined, 10_000).catch(() => []);
      names.push(...shards.map((shard) => `${id}/${shard.chunk}.${shard.index}`));
    }
    return names.sort();
  }

  /** Names of all shards that records claim, by provider. */
  claimed(): string[] {
    return [...this.catalog.records.values()]
      .flatMap((record) =>
        record.shards.flatMap((place, index) => (place ? [`${place.provider}/${record.id}.${index}`] : [])),
      )
      .sort();
  }
}

/** The k+m shards of a chunk, coded at once: what streaming must agree with. */
function shardsOf(bytes: Uint8Array, profile: Profile = PROFILE, cell: number = CELL): Buffer[] {
  const codec = createCodec(profile);
  const { fullStripes, lastCell } = chunkLayout(bytes.length, profile, cell);
  const shards: Uint8Array[][] = Array.from({ length: profile.data + profile.parity }, () => []);
  for (let stripe = 0, at = 0; stripe <= fullStripes; stripe++) {
    const size = stripe < fullStripes ? cell : lastCell;
    if (size === 0) break;
    const data = new Uint8Array(size * profile.data);
    data.set(bytes.subarray(at, at + data.length));
    at += data.length;
    const coded = Buffer.concat([data, codec.encode(data, size)]);
    for (const [index, cells] of shards.entries())
      cells.push(coded.subarray(index * size, (index + 1) * size));
  }
  return shards.map((cells) => Buffer.concat(cells));
}

/** Bytes that differ everywhere and are the same in every run. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}
