/** Which KeyValueStore a configuration names. */

import { join } from 'node:path';
import { openLmdbStore } from './lmdb.ts';
import { openMemoryStore } from './memory.ts';
import { UNKNOWN_STORE } from './name.ts';
import { openRedisStore } from './redis.ts';
import { isRedisAddress } from './redisAddress.ts';
import { MetadataError } from './types.ts';
import type { KeyValueStore } from './types.ts';

export interface OpenOptions {
  /** For a store whose address has no password. */
  readonly password?: string | undefined;
}

/**
 * `spec` is 'lmdb' (in `<dataDirectory>/metadata`), 'memory' (nothing outlives the process) or an address as in redisAddress.ts.
 * @throws MetadataError 'Unavailable' for anything else, or when the store cannot be opened or would lose acknowledged writes; 'Corrupt' when its data cannot be read
 */
export async function openKeyValueStore(
  spec: string,
  dataDirectory: string,
  { password }: OpenOptions = {},
): Promise<KeyValueStore> {
  if (spec === 'lmdb') return openLmdbStore({ directory: join(dataDirectory, 'metadata') });
  if (spec === 'memory') return openMemoryStore();
  if (isRedisAddress(spec)) return await openRedisStore(spec, { password });
  // An address may hold a password: it is not repeated.
  throw new MetadataError('Unavailable', UNKNOWN_STORE);
}
