/** Specifications of metadata stores, as people may be shown them. */

import { isRedisAddress, parseRedisAddress, redisName } from './redisAddress.ts';
import { MetadataError } from './types.ts';

export const UNKNOWN_STORE =
  'unknown metadata store; use lmdb, memory, redis://…, redis+sentinel://… or redis+cluster://…';

/**
 * The specification without user, password and options.
 * @throws MetadataError 'Unavailable' that says what is wrong with it and repeats nothing of it
 */
export function metadataName(spec: string): string {
  if (spec === 'lmdb' || spec === 'memory') return spec;
  if (isRedisAddress(spec)) return redisName(parseRedisAddress(spec));
  throw new MetadataError('Unavailable', UNKNOWN_STORE);
}
