import { stat } from 'node:fs/promises';
import { errorCode, transportError } from '../transports/fileCalls.ts';
import { shardPath } from '../transports/providerDirectory.ts';
import { leavesBytes, TRAILER_BYTES } from '../transports/shardFile.ts';
import { storedName } from '../shardName.ts';
import { TransportError, type ShardName, type ShardSource, type ShardTransport } from '../types.ts';

/** Names per page when the shards are counted. */
const PAGE = 1000;

/** A directory of shards that holds no more than was offered, and knows what it holds. */
export class ShardStore {
  readonly transport: ShardTransport;
  readonly #root: string;
  #capacity: number;
  /** The last change of each shard that is being changed. */
  readonly #changing = new Map<string, Promise<void>>();
  #used = 0;
  #shards = 0;
  /** For shards on their way. */
  #reserved = 0;

  /** @param root the directory that `transport` keeps its shards in. @param capacity bytes offered */
  private constructor(transport: ShardTransport, root: string, capacity: number) {
    this.transport = transport;
    this.#root = root;
    this.#capacity = capacity;
  }

  /**
   * Counts what is there.
   * @param capacity 0: what the shards take and what is free beside them, now
   * @throws TransportError
   */
  static async open(transport: ShardTransport, root: string, capacity: number): Promise<ShardStore> {
    const store = new ShardStore(transport, root, capacity);
    let after: string | undefined;
    for (;;) {
      const page = await transport.list(after, PAGE);
      const last = page.at(-1);
      if (last === undefined) break;
      store.#shards += page.length;
      for (const shard of page) {
        // A torn file is listed with length 0, and takes what it takes.
        store.#used += shard.length > 0 ? fileBytes(shard.length) : await sizeOf(store.#path(shard));
      }
      after = storedName(last);
    }
    if (capacity === 0) store.#capacity = store.#used + (await transport.space()).free;
    return store;
  }

  /** Bytes offered. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Shards, and the bytes of their files. */
  get holds(): { shards: number; bytes: number } {
    return { shards: this.#shards, bytes: this.#used };
  }

  /** Of what was offered and of what the disk has, the lesser. @throws TransportError */
  async space(signal?: AbortSignal): Promise<{ capacity: number; free: number }> {
    const disk = await this.transport.space(signal);
    const left = Math.max(0, this.#capacity - this.#used - this.#reserved);
    return { capacity: Math.min(disk.capacity, this.#capacity), free: Math.min(disk.free, left) };
  }

  /**
   * Puts a shard. True: it was not there before.
   * @param told bytes of the shard where they are known beforehand: room for them is made sure of first
   * @throws TransportError 'NoSpace' where it does not fit into what was offered, and those of ShardTransport
   */
  async put(
    name: ShardName,
    source: ShardSource,
    told: number | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const room = new Room((bytes) => this.#reserve(bytes));
    try {
      return await this.#change(name, async (before) => {
        // A shard that is here already takes no more.
        if (before === 0) room.holds(told ?? 0);
        await this.transport.put(name, before === 0 ? room.limited(source) : source, signal);
        return before === 0 ? fileBytes(room.length) : await sizeOf(this.#path(name));
      });
    } finally {
      // Not before what it took is counted.
      this.#reserved -= room.reserved;
    }
  }

  async delete(name: ShardName, signal: AbortSignal): Promise<void> {
    await this.#change(name, async () => {
      await this.transport.delete(name, signal);
      return 0;
    });
  }

  /**
   * Changes one shard, alone. True when there was no such shard before.
   * @param work takes the bytes of its file, and gives those that it then has; where it fails, the disk is asked
   */
  async #change(name: ShardName, work: (before: number) => Promise<number>): Promise<boolean> {
    const key = storedName(name);
    while (this.#changing.has(key)) await this.#changing.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#changing.set(key, promise);
    try {
      const before = await sizeOf(this.#path(name));
      try {
        this.#count(before, await work(before));
      } catch (error) {
        this.#count(before, await sizeOf(this.#path(name)).catch(() => before));
        throw error;
      }
      return before === 0;
    } finally {
      this.#changing.delete(key);
      resolve();
    }
  }

  #reserve(bytes: number): void {
    if (this.#used + this.#reserved + bytes > this.#capacity) {
      throw new TransportError('NoSpace', 'the space that this provider offers is used up');
    }
    this.#reserved += bytes;
  }

  #path(name: ShardName): string {
    return shardPath(this.#root, storedName(name));
  }

  #count(before: number, after: number): void {
    this.#used += after - before;
    this.#shards += Number(after > 0) - Number(before > 0);
  }
}

/** Room in what is offered for one shard on its way, made as it turns out to need it. */
class Room {
  readonly #reserve: (bytes: number) => void;
  /** Bytes of the file that there is room for. */
  reserved = 0;
  /** Bytes of the shard that have come. */
  length = 0;

  /** @param reserve throws where there is no more */
  constructor(reserve: (bytes: number) => void) {
    this.#reserve = reserve;
  }

  /** Makes room for a shard of so many bytes. */
  holds(length: number): void {
    const more = fileBytes(length) - this.reserved;
    if (length === 0 || more <= 0) return;
    this.#reserve(more);
    this.reserved += more;
  }

  limited(source: ShardSource): ShardSource {
    if (source.whole) {
      this.length = source.whole.bytes.length;
      this.holds(this.length);
      return source;
    }
    return { cells: this.#counted(source.cells), seal: () => source.seal() };
  }

  async *#counted(cells: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
    for await (const cell of cells) {
      this.length += cell.length;
      this.holds(this.length);
      yield cell;
    }
  }
}

/** Bytes of the file of a shard. */
function fileBytes(length: number): number {
  return length + leavesBytes(length) + TRAILER_BYTES;
}

/** 0: there is none. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw transportError(error);
  }
}
