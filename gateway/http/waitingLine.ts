/** Ms. Longest wait while the line is empty now and then: a burst, which passes. */
export const BURST_WAIT_MS = 40;
/** Ms. Longest wait once the line has stood for a while: to wait longer would only make every answer late. */
const STANDING_WAIT_MS = 5;
/** Ms. A line that was never empty for so long stands. */
const STANDING_MS = 100;

interface Waiting<T> {
  readonly item: T;
  readonly since: number;
}

/**
 * A short line before a limit. In a burst, first come, first served; once it stands, last come, first served, since those in front have
 * been waiting too long already and would be given up anyhow (controlled delay and adaptive LIFO, as in "Fail at Scale", ACM Queue 13-8).
 */
export class WaitingLine<T> {
  #waiting: Waiting<T>[] = [];
  /** Since when it has not been empty. */
  #since: number | undefined;

  get length(): number {
    return this.#waiting.length;
  }

  stands(now: number): boolean {
    return this.#since !== undefined && now - this.#since > STANDING_MS;
  }

  push(item: T, now: number): void {
    this.#since ??= now;
    this.#waiting.push({ item, since: now });
  }

  /** The next to be served. */
  take(now: number): T | undefined {
    const next = this.stands(now) ? this.#waiting.pop() : this.#waiting.shift();
    if (this.#waiting.length === 0) this.#since = undefined;
    return next?.item;
  }

  /** Takes out those that have waited too long, and the oldest of more than `lengthMax`. */
  expire(now: number, lengthMax: number): T[] {
    const since = now - (this.stands(now) ? STANDING_WAIT_MS : BURST_WAIT_MS);
    const kept = this.#waiting.findIndex((one) => one.since > since);
    const late = kept < 0 ? this.#waiting.length : kept;
    const out = this.#waiting.splice(0, Math.max(late, this.#waiting.length - lengthMax));
    // Emptied by giving up is not emptied by serving: the line still stands.
    return out.map(({ item }) => item);
  }

  /** Somebody was let in without waiting: there is room, and no line. */
  clear(): void {
    if (this.#waiting.length === 0) this.#since = undefined;
  }
}
