import fs from 'node:fs';
import { promisify } from 'node:util';
import { TransportError, type TransportErrorKind } from '../types.ts';

// Descriptors instead of FileHandles: a put makes seven calls, and each is a little cheaper this way.
export const open = promisify(fs.open);
export const close = promisify(fs.close);
export const fdatasync = promisify(fs.fdatasync);
export const fsync = promisify(fs.fsync);
const fstat = promisify(fs.fstat);
export const link = promisify(fs.link);
export const rename = promisify(fs.rename);
export const unlink = promisify(fs.unlink);
const readOnce = promisify(fs.read);
export const write = promisify(fs.write);
const writevOnce = promisify(fs.writev);

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_DIRECTORY } = fs.constants;

/**
 * Opens a file that a provider should have, and tells its size. Anything else under its name is refused: to open a FIFO would
 * block a thread of the pool for ever, and a link leads out of the provider's directory.
 * @throws TransportError 'Corrupt', or a system error
 */
export async function openStored(path: string): Promise<StoredFile> {
  return await storedFile(await openFile(path), path);
}

export interface StoredFile {
  readonly fd: number;
  readonly size: number;
}

/** The first half of openStored: it may still be no file. @throws TransportError 'Corrupt', or a system error */
export async function openFile(path: string): Promise<number> {
  try {
    return await open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch (error) {
    const foreign = errorCode(error) === 'ELOOP' || errorCode(error) === 'ENXIO';
    throw foreign ? notAFile(path, error) : error;
  }
}

function notAFile(path: string, cause?: unknown): TransportError {
  return new TransportError('Corrupt', `${path} is not a file`, { cause });
}

/** The second half of openStored: closes what is no file. */
export async function storedFile(fd: number, path: string): Promise<StoredFile> {
  try {
    const stats = await fstat(fd);
    if (!stats.isFile()) throw notAFile(path);
    return { fd, size: stats.size };
  } catch (error) {
    await closeQuietly(fd);
    throw error;
  }
}

/** @throws a system error, ENOTDIR for anything but a directory, which a FIFO would block on */
export function openDirectory(path: string): Promise<number> {
  return open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
}

export function closeQuietly(fd: number): Promise<void> {
  return close(fd).catch(() => undefined);
}

export function unlinkQuietly(path: string): Promise<void> {
  return unlink(path).catch(() => undefined);
}

/** Reads `length` bytes at `position`, or fewer when the file ends before. */
export async function readAt(fd: number, position: number, length: number): Promise<Buffer> {
  const buffer = length <= 4096 ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await readOnce(fd, buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) return buffer.subarray(0, filled);
    filled += bytesRead;
  }
  return buffer;
}

/** The whole file, in `buffer`; undefined where it does not fit. What is no file has nothing, or is 'Corrupt'. */
export async function readInto(fd: number, buffer: Buffer): Promise<Buffer | undefined> {
  try {
    const { bytesRead } = await readOnce(fd, buffer, 0, buffer.length, 0);
    return bytesRead < buffer.length ? buffer.subarray(0, bytesRead) : undefined;
  } catch (error) {
    const isForeign = ['EISDIR', 'ESPIPE', 'EAGAIN', 'EINVAL'].includes(errorCode(error) ?? '');
    throw isForeign ? new TransportError('Corrupt', 'not a file', { cause: error }) : error;
  }
}

/** Writes all of `parts` in a row at `position`. */
export async function writeAt(fd: number, parts: readonly Uint8Array[], position: number): Promise<void> {
  let rest = parts.filter((part) => part.length > 0);
  while (rest.length > 0) {
    let { bytesWritten } = await writevOnce(fd, rest, position);
    position += bytesWritten;
    while (rest.length > 0 && bytesWritten >= rest[0]!.length) {
      bytesWritten -= rest[0]!.length;
      rest = rest.slice(1);
    }
    if (bytesWritten > 0) rest = [rest[0]!.subarray(bytesWritten), ...rest.slice(1)];
  }
}

export function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

const KINDS: Readonly<Record<string, TransportErrorKind>> = {
  ENOSPC: 'NoSpace',
  EDQUOT: 'NoSpace',
  EFBIG: 'NoSpace',
};

/** Passes a TransportError through and makes one of a system error, which is 'Unavailable' unless it says more. */
export function transportError(error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TransportError(KINDS[errorCode(error) ?? ''] ?? 'Unavailable', message, { cause: error });
}
