/** Serialises work per name within this process, in order of arrival. */
export class Locks {
  readonly #tails = new Map<string, Promise<void>>();

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name);
    const gate = Promise.withResolvers<void>();
    this.#tails.set(name, gate.promise);
    try {
      if (before) await before;
      return await work();
    } finally {
      if (this.#tails.get(name) === gate.promise) this.#tails.delete(name);
      gate.resolve();
    }
  }
}
