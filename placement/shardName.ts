import { DATA_SHARDS_MAX, PARITY_SHARDS_MAX } from '#erasure';
import type { ChunkId, ShardName } from './types.ts';

/** Most shards that one chunk can have. */
const SHARDS_MAX = DATA_SHARDS_MAX + PARITY_SHARDS_MAX;

const STORED = /^([0-9a-f]{32})\.(\d|[1-9]\d)$/;

/** @throws RangeError when `id` is not 32 lower-case hex digits */
export function checkChunkId(id: ChunkId): void {
  if (!/^[0-9a-f]{32}$/.test(id)) throw new RangeError(`'${id}' is not a chunk identifier`);
}

/** `${chunk}.${index}`. @throws RangeError for what cannot name a shard, so that no name leaves its directory */
export function storedName({ chunk, index }: ShardName): string {
  const name = `${chunk}.${index}`;
  if (!STORED.test(name) || index >= SHARDS_MAX) throw new RangeError(`'${name}' is not a shard name`);
  return name;
}

/** `undefined` for a name that no shard has. */
export function parseStoredName(name: string): ShardName | undefined {
  const match = STORED.exec(name);
  const index = Number(match?.[2]);
  return match && index < SHARDS_MAX ? { chunk: match[1]!, index } : undefined;
}
