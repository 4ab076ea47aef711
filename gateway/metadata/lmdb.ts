/**
 * KeyValueStore on LMDB: one directory, one partition; one process, or several of one gateway. Every commit is synced before it resolves
 * (overlappingSync off: with it on, a commit whose sync failed rejects and may survive all the same).
 */

import { open as openDatabase } from 'lmdb';
import type { RootDatabase } from 'lmdb';
import { lockDirectory, shareDirectory } from './directoryLock.ts';
import type { DirectoryLock } from './directoryLock.ts';
import { makeDurableDirectory, syncDirectory } from './durableDirectory.ts';
import { GroupCommit } from './groupCommit.ts';
import type { Backend, Writes } from './groupCommit.ts';
import { assertCommit, assertKey, assertPartition, assertRange, MAX_KEY_BYTES } from './limits.ts';
import { commitFailure, failsStop, lacksRoom, openFailure, readFailure } from './lmdbErrors.ts';
import { assertSoundFile, mapBytes } from './lmdbFile.ts';
import { MetadataError } from './types.ts';
import type { Bytes, Commit, Entry, KeyValueStore, Range } from './types.ts';

/** A sync on a busy disk takes seconds at times; longer means stuck. */
const COMMIT_TIMEOUT_MS = 15_000;
/** A reader that was killed keeps the pages it saw from being used again, until its slot is found empty of life. */
const READERS_EVERY_MS = 30_000;
/** From here on lmdb-js gives a value in a Buffer of its own (NEW_BUFFER_THRESHOLD in its read.js). */
const LARGE_BYTES = 0x8000;

const DATABASE_OPTIONS = {
  noSubdir: false,
  permissionsMode: 0o600,
  keyEncoding: 'binary',
  encoding: 'binary',
  overlappingSync: false,
  // With it, a failed batch also rejects a promise that nobody can see, and the process would die of it.
  eventTurnBatching: false,
} as const;

export interface LmdbOptions {
  /** Made, with its parents, when absent. Belongs to this store alone. */
  readonly directory: string;
  /** A commit under way for longer is 'Unknown' to its caller. */
  readonly commitTimeoutMs?: number;
  /** Opened by a worker of the gateway that holds the directory's lock: other workers read and write it at the same time. */
  readonly shared?: boolean;
}

/** @throws MetadataError 'Unavailable' when the directory is in use or cannot be opened, 'Corrupt' when its file is no LMDB file of this version */
export function openLmdbStore({
  directory,
  commitTimeoutMs = COMMIT_TIMEOUT_MS,
  shared = false,
}: LmdbOptions): KeyValueStore {
  const lock = prepare(directory, shared);
  try {
    assertSoundFile(directory);
    const database = openDatabase<Buffer, Buffer>({
      ...DATABASE_OPTIONS,
      path: directory,
      mapSize: mapBytes(),
    });
    // LMDB syncs its file, not the file's name.
    syncDirectory(directory);
    return new LmdbStore(database, { directory, lock, commitTimeoutMs, shared });
  } catch (error) {
    lock.release();
    throw openFailure(error, directory);
  }
}

function prepare(directory: string, shared: boolean): DirectoryLock {
  try {
    makeDurableDirectory(directory);
    return shared ? shareDirectory(directory) : lockDirectory(directory);
  } catch (error) {
    throw openFailure(error, directory);
  }
}

interface Opened extends Required<LmdbOptions> {
  readonly lock: DirectoryLock;
}

class LmdbStore implements KeyValueStore {
  readonly partitions = 1;
  readonly #database: RootDatabase<Buffer, Buffer>;
  readonly #directory: string;
  readonly #lock: DirectoryLock;
  readonly #shared: boolean;
  readonly #commits: GroupCommit;
  readonly #readerChecks: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(database: RootDatabase<Buffer, Buffer>, { directory, lock, commitTimeoutMs, shared }: Opened) {
    this.#database = database;
    this.#directory = directory;
    this.#lock = lock;
    this.#shared = shared;
    const backend: Backend = {
      read: (key) => this.#peek(key),
      apply: (writes) => this.#apply(writes),
      ...(shared && { transact: (decide) => this.#transact(decide) }),
    };
    this.#commits = new GroupCommit(backend, commitTimeoutMs);
    if (shared) this.#readerChecks = setInterval(() => database.readerCheck(), READERS_EVERY_MS).unref();
  }

  async get(partition: number, key: Bytes): Promise<Bytes | undefined> {
    this.#assertOpen(partition);
    assertKey(key);
    this.#refresh();
    try {
      const value = this.#database.getBinary(key as Buffer);
      return value && plain(value);
    } catch (error) {
      throw readFailure(error);
    }
  }

  async scan(partition: number, range: Range): Promise<Entry[]> {
    this.#assertOpen(partition);
    assertRange(range);
    const { limit, reverse = false } = range;
    const from = bound(range.from);
    const to = bound(range.to);
    if (limit === 0 || Buffer.compare(from, to) >= 0) return [];
    // LMDB walks from `start` to `end`; walking down, its start is our exclusive end.
    const ends = reverse
      ? { start: to, exclusiveStart: true, end: from, inclusiveEnd: true, reverse }
      : { start: from, end: to };
    const page: Entry[] = [];
    this.#refresh();
    try {
      for (const { key, value } of this.#database.getRange({ ...ends, limit }))
        page.push([key, plain(value)]);
    } catch (error) {
      throw readFailure(error);
    }
    return page;
  }

  async commit(partition: number, commit: Commit): Promise<boolean> {
    this.#assertOpen(partition);
    assertCommit(commit);
    return this.#commits.submit(commit);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#commits.stop(new MetadataError('Unavailable', 'the metadata store is closed'));
    if (this.#commits.stalled) {
      // Its writer may still write: the directory stays locked until the process ends.
      throw new MetadataError(
        'Unknown',
        `the metadata in ${this.#directory} is stuck in a commit and cannot be closed`,
      );
    }
    clearInterval(this.#readerChecks);
    await this.#database.close();
    this.#lock.release();
  }

  #assertOpen(partition: number): void {
    if (this.#closing) throw new MetadataError('Unavailable', 'the metadata store is closed');
    assertPartition(partition, this.partitions);
  }

  /** lmdb-js reads from one snapshot for a while: what others have committed since then must be seen as well. */
  #refresh(): void {
    if (this.#shared) this.#database.resetReadTxn();
  }

  /** LMDB's shared buffer: good until the next read. */
  #peek(key: Bytes): Bytes | undefined {
    const shared = this.#database.getBinaryFast(key as Buffer);
    return shared && new Uint8Array(shared.buffer, shared.byteOffset, shared.length);
  }

  async #apply(writes: Writes): Promise<void> {
    const database = this.#database;
    const before = lastTransaction(database);
    try {
      await database.batch(() => write(database, writes));
    } catch (error) {
      const unchanged = isUsable(database) && lastTransaction(database) === before;
      const failure = await commitFailure(error, { directory: this.#directory, unchanged });
      if (failsStop(failure)) this.#commits.failStop(stopped(failure));
      throw failure;
    }
  }

  /** LMDB's writer lock lets one process at a time into its transaction. */
  async #transact(decide: () => Writes): Promise<void> {
    const database = this.#database;
    let transaction: number | undefined;
    try {
      // Taken back as a whole, should one of its writes fail.
      await database.childTransaction(() => {
        transaction = database.getWriteTxnId();
        write(database, decide());
      });
    } catch (error) {
      const usable = isUsable(database);
      // The number of a transaction that was not committed is the next writer's.
      const unchanged = usable && (transaction === undefined || lastTransaction(database) < transaction);
      const failure = await commitFailure(error, { directory: this.#directory, unchanged });
      // Where others have written since, the outcome is not known, though nothing may be wrong but a lack of room.
      if (failsStop(failure) && !(usable && lacksRoom(failure))) this.#commits.failStop(stopped(failure));
      throw failure;
    }
  }
}

function write(database: RootDatabase<Buffer, Buffer>, writes: Writes): void {
  for (const { key, value } of writes.values()) {
    if (value) void database.put(key as Buffer, value as Buffer);
    else void database.remove(key as Buffer);
  }
}

/** Keys are at most MAX_KEY_BYTES long, so one byte more of a bound orders the same; LMDB takes no longer ones. */
function bound(key: Bytes): Buffer {
  return Buffer.from(key.buffer, key.byteOffset, Math.min(key.length, MAX_KEY_BYTES + 1));
}

/** lmdb-js gives large values in Buffers whose `length` is an own, writable property. */
function plain(value: Buffer): Bytes {
  return value.length > LARGE_BYTES ? new Uint8Array(value.buffer, value.byteOffset, value.length) : value;
}

/** Number of the last transaction that counts. */
function lastTransaction(database: RootDatabase<Buffer, Buffer>): number {
  return (database as unknown as { env: { info(): { lastTxnId: number } } }).env.info().lastTxnId;
}

/** False after a failure that LMDB itself does not go on from. */
function isUsable(database: RootDatabase<Buffer, Buffer>): boolean {
  try {
    database.transactionSync(() => undefined);
    return true;
  } catch {
    return false;
  }
}

function stopped(failure: MetadataError): MetadataError {
  const message =
    'the metadata store stopped writing after a failed commit; restart the gateway once the disk is sound';
  return new MetadataError('Unavailable', message, { cause: failure });
}
