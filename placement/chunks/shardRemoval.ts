import { Wakeup } from '../time.ts';
import type { ChunkId, Clock, ProviderHandle } from '../types.ts';
import { storedName } from '../shardName.ts';

/** More shards than any profile has: a list that goes on naming new ones is not followed. */
const SHARDS_MAX = 256;
/** A single answer that gets lost leaves nothing behind; a provider that is away is asked this often. */
const TRIES = 3;
/** Made once: an AbortController's own reason costs a stack trace. */
const ENOUGH = new Error('waited long enough');

/** Removes what a provider has of a chunk. */
export type Removal = (signal?: AbortSignal) => Promise<void>;

/** Removes one shard. */
export function removalOf({ transport }: ProviderHandle, chunk: ChunkId, index: number): Removal {
  return (signal) => transport.delete({ chunk, index }, signal);
}

/** Removes all shards of a chunk that a provider has: a failed write or repair may have left one that no record names. */
export function removalOfAll({ transport }: ProviderHandle, chunk: ChunkId): Removal {
  return async (signal) => {
    // All names of the chunk begin with its identifier, so they are the next after it. Mostly there is none.
    let after: string = chunk;
    for (let found = 0; found < SHARDS_MAX; found++) {
      const [next] = await transport.list(after, 1, signal);
      if (next?.chunk !== chunk) return;
      await transport.delete(next, signal);
      after = storedName(next);
    }
  };
}

/**
 * Rejects with the first failure of `required`, but not before all of them have ended. `others` have a few tries and `othersMs` at most; what
 * they leave is the sweep of orphans'.
 */
export async function removeAll(
  required: readonly Removal[],
  others: readonly Removal[],
  clock: Clock,
  othersMs: number,
): Promise<void> {
  const left = tryAll(others, clock, othersMs);
  const outcomes = await Promise.allSettled(required.map((remove) => remove()));
  await left;
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Never rejects. */
async function tryAll(others: readonly Removal[], clock: Clock, ms: number): Promise<void> {
  if (others.length === 0) return;
  const stop = new AbortController();
  const ended = new Wakeup();
  const waited = ended.wait(clock, ms);
  void Promise.all(others.map((remove) => tryOne(remove, stop.signal))).then(() => ended.notify());
  await waited;
  stop.abort(ENOUGH);
}

/** Never rejects. */
async function tryOne(remove: Removal, signal: AbortSignal): Promise<void> {
  for (let tries = 0; tries < TRIES && !signal.aborted; tries++) {
    try {
      await remove(signal);
      return;
    } catch {
      // Tried again, or left.
    }
  }
}
