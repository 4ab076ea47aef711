interface Held {
  readonly until: number;
  readonly answer: () => void;
}

/** Answers that go out later. */
export class HeldAnswers {
  #held: Held[] = [];

  get size(): number {
    return this.#held.length;
  }

  hold(until: number, answer: () => void): void {
    this.#held.push({ until, answer });
  }

  /** Gives those that are due. To be called every few ms. */
  give(now: number): void {
    const due = this.#held.filter(({ until }) => until <= now);
    if (due.length === 0) return;
    this.#held = this.#held.filter(({ until }) => until > now);
    for (const { answer } of due) answer();
  }
}
