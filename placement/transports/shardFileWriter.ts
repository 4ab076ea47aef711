import type { DirectWrites } from './directWrites.ts';
import { writeAt } from './fileCalls.ts';
import { encodeTrailer, leavesBytes, SHARD_BYTES_MAX } from './shardFile.ts';
import { TransportError, type ShardSeal, type ShardSource } from '../types.ts';

/**
 * Writes a shard, its leaf hashes and its trailer from the beginning of the file: one call for a shard that lies in
 * memory, one for each cell and one more otherwise. What `direct` can write goes past the page cache.
 * @throws TransportError 'Source' | 'Aborted', or a system error
 */
export async function writeShardFile(
  fd: number,
  source: ShardSource,
  signal: AbortSignal | undefined,
  direct?: DirectWrites,
): Promise<ShardSeal> {
  if (source.whole) {
    const { bytes, seal } = source.whole;
    checkSeal(seal, bytes.length);
    const written = (await direct?.write(bytes, 0)) ?? 0;
    await writeAt(fd, [bytes.subarray(written), seal.leaves, encodeTrailer(seal)], written);
    return seal;
  }
  let length = 0;
  for await (const cell of abortable(source.cells, signal)) {
    const written = (await direct?.write(cell, length)) ?? 0;
    if (written < cell.length) await writeAt(fd, [cell.subarray(written)], length + written);
    length += cell.length;
  }
  const seal = source.seal();
  checkSeal(seal, length);
  await writeAt(fd, [seal.leaves, encodeTrailer(seal)], length);
  return seal;
}

/** @throws TransportError 'Source' when the seal is not of what the source gave */
export function checkSeal(seal: ShardSeal, length: number): void {
  if (length > SHARD_BYTES_MAX) {
    throw new TransportError('Source', `a shard has ${SHARD_BYTES_MAX} bytes at most, not ${length}`);
  }
  if (length === 0 || seal.length !== length || seal.leaves.length !== leavesBytes(length)) {
    throw new TransportError('Source', `the seal is of ${seal.length} bytes, the source gave ${length}`);
  }
}

/** The source's cells; ends at once when the signal aborts, even while the source gives nothing. */
export async function* abortable(
  cells: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, undefined> {
  const iterator = cells[Symbol.asyncIterator]();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void =>
    aborted.reject(new TransportError('Aborted', 'aborted', { cause: signal?.reason }));
  aborted.promise.catch(() => undefined);
  signal?.addEventListener('abort', onAbort, { once: true });
  let ended = false;
  try {
    if (signal?.aborted) onAbort();
    for (;;) {
      const { done, value } = await Promise.race([next(iterator), aborted.promise]);
      if (done) break;
      yield value;
    }
    ended = true;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    // Not awaited: a source that hangs would not answer this either.
    if (!ended) void iterator.return?.().catch(() => undefined);
  }
}

async function next(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
  try {
    return await iterator.next();
  } catch (error) {
    throw new TransportError('Source', 'the source of the shard failed', { cause: error });
  }
}
