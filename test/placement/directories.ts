import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatDirectory, LocalDirectory, type ProviderId } from '#placement';

/** A new directory that no one else uses. */
export async function scratch(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'shardway-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export const SOME_PROVIDER: ProviderId = '0123456789abcdef0123456789abcdef';

export async function newLocalDirectory(
  path: string,
  id: ProviderId = SOME_PROVIDER,
): Promise<LocalDirectory> {
  await formatDirectory(path, id);
  return new LocalDirectory(path, id);
}

/** Paths of all regular files in a directory and below, relative to it. */
export async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));
}
