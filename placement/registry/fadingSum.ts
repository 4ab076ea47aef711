/** A sum whose parts count for half after every half-life. Pure: time is an argument, in milliseconds. */
export class FadingSum {
  readonly #halfLifeMs: number;
  #sum = 0;
  #at = 0;

  constructor(halfLifeMs: number) {
    this.#halfLifeMs = halfLifeMs;
  }

  add(amount: number, now: number): void {
    this.#sum = this.value(now) + amount;
    this.#at = now;
  }

  value(now: number): number {
    if (this.#sum === 0 || now <= this.#at) return this.#sum;
    return this.#sum * 2 ** ((this.#at - now) / this.#halfLifeMs);
  }
}
