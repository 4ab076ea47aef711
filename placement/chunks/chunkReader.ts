import { chunkLayout, type ErasureCodec, type Hasher, type Profile } from '#erasure';
import type { DamageReports } from './damageReports.ts';
import type { ReadLimits } from './readLimits.ts';
import { stripeParts } from './stripeRanges.ts';
import { StripeRead, type StripeReadContext } from './stripeRead.ts';
import { PlacementError, type ChunkRecord, type Clock, type Providers, type Verification } from '../types.ts';

export interface ChunkReaderContext {
  readonly providers: Providers;
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly codecOf: (profile: Profile) => ErasureCodec;
  readonly damage: DamageReports;
  readonly limits: ReadLimits;
  readonly verifies: Verification;
}

/**
 * Streams a range of a chunk, one stripe ahead of its consumer.
 * @throws RangeError for a range outside the chunk
 * @throws PlacementError 'ChunkUnreadable' | 'Aborted'
 */
export async function* readChunk(
  context: ChunkReaderContext,
  chunk: ChunkRecord,
  offset: number,
  length: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, undefined> {
  checkRange(chunk, offset, length);
  const layout = chunkLayout(chunk.length, chunk.profile, chunk.cell);
  const parts = stripeParts(layout, chunk.profile, offset, length);
  const stripe = stripeContext(context, chunk, layout.shardLength);
  const begin = (): StripeRead | undefined => {
    const { value } = parts.next();
    return value && new StripeRead(chunk, value, stripe);
  };
  let current: StripeRead | undefined;
  let ahead: StripeRead | undefined;
  const onAbort = (): void => {
    current?.cancel();
    ahead?.cancel();
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for (current = begin(); current; current = ahead) {
      throwIfAborted(signal);
      ahead = begin();
      for (const piece of await current.result) {
        throwIfAborted(signal);
        yield piece;
      }
      current.release();
    }
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    if (!signal?.aborted) current?.examine();
    onAbort();
  }
}

function stripeContext(
  context: ChunkReaderContext,
  chunk: ChunkRecord,
  shardLength: number,
): StripeReadContext {
  const { providers, clock, hasher, codecOf, damage, limits, verifies } = context;
  const suspects = new Set<number>();
  return {
    providers,
    clock,
    hasher,
    verifies,
    codec: codecOf(chunk.profile),
    shardLength,
    readMs: limits.readMs,
    suspects,
    onDamage(index, reason) {
      suspects.add(index);
      damage.report(chunk.id, `shard ${index}: ${reason}`);
    },
  };
}

function checkRange(chunk: ChunkRecord, offset: number, length: number): void {
  const isInside = offset >= 0 && length >= 0 && offset + length <= chunk.length;
  if (!isInside || !Number.isSafeInteger(offset) || !Number.isSafeInteger(length)) {
    throw new RangeError(`a chunk of ${chunk.length} bytes has no range of ${length} bytes at ${offset}`);
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new PlacementError('Aborted', 'the read was aborted', { cause: signal.reason });
}
