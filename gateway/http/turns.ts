import type { Duplex } from 'node:stream';

/**
 * One request at a time on each connection. HTTP lets a client send the next request before it has the answer to the last; answered side
 * by side, the later answers would all lie in memory until the client has read the first.
 */
export class Turns {
  readonly #waitingMax: number;
  readonly #waiting = new WeakMap<Duplex, (() => void)[]>();

  /** @param waitingMax requests that may wait on one connection */
  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** Runs `start` once those before it on the connection have left; false when too many wait. */
  take(socket: Duplex, start: () => void): boolean {
    const waiting = this.#waiting.get(socket);
    if (waiting === undefined) {
      this.#waiting.set(socket, []);
      start();
      return true;
    }
    if (waiting.length >= this.#waitingMax) return false;
    waiting.push(start);
    return true;
  }

  isUnderWay(socket: Duplex): boolean {
    return this.#waiting.has(socket);
  }

  /** None waits behind the request under way. */
  isLast(socket: Duplex): boolean {
    return !this.#waiting.get(socket)?.length;
  }

  /** The request under way is over. @param more false: the connection takes no further one, and those that wait are dropped */
  leave(socket: Duplex, more: boolean): void {
    const next = more && !socket.destroyed ? this.#waiting.get(socket)?.shift() : undefined;
    if (next === undefined) this.#waiting.delete(socket);
    else next();
  }
}
