/**
 * One process per data directory. The lock is the operating system's own on the file `owner.lock`, so it ends with the process
 * however that dies, and holds between containers that share the directory. Node has no call for such a lock; SQLite, which comes
 * with it, takes one for an exclusive transaction, and that is all it is used for here: the file stays empty.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MetadataError } from './types.ts';

/** SQLITE_BUSY, https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;

export interface DirectoryLock {
  release(): void;
}

/** @throws MetadataError 'Unavailable' when another process (or this one) holds it, or the file cannot be opened */
export function lockDirectory(directory: string): DirectoryLock {
  const ownerFile = join(directory, 'owner');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(directory, 'owner.lock'));
    // No journal file: nothing is ever written.
    database.exec('PRAGMA journal_mode = OFF');
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    throw refusal(error, directory, ownerFile);
  }
  nameOwner(ownerFile);
  return { release: () => database.close() };
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
