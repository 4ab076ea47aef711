import { randomUUID } from 'node:crypto';
import { link, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces a file that only its owner may read, atomically and durably: write, sync, rename, sync the directory. Mode 0600. */
export async function replacePrivateFile(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  await writePrivately(next, text);
  await rename(next, path);
  await syncNames(path);
}

/** Makes the file likewise. Returns false when it is there already, made by another process at the same time. */
export async function makePrivateFile(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`;
  await writePrivately(draft, text);
  try {
    // Unlike a rename, a link never replaces.
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
    await syncNames(path);
  }
}

async function writePrivately(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    // A file left by a crash keeps the mode it had.
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncNames(path: string): Promise<void> {
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
