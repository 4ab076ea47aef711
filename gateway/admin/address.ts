import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdminAddress } from './types.ts';

const FILE = 'admin.json';

/** Tells commands run on this machine by the same user where the gateway's admin listener is. */
export async function publishAddress(data: string, address: AdminAddress): Promise<void> {
  await mkdir(data, { recursive: true });
  const file = join(data, FILE);
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(address)}\n`);
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
}

export async function withdrawAddress(data: string): Promise<void> {
  await rm(join(data, FILE), { force: true });
}

/** Undefined when no gateway has this data folder open. */
export async function findAddress(data: string): Promise<AdminAddress | undefined> {
  let text: string;
  try {
    text = await readFile(join(data, FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return JSON.parse(text) as AdminAddress;
}
