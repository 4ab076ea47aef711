import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeQuietly, open, readAt, transportError, unlinkQuietly } from './fileCalls.ts';
import { encodeTrailer, leavesBytes, TRAILER_BYTES } from './shardFile.ts';
import { checkSeal, writeShardFile } from './shardFileWriter.ts';
import { TransportError, type ShardSeal, type ShardSource } from '../types.ts';

/** A longer shard goes through a file even when it lies in memory: it would be there twice. */
const MEMORY_BYTES_MAX = 1024 * 1024;

/** A shard in the form that it is stored in (shardFile.ts), before it goes to its bucket. */
export interface ShardImage {
  readonly seal: ShardSeal;
  /** Bytes of the whole. */
  readonly size: number;
  read(start: number, end: number): Promise<Buffer>;
  close(): Promise<void>;
}

/**
 * Takes the shard from its source. An object's length must be known before its first byte is sent, and a source may be as slow as a client's
 * upload: so cells go to a file, not to memory. The file has no name, and goes with the process.
 * @throws TransportError 'Source' | 'Aborted' | 'NoSpace' | 'Unavailable'
 */
export async function takeImage(
  source: ShardSource,
  signal: AbortSignal | undefined,
  folder = tmpdir(),
): Promise<ShardImage> {
  const { whole } = source;
  if (whole && whole.bytes.length <= MEMORY_BYTES_MAX) return inMemory(whole.bytes, whole.seal);
  const path = join(folder, `shardway-${process.pid}-${randomBytes(8).toString('hex')}`);
  let fd: number | undefined;
  try {
    fd = await open(path, 'wx+', 0o600);
    await unlinkQuietly(path);
    return inFile(fd, await writeShardFile(fd, source, signal));
  } catch (error) {
    if (fd !== undefined) await closeQuietly(fd);
    throw transportError(error);
  }
}

function inMemory(bytes: Uint8Array, seal: ShardSeal): ShardImage {
  checkSeal(seal, bytes.length);
  const image = Buffer.concat([bytes, seal.leaves, encodeTrailer(seal)]);
  return {
    seal,
    size: image.length,
    read: (start, end) => Promise.resolve(image.subarray(start, end)),
    close: () => Promise.resolve(),
  };
}

function inFile(fd: number, seal: ShardSeal): ShardImage {
  return {
    seal,
    size: seal.length + leavesBytes(seal.length) + TRAILER_BYTES,
    async read(start, end) {
      const bytes = await readAt(fd, start, end - start);
      if (bytes.length < end - start)
        throw new TransportError('Source', 'the spooled shard has become shorter');
      return bytes;
    },
    close: () => closeQuietly(fd),
  };
}
