import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces a file that only its owner may read, atomically and durably: write, sync, rename, sync the directory. Mode 0600. */
export async function replacePrivateFile(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  const file = await open(next, 'w', 0o600);
  try {
    // A file left by a crash keeps the mode it had.
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
