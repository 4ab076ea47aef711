/** Runs one piece of work after another, in the order of the calls. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  async run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#after(this.#last, work);
    this.#last = mine.catch(() => undefined);
    return await mine;
  }

  /** Resolves when all that was called for has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }

  async #after<T>(before: Promise<unknown>, work: () => Promise<T>): Promise<T> {
    await before;
    return await work();
  }
}
