import type { ShardSeal, ShardSource, WholeShard } from '../types.ts';
import type { Cell } from './stripeMemory.ts';

/** A shard as the writer produces it and a transport takes it, cell by cell. */
export class ShardFeed implements ShardSource {
  readonly cells: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => this.#iterator };
  readonly whole?: WholeShard;
  readonly #onTaken: () => void;
  readonly #queue: Cell[] = [];
  #held: Cell | undefined;
  #waiting:
    | { resolve: (result: IteratorResult<Uint8Array>) => void; reject: (error: Error) => void }
    | undefined;
  #seal: ShardSeal | undefined;
  #error: Error | undefined;

  /**
   * @param seal given when `cells` are the whole shard
   * @param onTaken called whenever the transport is done with a cell
   */
  constructor(cells: readonly Cell[], seal: ShardSeal | undefined, onTaken: () => void) {
    this.#queue.push(...cells);
    this.#seal = seal;
    this.#onTaken = onTaken;
    if (seal && cells.length === 1) this.whole = { bytes: cells[0]!.bytes, seal };
  }

  /** Cells that the transport has not finished with. */
  get pending(): number {
    return this.#queue.length + (this.#held ? 1 : 0);
  }

  push(cell: Cell): void {
    this.#queue.push(cell);
    this.#advance();
  }

  close(seal: ShardSeal): void {
    this.#seal = seal;
    this.#advance();
  }

  /** The put has succeeded: gives back what the transport took without asking for more. */
  end(): void {
    this.#held?.release();
    this.#held = undefined;
    for (const cell of this.#queue.splice(0)) cell.release();
  }

  /** Ends a transport's wait for the next cell, and lets go of all cells. */
  fail(error: Error): void {
    this.#error = error;
    this.#queue.length = 0;
    this.#held = undefined;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  seal(): ShardSeal {
    if (!this.#seal) throw new Error('the shard is not complete yet');
    return this.#seal;
  }

  readonly #iterator: AsyncIterator<Uint8Array> = {
    next: () => {
      this.#held?.release();
      this.#held = undefined;
      this.#onTaken();
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>();
      this.#waiting = { resolve, reject };
      this.#advance();
      return promise;
    },
  };

  /** Answers a waiting transport, if there is something to answer. */
  #advance(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    if (this.#error) {
      waiting.reject(this.#error);
    } else if (this.#queue.length > 0) {
      this.#held = this.#queue.shift()!;
      waiting.resolve({ done: false, value: this.#held.bytes });
    } else if (this.#seal) {
      waiting.resolve({ done: true, value: undefined });
    } else {
      return;
    }
    this.#waiting = undefined;
  }
}
