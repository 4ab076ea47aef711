/**
 * One gateway per data directory: one process, or a parent with its workers.
 *
 * `owner.lock` is held by the process that the gateway is, or by the parent of its workers. `workers.lock` is shared by the workers: one
 * that outlives its parent, if only for a moment, keeps the next gateway out.
 */

import { LockHeldError, lockFile } from '#placement';
import type { LockFiles } from '#placement';
import { MetadataError } from './types.ts';

export interface DirectoryLock {
  release(): void;
}

const OWNER: LockFiles = { lock: 'owner.lock', name: 'owner' };
const WORKERS: LockFiles = { lock: 'workers.lock', name: 'workers' };

/**
 * For a whole gateway: no other one, and no worker of a former one, is alive when it returns.
 * @throws MetadataError 'Unavailable' when another process (or this one) holds it, or the file cannot be opened
 */
export function lockDirectory(directory: string): DirectoryLock {
  const owner = lock(directory, OWNER, 'exclusive');
  try {
    // Whoever has the first lock is the only one to start workers: once there is none, there will be none.
    lock(directory, WORKERS, 'exclusive').release();
    return owner;
  } catch (error) {
    owner.release();
    throw error;
  }
}

/** For a worker of the gateway that holds the directory. @throws MetadataError 'Unavailable' when the file cannot be opened */
export function shareDirectory(directory: string): DirectoryLock {
  return lock(directory, WORKERS, 'shared');
}

function lock(directory: string, files: LockFiles, kind: 'exclusive' | 'shared'): DirectoryLock {
  try {
    return { release: lockFile(directory, files, kind) };
  } catch (error) {
    const message =
      error instanceof LockHeldError
        ? `${directory} is in use by another gateway (${error.owner})`
        : `cannot lock ${directory}: ${error instanceof Error ? error.message : String(error)}`;
    throw new MetadataError('Unavailable', message, { cause: error });
  }
}
