/**
 * One gateway per data directory: one process, or a parent with its workers. The locks are the operating system's own, so each ends with
 * its process however that dies, and holds between containers that share the directory. Node has no call for such a lock; SQLite, which
 * comes with it, takes them for its transactions, and that is all it is used for here: the files stay empty.
 *
 * `owner.lock` is held by the process that the gateway is, or by the parent of its workers. `workers.lock` is shared by the workers: one
 * that outlives its parent, if only for a moment, keeps the next gateway out.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MetadataError } from './types.ts';

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

/** A lock would end with the object that holds it, were it collected. */
const locked = new Set<DatabaseSync>();

export interface DirectoryLock {
  release(): void;
}

const OWNER = { lock: 'owner.lock', name: 'owner' } as const;
const WORKERS = { lock: 'workers.lock', name: 'workers' } as const;

/**
 * For a whole gateway: no other one, and no worker of a former one, is alive when it returns.
 * @throws MetadataError 'Unavailable' when another process (or this one) holds it, or the file cannot be opened
 */
export function lockDirectory(directory: string): DirectoryLock {
  const owner = lock(directory, OWNER, 'BEGIN EXCLUSIVE');
  try {
    // Whoever has the first lock is the only one to start workers: once there is none, there will be none.
    lock(directory, WORKERS, 'BEGIN EXCLUSIVE').release();
    return owner;
  } catch (error) {
    owner.release();
    throw error;
  }
}

/** For a worker of the gateway that holds the directory. @throws MetadataError 'Unavailable' when the file cannot be opened */
export function shareDirectory(directory: string): DirectoryLock {
  return lock(directory, WORKERS, 'BEGIN; SELECT count(*) FROM sqlite_schema');
}

function lock(directory: string, files: typeof OWNER | typeof WORKERS, begin: string): DirectoryLock {
  const ownerFile = join(directory, files.name);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(directory, files.lock));
    // No journal file: a full disk must not keep a gateway from starting. (OFF is ignored in the defensive mode that Node sets.)
    database.exec('PRAGMA journal_mode = MEMORY');
    database.exec(begin);
  } catch (error) {
    database?.close();
    throw refusal(error, directory, ownerFile);
  }
  nameOwner(ownerFile);
  const held = database;
  locked.add(held);
  return {
    release() {
      if (locked.delete(held)) held.close();
    },
  };
}

/** Only for the message of whoever is refused: a full disk must not keep a gateway from starting. */
function nameOwner(file: string): void {
  try {
    writeFileSync(file, `pid ${process.pid} on ${hostname()} since ${new Date().toISOString()}`);
  } catch {
    // The message will say less.
  }
}

function refusal(error: unknown, directory: string, ownerFile: string): MetadataError {
  const busy = (error as { errcode?: number }).errcode === SQLITE_BUSY;
  const message = busy
    ? `${directory} is in use by another gateway (${ownerOf(ownerFile)})`
    : `cannot lock ${directory}: ${error instanceof Error ? error.message : String(error)}`;
  return new MetadataError('Unavailable', message, { cause: error });
}

function ownerOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return 'unknown';
  }
}
