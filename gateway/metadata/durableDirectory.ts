/** A file's name outlives a power loss only after its directory has been synced, and so does a directory's. */

import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes the directory (0700) and its missing parents, durably. */
export function makeDurableDirectory(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const top = dirname(first);
  for (let at = directory; at.length > top.length; at = dirname(at)) syncDirectory(at);
  syncDirectory(top);
}

/** Makes the names in the directory durable. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
