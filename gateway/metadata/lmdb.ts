/**
 * KeyValueStore on LMDB: one directory, one partition, one process. Every commit is synced before it resolves
 * (overlappingSync off: with it on, a commit whose sync failed rejects and may survive all the same).
 */

import { open as openDatabase } from 'lmdb';
import type { RootDatabase } from 'lmdb';
import { lockDirectory } from './directoryLock.ts';
import type { DirectoryLock } from './directoryLock.ts';
import { makeDurableDirectory, syncDirectory } from './durableDirectory.ts';
import { GroupCommit } from './groupCommit.ts';
import type { Writes } from './groupCommit.ts';
import { assertCommit, assertKey, assertPartition, assertRange, MAX_KEY_BYTES } from './limits.ts';
import { commitFailure, failsStop, openFailure, readFailure } from './lmdbErrors.ts';
import { assertSoundFile, mapBytes } from './lmdbFile.ts';
import { MetadataError } from './types.ts';
import type { Bytes, Commit, Entry, KeyValueStore, Range } from './types.ts';

/** A sync on a busy disk takes seconds at times; longer means stuck. */
const COMMIT_TIMEOUT_MS = 15_000;
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
}

/** @throws MetadataError 'Unavailable' when the directory is in use or cannot be opened, 'Corrupt' when its file is no LMDB file of this version */
export function openLmdbStore({
  directory,
  commitTimeoutMs = COMMIT_TIMEOUT_MS,
}: LmdbOptions): KeyValueStore {
  const lock = prepare(directory);
  try {
    assertSoundFile(directory);
    const database = openDatabase<Buffer, Buffer>({
      ...DATABASE_OPTIONS,
      path: directory,
      mapSize: mapBytes(),
    });
    // LMDB syncs its file, not the file's name.
    syncDirectory(directory);
    return new LmdbStore(database, directory, lock, commitTimeoutMs);
  } catch (error) {
    lock.release();
    throw openFailure(error, directory);
  }
}

function prepare(directory: string): DirectoryLock {
  try {
    makeDurableDirectory(directory);
    return lockDirectory(directory);
  } catch (error) {
    throw openFailure(error, directory);
  }
}

class LmdbStore implements KeyValueStore {
  readonly partitions = 1;
  readonly #database: RootDatabase<Buffer, Buffer>;
  readonly #directory: string;
  readonly #lock: DirectoryLock;
  readonly #commits: GroupCommit;
  #closing: Promise<void> | undefined;

  constructor(
    database: RootDatabase<Buffer, Buffer>,
    directory: string,
    lock: DirectoryLock,
    commitTimeoutMs: number,
  ) {
    this.#database = database;
    this.#directory = directory;
    this.#lock = lock;
    this.#commits = new GroupCommit(
      { read: (key) => this.#peek(key), apply: (writes) => this.#apply(writes) },
      commitTimeoutMs,
    );
  }

  async get(partition: number, key: Bytes): Promise<Bytes | undefined> {
    this.#assertOpen(partition);
    assertKey(key);
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
    await this.#database.close();
    this.#lock.release();
  }

  #assertOpen(partition: number): void {
    if (this.#closing) throw new MetadataError('Unavailable', 'the metadata store is closed');
    assertPartition(partition, this.partitions);
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
      await database.batch(() => {
        for (const { key, value } of writes.values()) {
          if (value) void database.put(key as Buffer, value as Buffer);
          else void database.remove(key as Buffer);
        }
      });
    } catch (error) {
      const unchanged = isUsable(database) && lastTransaction(database) === before;
      const failure = await commitFailure(error, { directory: this.#directory, unchanged });
      if (failsStop(failure)) this.#commits.failStop(stopped(failure));
      throw failure;
    }
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
