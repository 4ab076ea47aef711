import type { Duplex } from 'node:stream';

/** What a connection has shown so far: a valid signature, nothing, or a request without one. */
export type Standing = 'proven' | 'fresh' | 'failed';

/** Failed requests of one address after which its new connections are trusted no more than failed ones; forgotten after a while. */
const ADDRESS_FAILURES = 50;
const FORGET_MS = 10_000;
const ADDRESSES_MAX = 10_000;

/**
 * Tells strangers from clients without looking at a signature. A connection is what it was last: behind a load balancer, which mixes
 * clients on its connections, that is a fair guess and no more; it decides nothing but who goes first under overload.
 */
export class Standings {
  readonly #ofSocket = new WeakMap<Duplex, Standing>();
  #failures = new Map<string, number>();
  #since = 0;

  of(socket: Duplex, address: string | undefined, now: number): Standing {
    const known = this.#ofSocket.get(socket);
    if (known !== undefined) return known;
    this.#forget(now);
    return (this.#failures.get(address ?? '') ?? 0) >= ADDRESS_FAILURES ? 'failed' : 'fresh';
  }

  passed(socket: Duplex): void {
    this.#ofSocket.set(socket, 'proven');
  }

  failed(socket: Duplex, address: string | undefined, now: number): void {
    this.#forget(now);
    this.#ofSocket.set(socket, 'failed');
    const count = this.#failures.get(address ?? '');
    if (count === undefined && this.#failures.size >= ADDRESSES_MAX) return;
    this.#failures.set(address ?? '', (count ?? 0) + 1);
  }

  #forget(now: number): void {
    if (now - this.#since < FORGET_MS) return;
    this.#since = now;
    this.#failures = new Map();
  }
}
