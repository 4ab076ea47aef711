/** Which KeyValueStore a configuration names. */

import { join } from 'node:path';
import { openLmdbStore } from './lmdb.ts';
import { openMemoryStore } from './memory.ts';
import { MetadataError } from './types.ts';
import type { KeyValueStore } from './types.ts';

/**
 * `spec` is 'lmdb' (in `<dataDirectory>/metadata`) or 'memory' (nothing outlives the process).
 * @throws MetadataError 'Unavailable' for anything else, or when the store cannot be opened; 'Corrupt' when its data cannot be read
 */
export async function openKeyValueStore(spec: string, dataDirectory: string): Promise<KeyValueStore> {
  if (spec === 'lmdb') return openLmdbStore({ directory: join(dataDirectory, 'metadata') });
  if (spec === 'memory') return openMemoryStore();
  if (/^(redis|rediss|valkey|valkeys):/.test(spec)) {
    // The address may hold a password: it is not repeated.
    throw new MetadataError('Unavailable', 'metadata in Redis is not supported yet; use lmdb or memory');
  }
  throw new MetadataError('Unavailable', 'unknown metadata store; use lmdb or memory');
}
