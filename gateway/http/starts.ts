/** Ms of one turn of the event loop in which requests are begun. */
const TURN_MS = 10;

interface Time {
  /** Ms; any origin. */
  now(): number;
  /** Calls back in the next turn of the event loop. */
  later(call: () => void): void;
}

const REAL: Time = { now: () => performance.now(), later: (call) => void setImmediate(call) };

/**
 * Begins requests at once, but not all of a crowd in one turn of the event loop: hundreds of sockets become readable together, and whoever is last among them would
 * wait for the work of all before, though his answer be a refusal. Those that come after the turn's time is spent begin in the next, in order.
 */
export class Starts {
  readonly #time: Time;
  readonly #waiting: (() => void)[] = [];
  #turnBegan: number | undefined;

  constructor(time: Time = REAL) {
    this.#time = time;
  }

  run(start: () => void): void {
    const now = this.#time.now();
    if (this.#turnBegan === undefined) {
      this.#turnBegan = now;
      this.#time.later(() => this.#nextTurn());
    }
    if (this.#waiting.length === 0 && now - this.#turnBegan < TURN_MS) start();
    else this.#waiting.push(start);
  }

  #nextTurn(): void {
    const began = this.#time.now();
    while (this.#waiting.length > 0 && this.#time.now() - began < TURN_MS) this.#waiting.shift()!();
    const isOver = this.#waiting.length === 0;
    this.#turnBegan = isOver ? undefined : began;
    if (!isOver) this.#time.later(() => this.#nextTurn());
  }
}
