import { readdir, stat, statfs } from 'node:fs/promises';
import { DirectorySyncs } from './directorySync.ts';
import { DirectSupport, DirectWrites } from './directWrites.ts';
import {
  closeQuietly,
  errorCode,
  fdatasync,
  fsync,
  link,
  open,
  rename,
  transportError,
  unlink,
  unlinkQuietly,
} from './fileCalls.ts';
import { OpenShard, OpenShards } from './openShards.ts';
import {
  completeDirectory,
  contents,
  formatDirectory,
  readMarker,
  removeLeftovers,
  shardPath,
  temporaryPath,
} from './providerDirectory.ts';
import { shardLengthOf } from './shardFile.ts';
import { ShardFolders } from './shardFolders.ts';
import { parseStoredName, storedName } from '../shardName.ts';
import { writeShardFile } from './shardFileWriter.ts';
import {
  TransportError,
  type ProviderId,
  type ShardName,
  type ShardSeal,
  type ShardSlice,
  type ShardSource,
  type ShardTransport,
  type StoredShard,
} from '../types.ts';

/** A transport whose storage an operator can make usable again after a loss. */
export interface RevivableTransport extends ShardTransport {
  /** True when the storage was made anew, without the shards it had. @throws TransportError 'Unavailable' */
  revive(): Promise<boolean>;
}

/** Shards in a directory of this machine's file system. */
export class LocalDirectory implements RevivableTransport {
  readonly #root: string;
  readonly #id: ProviderId;
  readonly #syncs = new DirectorySyncs();
  readonly #shards = new OpenShards();
  readonly #direct = new DirectSupport();
  readonly #folders: ShardFolders;
  /** Paths of shards that are being written under their own names. */
  readonly #writing = new Map<string, Promise<void>>();
  /** Inode of the directory: another one means that all open descriptors are of a directory that is gone. */
  #inode: bigint | undefined;
  #closed = false;

  /** @param id as in the marker; a directory with no marker or another one is 'Unavailable' */
  constructor(root: string, id: ProviderId) {
    this.#root = root;
    this.#id = id;
    this.#folders = new ShardFolders(root, this.#syncs);
  }

  /** Completes the directory's folders and clears what dead processes left. Once per process. */
  static async prepare(root: string): Promise<void> {
    await completeDirectory(root);
    await removeLeftovers(root);
  }

  async put(name: ShardName, source: ShardSource, signal?: AbortSignal): Promise<void> {
    const path = shardPath(this.#root, storedName(name));
    this.#check(signal);
    try {
      await this.#folders.ensure(folderOf(name));
      if (source.whole && (await this.#putWhole(path, source, signal))) return;
      await this.#putUnderway(path, source, signal);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') await this.#restoreFolders();
      throw transportError(error);
    }
  }

  /**
   * Writes a shard that lies in memory under its own name at once. Journalling file systems make a new file's name durable with its content, so
   * the folder's sync finds nothing left to do: a link from a temporary name would take a second commit of the journal, which is most of what a
   * small shard costs. A crash leaves a torn file that no record names. False when the name is taken: the other way compares.
   */
  async #putWhole(path: string, source: ShardSource, signal: AbortSignal | undefined): Promise<boolean> {
    const other = this.#writing.get(path);
    if (other) {
      // It may fail, and would take away what is written in its place meanwhile.
      await other;
      return false;
    }
    const done = Promise.withResolvers<void>();
    this.#writing.set(path, done.promise);
    const direct = new DirectWrites(path, this.#direct);
    let fd: number | undefined;
    try {
      fd = await open(path, 'wx', 0o600);
      await writeShardFile(fd, source, signal, direct);
      await fsync(fd);
      await this.#syncs.sync(path.slice(0, path.lastIndexOf('/')));
      this.#check(signal);
      return true;
    } catch (error) {
      if (fd === undefined && errorCode(error) === 'EEXIST') return false;
      // It may not be whole, or its name not durable: it must not be there at all.
      if (fd !== undefined) await unlinkQuietly(path);
      throw error;
    } finally {
      await direct.close();
      if (fd !== undefined) await closeQuietly(fd);
      this.#writing.delete(path);
      done.resolve();
    }
  }

  async #putUnderway(path: string, source: ShardSource, signal: AbortSignal | undefined): Promise<void> {
    const temporary = temporaryPath(this.#root);
    let removal: Promise<void> | undefined;
    try {
      const seal = await this.#write(temporary, source, signal);
      this.#check(signal);
      const mine = await this.#publish(temporary, path, seal);
      removal = unlinkQuietly(temporary);
      try {
        await this.#syncs.sync(path.slice(0, path.lastIndexOf('/')));
        this.#check(signal);
      } catch (error) {
        // Its name may not be durable, so it must not be there at all.
        if (mine) await unlinkQuietly(path);
        throw error;
      }
    } finally {
      await (removal ?? unlinkQuietly(temporary));
    }
  }

  async get(
    name: ShardName,
    firstLeaf: number,
    count: number,
    signal?: AbortSignal,
    length?: number,
  ): Promise<ShardSlice> {
    const path = shardPath(this.#root, storedName(name));
    // Half a file is not a damaged shard yet.
    if (this.#writing.has(path)) throw new TransportError('NotFound', 'the shard is being written');
    return this.#reading(signal, () => this.#shards.slice(path, firstLeaf, count, length));
  }

  async prove(name: ShardName, leaf: number, signal?: AbortSignal): Promise<ShardSlice> {
    const path = shardPath(this.#root, storedName(name));
    return this.#reading(signal, async () => {
      const shard = await OpenShard.open(path);
      try {
        return await shard.slice(leaf, 1);
      } finally {
        await shard.close();
      }
    });
  }

  async delete(name: ShardName, signal?: AbortSignal): Promise<void> {
    const path = shardPath(this.#root, storedName(name));
    this.#check(signal);
    try {
      await this.#shards.forget(path);
      await unlink(path);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw transportError(error);
      await this.#assertPresent();
    }
  }

  async list(after: string | undefined, limit: number, signal?: AbortSignal): Promise<StoredShard[]> {
    this.#check(signal);
    await this.#assertPresent();
    const page: StoredShard[] = [];
    const folders = await this.#folders.names().catch((error: unknown) => {
      throw transportError(error);
    });
    for (const folder of folders) {
      if (page.length >= limit) break;
      if (after !== undefined && folder < after.slice(0, 2)) continue;
      this.#check(signal);
      const names = await this.#names(folder, after);
      while (names.length > 0 && page.length < limit) {
        const some = names.splice(0, Math.min(64, limit - page.length));
        const shards = await Promise.all(some.map((name) => this.#stored(name)));
        page.push(...shards.filter((shard) => shard !== undefined));
      }
    }
    return page;
  }

  async space(signal?: AbortSignal): Promise<{ capacity: number; free: number }> {
    this.#check(signal);
    try {
      await this.#assertPresent();
      const { ino } = await stat(this.#root, { bigint: true });
      if (this.#inode !== undefined && this.#inode !== ino) await this.#forgetDescriptors();
      this.#inode = ino;
      const { blocks, bavail, bsize } = await statfs(this.#root);
      return { capacity: blocks * bsize, free: bavail * bsize };
    } catch (error) {
      throw transportError(error);
    }
  }

  async revive(): Promise<boolean> {
    try {
      const marker = await readMarker(this.#root);
      if (marker === undefined) {
        const found = await contents(this.#root);
        if (found === 'foreign') {
          throw new TransportError('Unavailable', `${this.#root} holds files that are not a provider's`);
        }
        await this.#forgetDescriptors();
        await formatDirectory(this.#root, this.#id);
        return found !== 'ours';
      }
      await this.#assertPresent();
      await completeDirectory(this.#root);
      return false;
    } catch (error) {
      throw transportError(error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#forgetDescriptors();
  }

  async #write(temporary: string, source: ShardSource, signal: AbortSignal | undefined): Promise<ShardSeal> {
    const fd = await open(temporary, 'wx', 0o600);
    const direct = new DirectWrites(temporary, this.#direct);
    try {
      const seal = await writeShardFile(fd, source, signal, direct);
      await fdatasync(fd);
      return seal;
    } finally {
      await direct.close();
      await closeQuietly(fd);
    }
  }

  /** Gives the shard its name. False when it is there already. */
  async #publish(temporary: string, path: string, seal: ShardSeal): Promise<boolean> {
    for (;;) {
      try {
        // A link, unlike a rename, never replaces a file, so two writers of one name cannot both succeed.
        await link(temporary, path);
        return true;
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
      const other = this.#writing.get(path);
      if (!other) break;
      await other;
    }
    const stored = await this.#storedRoot(path);
    if (!stored) {
      await this.#shards.forget(path);
      await rename(temporary, path);
      return true;
    }
    if (Buffer.compare(stored, seal.root) === 0) return false;
    throw new TransportError('Conflict', 'another shard has this name');
  }

  /** Root of the shard in the file when its bytes are whole. */
  async #storedRoot(path: string): Promise<Uint8Array | undefined> {
    try {
      const shard = await OpenShard.open(path);
      try {
        return (await shard.verifies()) ? shard.seal.root : undefined;
      } finally {
        await shard.close();
      }
    } catch (error) {
      if (error instanceof TransportError && error.kind === 'Corrupt') return undefined;
      throw error;
    }
  }

  async #reading(signal: AbortSignal | undefined, read: () => Promise<ShardSlice>): Promise<ShardSlice> {
    this.#check(signal);
    try {
      const slice = await read();
      this.#check(signal);
      return slice;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw transportError(error);
      await this.#assertPresent();
      throw new TransportError('NotFound', 'no such shard', { cause: error });
    }
  }

  /** Names in a folder after `after`, in order. */
  async #names(folder: string, after: string | undefined): Promise<string[]> {
    try {
      const names = await readdir(`${this.#root}/shards/${folder}`);
      return names
        .filter(
          (name) => (after === undefined || name > after) && parseStoredName(name)?.chunk.startsWith(folder),
        )
        .sort();
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw transportError(error);
    }
  }

  /** Undefined when it was deleted meanwhile. A torn file is listed with length 0. */
  async #stored(name: string): Promise<StoredShard | undefined> {
    try {
      const { size, mtimeMs } = await stat(shardPath(this.#root, name));
      const length = shardLengthOf(size) ?? 0;
      return { ...parseStoredName(name)!, length, storedAt: Math.floor(mtimeMs) };
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw transportError(error);
    }
  }

  /** @throws TransportError 'Unavailable' when this is not, or no longer, the provider's directory */
  async #assertPresent(): Promise<void> {
    const marker = await readMarker(this.#root).catch((error: unknown) => {
      throw transportError(error);
    });
    if (marker === this.#id) return;
    const found = marker === undefined ? 'has no provider marker' : `is of another provider, ${marker}`;
    throw new TransportError('Unavailable', `${this.#root} ${found}`);
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#closed) throw new TransportError('Unavailable', `${this.#root} is closed`);
    if (signal?.aborted) throw new TransportError('Aborted', 'aborted', { cause: signal.reason });
  }

  /** For the next put: somebody has removed a folder of a directory that is still the provider's. */
  async #restoreFolders(): Promise<void> {
    await this.#forgetDescriptors();
    if ((await readMarker(this.#root).catch(() => undefined)) !== this.#id) return;
    await completeDirectory(this.#root).catch(() => undefined);
  }

  async #forgetDescriptors(): Promise<void> {
    this.#folders.forget();
    await Promise.all([this.#syncs.forget(), this.#shards.forgetAll()]);
  }
}

function folderOf({ chunk }: ShardName): string {
  return chunk.slice(0, 2);
}
