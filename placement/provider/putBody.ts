import { createHasher, HASH_BYTES, type TreeBuilder } from '#erasure';
import { NetworkError } from '../network/errors.ts';
import { TransportError, type ShardSeal, type ShardSource } from '../types.ts';

/** Bytes handed on at once: a write to the disk costs a turn of the thread pool, whatever its length. */
const CELL_BYTES = 256 * 1024;
const hasher = createHasher();

/** Memory of bodies that have ended: to make it anew costs more than to fill it. */
const spare: Buffer[] = [];
const SPARE_MAX = 32;

/**
 * The body of a put: a shard of at most `lengthMax` bytes, then its root as its writer computed it. The shard can only be sealed when
 * both agree. Holds one cell.
 */
export class PutBody {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #lengthMax: number;
  readonly #tree: TreeBuilder = hasher.tree();
  /** A cell, and behind it what may turn out to be the root. */
  #memory: Buffer;
  #filled = 0;
  /** Of the last chunk, what has not been copied yet. */
  #rest: Buffer = Buffer.alloc(0);
  #received = 0;
  #ended = false;
  #sealed: ShardSeal | undefined;

  constructor(chunks: AsyncIterable<Buffer>, lengthMax: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#lengthMax = lengthMax;
    const cell = Math.min(CELL_BYTES, lengthMax);
    this.#memory =
      (cell === CELL_BYTES ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(cell + HASH_BYTES);
  }

  /**
   * The shard as it comes in, or in one piece where it is short. `seal()` throws TransportError 'Corrupt' unless the root is that of the bytes.
   * @throws NetworkError 'Refused' for a body that is too long, TransportError 'Corrupt' | 'Source'
   */
  async source(): Promise<ShardSource> {
    await this.#fill();
    if (!this.#ended) return { cells: this.#cells(), seal: () => this.#seal() };
    const bytes = this.#take();
    const seal = this.#seal();
    return { cells: oneCell(bytes), seal: () => seal, whole: { bytes, seal } };
  }

  /** What the bytes turned out to be. Receives the rest of a body that nobody wanted to the end. */
  async seal(): Promise<ShardSeal> {
    if (!this.#sealed) for await (const cell of this.#cells()) void cell;
    return this.#seal();
  }

  /** To be called once nobody uses the cells any more. */
  release(): void {
    if (this.#memory.length === CELL_BYTES + HASH_BYTES && spare.length < SPARE_MAX) spare.push(this.#memory);
    this.#memory = Buffer.alloc(0);
    this.#ended = true;
  }

  async *#cells(): AsyncGenerator<Buffer, undefined> {
    for (;;) {
      const cell = this.#take();
      if (cell.length > 0) yield cell;
      if (this.#ended) return;
      this.#memory.copyWithin(0, cell.length, this.#filled);
      this.#filled -= cell.length;
      await this.#fill();
    }
  }

  /** All but the last 32 bytes of what is there. */
  #take(): Buffer {
    const length = this.#filled - HASH_BYTES;
    if (length < 0) throw new TransportError('Corrupt', 'the body is too short to end with a root');
    const cell = this.#memory.subarray(0, length);
    this.#tree.update(cell);
    return cell;
  }

  /** Receives until the memory is full and it is known whether more is to come. */
  async #fill(): Promise<void> {
    while (!this.#ended && (this.#filled < this.#memory.length || this.#rest.length === 0)) {
      if (this.#rest.length === 0) await this.#receive();
      const taken = this.#rest.copy(this.#memory, this.#filled);
      this.#filled += taken;
      this.#rest = this.#rest.subarray(taken);
    }
  }

  async #receive(): Promise<void> {
    const { done, value } = await this.#chunks.next();
    if (done === true) {
      this.#ended = true;
      return;
    }
    this.#received += value.length;
    if (this.#received > this.#lengthMax + HASH_BYTES) {
      throw new NetworkError('Refused', `the grant is for ${this.#lengthMax} bytes, and the body has more`);
    }
    this.#rest = value;
  }

  #seal(): ShardSeal {
    if (this.#sealed) return this.#sealed;
    const { root, length, leaves } = this.#tree.finish();
    const told = this.#memory.subarray(this.#filled - HASH_BYTES, this.#filled);
    if (Buffer.compare(root, told) !== 0) {
      throw new TransportError('Corrupt', 'the root is not that of the bytes');
    }
    this.#sealed = { root, length, leaves };
    return this.#sealed;
  }
}

async function* oneCell(bytes: Uint8Array): AsyncGenerator<Uint8Array, undefined> {
  yield bytes;
}
