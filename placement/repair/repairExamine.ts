import { LEAF_BYTES, chunkLayout, type Hasher } from '#erasure';
import type { ShardHealth } from './repairPlan.ts';
import type { Lane } from './pace.ts';
import {
  PlacementError,
  TransportError,
  type CallOutcome,
  type ChunkRecord,
  type Clock,
  type Providers,
  type ShardSlice,
} from '../types.ts';

/**
 * Leaves that are read from a shard at a time: one full cell (256 KiB) of every shard, so that two of these ranges are about
 * two stripes.
 */
export const RANGE_LEAVES = 16;

/** 'shallow': the last leaf of every shard, with its proof. 'deep': every byte. */
export type Depth = 'shallow' | 'deep';

export interface ExamineDeps {
  readonly providers: Providers;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly throttle?: Lane;
}

export interface Examination {
  /** One entry for each shard of the record. */
  readonly health: ShardHealth[];
  /** Bytes read and verified. */
  readonly bytes: number;
}

/** Leaves of a shard that verified against its recorded root, or why they could not be had. */
export type VerifiedRead =
  | { readonly bytes: Uint8Array; readonly health: 'healthy' }
  | { readonly bytes?: never; readonly health: Exclude<ShardHealth, 'healthy'> };

/**
 * Looks at the shards of a chunk.
 * @param only indexes to look at; all others count as healthy
 * @throws PlacementError 'Aborted'
 */
export async function examine(
  record: ChunkRecord,
  depth: Depth,
  deps: ExamineDeps,
  signal?: AbortSignal,
  only: readonly number[] = record.shards.map((_, index) => index),
): Promise<Examination> {
  const leaves = leafCount(record);
  const health: ShardHealth[] = Array.from({ length: record.shards.length }, () => 'healthy');
  let bytes = 0;
  const look = async (index: number) => {
    let first = depth === 'deep' ? 0 : leaves - 1;
    for (; first < leaves && health[index] === 'healthy'; first += RANGE_LEAVES) {
      const count = Math.min(RANGE_LEAVES, leaves - first);
      const read = await readVerified(record, index, first, count, deps, {
        prove: depth === 'shallow',
        signal,
      });
      health[index] = read.health;
      bytes += read.bytes?.length ?? 0;
    }
  };
  await Promise.all(only.map(look));
  return { health, bytes };
}

export function leafCount(record: ChunkRecord): number {
  return Math.ceil(shardLength(record) / LEAF_BYTES);
}

function shardLength(record: ChunkRecord): number {
  return chunkLayout(record.length, record.profile, record.cell).shardLength;
}

/** Reads leaves [first, first+count) of a shard and verifies them, and reports how the provider did. */
export async function readVerified(
  record: ChunkRecord,
  index: number,
  first: number,
  count: number,
  deps: ExamineDeps,
  options: { readonly prove?: boolean; readonly signal: AbortSignal | undefined },
): Promise<VerifiedRead> {
  const place = record.shards[index];
  if (!place) return { health: 'undefined' };
  const handle = deps.providers.get(place.provider);
  if (!handle) return { health: 'missing' };
  const { signal } = options;
  const length = shardLength(record);
  const wanted = Math.min(length, (first + count) * LEAF_BYTES) - first * LEAF_BYTES;
  const name = { chunk: record.id, index };
  const report = (failure: CallOutcome['failure']) => {
    const latencyMs = deps.clock.now() - startedAt;
    deps.providers.report(place.provider, { kind: 'read', latencyMs, ...(failure && { failure }) });
  };
  let startedAt = deps.clock.now();
  let slice: ShardSlice;
  try {
    await deps.throttle?.take(wanted, signal);
    startedAt = deps.clock.now();
    slice = options.prove
      ? await handle.transport.prove(name, first, signal)
      : await handle.transport.get(name, first, count, signal);
  } catch (error) {
    throwIfAborted(signal);
    if (!(error instanceof TransportError)) throw error;
    // Repair looks for shards that are lost: that they are is known already, and no news of how the provider is.
    if (error.kind !== 'NotFound') report(error.kind);
    return { health: healthAfter(error) };
  }
  const whole = slice.first === first && slice.bytes.length === wanted;
  if (whole && deps.hasher.verify(place.root, length, first, slice.bytes, slice.proof)) {
    report(undefined);
    return { bytes: slice.bytes, health: 'healthy' };
  }
  report('WrongBytes');
  return { health: 'corrupt' };
}

function healthAfter({ kind }: TransportError): 'missing' | 'corrupt' | 'unreachable' {
  if (kind === 'NotFound') return 'missing';
  return kind === 'Corrupt' ? 'corrupt' : 'unreachable';
}

/** @throws PlacementError 'Aborted' */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PlacementError('Aborted', 'stopped on request', { cause: signal.reason });
}
