/**
 * Writes past the page cache. A shard is written once and seldom read soon: to copy it into fresh pages of the cache costs more than coding
 * it, and drives out what is read.
 */
import fs from 'node:fs';
import { ALIGNMENT, isAligned } from '../alignedMemory.ts';
import { closeQuietly, errorCode, open, write } from './fileCalls.ts';

/** Shorter ones gain nothing. */
const DIRECT_BYTES_MIN = 64 * 1024;

/** Whether a file system takes direct writes, as far as is known. Only Linux has them in this form. */
export class DirectSupport {
  isThere = (fs.constants.O_DIRECT as number | undefined) !== undefined;
}

/** The second descriptor of a file that is being written, made when it is first of use. */
export class DirectWrites {
  readonly #path: string;
  readonly #support: DirectSupport;
  #fd: number | undefined;

  constructor(path: string, support: DirectSupport) {
    this.#path = path;
    this.#support = support;
  }

  /** Writes as much from the beginning of `bytes` as can be written directly, and tells how much that was. @throws a system error */
  async write(bytes: Uint8Array, position: number): Promise<number> {
    if (!this.#support.isThere || position % ALIGNMENT !== 0) return 0;
    if (bytes.length < DIRECT_BYTES_MIN || !isAligned(bytes)) return 0;
    try {
      this.#fd ??= await open(this.#path, fs.constants.O_WRONLY | fs.constants.O_DIRECT);
      const length = bytes.length - (bytes.length % ALIGNMENT);
      const { bytesWritten } = await write(this.#fd, bytes, 0, length, position);
      return bytesWritten - (bytesWritten % ALIGNMENT);
    } catch (error) {
      // How a file system says that it has no such writes, or wants them aligned more coarsely.
      if (errorCode(error) !== 'EINVAL') throw error;
      this.#support.isThere = false;
      return 0;
    }
  }

  async close(): Promise<void> {
    if (this.#fd !== undefined) await closeQuietly(this.#fd);
  }
}
