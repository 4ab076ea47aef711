/** At most so many at once; the others wait in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/** Share of the requests for providers that did not answer last: those that let their callers wait must not hold up the rest. */
const SUSPECTS_SHARE = 0.25;

/** Requests under way, of all providers together. */
export interface RequestSlots {
  readonly answering: Slots;
  readonly suspects: Slots;
}

/** @param count at least 2 */
export function requestSlots(count: number): RequestSlots {
  const suspects = Math.max(1, Math.floor(count * SUSPECTS_SHARE));
  return { answering: new Slots(Math.max(1, count - suspects)), suspects: new Slots(suspects) };
}
