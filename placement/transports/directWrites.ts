/**
 * Writes past the page cache. A shard is written once and seldom read soon: to copy it into fresh pages of the cache costs more than coding
 * it, and drives out what is read.
 */
import fs from 'node:fs';
import { ALIGNMENT, alignedMemory, isAligned } from '../alignedMemory.ts';
import { closeQuietly, errorCode, open, write } from './fileCalls.ts';

/** Shorter ones gain nothing. */
const DIRECT_BYTES_MIN = 64 * 1024;
/** What does not lie as it must is copied, so much at a time. */
const COPY_BYTES = 256 * 1024;
const SPARE_MAX = 8;

/** How file systems say that they have no such writes, and systems that they have no more descriptors. */
const NOT_HERE = ['EINVAL', 'EOPNOTSUPP'];
const NOT_NOW = ['EMFILE', 'ENFILE'];

const spare: Uint8Array[] = [];

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
    if (!this.#support.isThere || position % ALIGNMENT !== 0 || bytes.length < DIRECT_BYTES_MIN) return 0;
    const length = bytes.length - (bytes.length % ALIGNMENT);
    if (isAligned(bytes)) return await this.#write(bytes, length, position);
    const copy = spare.pop() ?? alignedMemory(COPY_BYTES);
    let done = 0;
    for (let written = -1; done < length && written !== 0; done += written) {
      const piece = bytes.subarray(done, Math.min(length, done + COPY_BYTES));
      copy.set(piece);
      written = isAligned(copy) ? await this.#write(copy, piece.length, position + done) : 0;
    }
    // After an error it may still be read from.
    if (spare.length < SPARE_MAX) spare.push(copy);
    return done;
  }

  async close(): Promise<void> {
    if (this.#fd !== undefined) await closeQuietly(this.#fd);
  }

  async #write(bytes: Uint8Array, length: number, position: number): Promise<number> {
    if (!(await this.#opened())) return 0;
    try {
      const { bytesWritten } = await write(this.#fd!, bytes, 0, length, position);
      return bytesWritten - (bytesWritten % ALIGNMENT);
    } catch (error) {
      // It wants them aligned more coarsely.
      if (errorCode(error) !== 'EINVAL') throw error;
      this.#support.isThere = false;
      return 0;
    }
  }

  /** False where there can be none: the cache will do. */
  async #opened(): Promise<boolean> {
    if (!this.#support.isThere) return false;
    try {
      this.#fd ??= await open(this.#path, fs.constants.O_WRONLY | fs.constants.O_DIRECT);
      return true;
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (NOT_HERE.includes(code)) this.#support.isThere = false;
      else if (!NOT_NOW.includes(code)) throw error;
      return false;
    }
  }
}
