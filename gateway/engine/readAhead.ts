/** Reads items one after another, and starts each when the one before it is begun: one first piece ahead, no more. */
export class ReadAhead<T> {
  readonly #items: readonly T[];
  readonly #read: (item: T) => AsyncIterable<Uint8Array>;
  readonly #started = new Map<
    number,
    { source: AsyncIterator<Uint8Array>; first: Promise<IteratorResult<Uint8Array>> }
  >();

  constructor(items: readonly T[], read: (item: T) => AsyncIterable<Uint8Array>) {
    this.#items = items;
    this.#read = read;
  }

  /** The bytes of items [from, to). */
  async *run(from: number, to: number): AsyncIterable<Uint8Array> {
    for (let index = from; index < to; index++) {
      const { source, first } = this.#start(index);
      if (index + 1 < this.#items.length) this.#start(index + 1);
      let piece = await first;
      while (!piece.done) {
        yield piece.value;
        piece = await source.next();
      }
      this.#started.delete(index);
    }
  }

  /** Stops whatever was begun. */
  async close(): Promise<void> {
    const begun = [...this.#started.values()];
    this.#started.clear();
    await Promise.allSettled(begun.map(async ({ source }) => source.return?.()));
  }

  #start(index: number): { source: AsyncIterator<Uint8Array>; first: Promise<IteratorResult<Uint8Array>> } {
    let begun = this.#started.get(index);
    if (!begun) {
      const source = this.#read(this.#items[index]!)[Symbol.asyncIterator]();
      const first = source.next();
      // Its error is met when its turn comes.
      first.catch(() => undefined);
      begun = { source, first };
      this.#started.set(index, begun);
    }
    return begun;
  }
}
