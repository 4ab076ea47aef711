/** One process per data folder. */
import { mkdirSync } from 'node:fs';
import { LockHeldError, lockFile } from '../fileLock.ts';
import { PlacementError } from '../types.ts';

/**
 * Makes the folder where it is missing.
 * @returns what gives the folder back; again is nothing
 * @throws PlacementError 'BadConfiguration' when it is in use, by this process too, or cannot be locked
 */
export function lockFolder(folder: string): () => void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return lockFile(folder, { lock: 'owner.lock', name: 'owner' }, 'exclusive');
  } catch (error) {
    const text =
      error instanceof LockHeldError
        ? `${folder} is in use by another process (${error.owner})`
        : `cannot lock ${folder}: ${(error as Error).message}`;
    throw new PlacementError('BadConfiguration', text, { cause: error });
  }
}
