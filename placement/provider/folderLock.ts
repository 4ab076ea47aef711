/**
 * One process per data folder. The lock is the operating system's own on the file `owner.lock`, so it ends with the process however that
 * dies, and holds between containers that share the folder, which a process id would not. Node has no call for such a lock; SQLite, which
 * comes with it, takes one for an exclusive transaction, and that is all it is used for here: the file stays empty.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PlacementError } from '../types.ts';

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

/** A lock would end with the object that holds it: whoever does not keep what gives the folder back has it all the same. */
const locked = new Set<DatabaseSync>();

/**
 * Makes the folder where it is missing.
 * @returns what gives the folder back; again is nothing
 * @throws PlacementError 'BadConfiguration' when it is in use, by this process too, or cannot be locked
 */
export function lockFolder(folder: string): () => void {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(join(folder, 'owner.lock'));
    // No journal file: nothing is ever written.
    database.exec('PRAGMA journal_mode = OFF');
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    throw refusal(error, folder);
  }
  nameOwner(folder);
  const held = database;
  locked.add(held);
  return () => {
    if (locked.delete(held)) held.close();
  };
}

/** Only for the message of whoever is refused: a full disk must not keep a provider from starting. */
function nameOwner(folder: string): void {
  try {
    writeFileSync(ownerFile(folder), `pid ${process.pid} on ${hostname()} since ${new Date().toISOString()}`);
  } catch {
    // The message will say less.
  }
}

function refusal(error: unknown, folder: string): PlacementError {
  const { errcode, message } = error as Error & { errcode?: number };
  const text =
    errcode === SQLITE_BUSY
      ? `${folder} is in use by another process (${ownerOf(folder)})`
      : `cannot lock ${folder}: ${message}`;
  return new PlacementError('BadConfiguration', text, { cause: error });
}

function ownerOf(folder: string): string {
  try {
    return readFileSync(ownerFile(folder), 'utf8');
  } catch {
    return 'unknown';
  }
}

function ownerFile(folder: string): string {
  return join(folder, 'owner');
}
