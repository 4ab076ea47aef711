/**
 * Locks on a folder's files. They are the operating system's own, so each ends with its process however that dies, and holds between
 * containers that share the folder, which a process id would not. Node has no call for such a lock; SQLite, which comes with it, takes
 * them for its transactions, and that is all it is used for here: the files stay empty.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

/** A lock would end with the object that holds it, were it collected: whoever does not keep what gives it back has it all the same. */
const locked = new Set<DatabaseSync>();

const BEGIN = {
  exclusive: 'BEGIN EXCLUSIVE',
  shared: 'BEGIN; SELECT count(*) FROM sqlite_schema',
} as const;

/** Names in the folder. */
export interface LockFiles {
  readonly lock: string;
  /** Says who holds it, for the message of whoever is refused. */
  readonly name: string;
}

/** Another process, or this one, holds it. */
export class LockHeldError extends Error {
  override readonly name = 'LockHeldError';
  /** Its process and machine, as far as is known. */
  readonly owner: string;

  constructor(owner: string, cause: unknown) {
    super(`locked by ${owner}`, { cause });
    this.owner = owner;
  }
}

/**
 * @returns what gives it back; again is nothing
 * @throws LockHeldError; Error of SQLite when the file cannot be opened or locked
 */
export function lockFile(folder: string, files: LockFiles, kind: keyof typeof BEGIN): () => void {
  const ownerFile = join(folder, files.name);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder, files.lock));
    // No journal file: a full disk must not keep anyone from starting. (OFF is ignored in the defensive mode that Node sets.)
    database.exec('PRAGMA journal_mode = MEMORY');
    database.exec(BEGIN[kind]);
  } catch (error) {
    database?.close();
    const { errcode } = error as { errcode?: number };
    throw errcode === SQLITE_BUSY ? new LockHeldError(ownerOf(ownerFile), error) : error;
  }
  nameOwner(ownerFile);
  const held = database;
  locked.add(held);
  return () => {
    if (locked.delete(held)) held.close();
  };
}

function nameOwner(file: string): void {
  try {
    writeFileSync(file, `pid ${process.pid} on ${hostname()} since ${new Date().toISOString()}`);
  } catch {
    // The message will say less.
  }
}

function ownerOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return 'unknown';
  }
}
