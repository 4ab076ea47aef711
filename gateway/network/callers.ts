import { isIPv6 } from 'node:net';
import type { NetworkLimits } from './types.ts';

const WINDOW_MS = 60_000;
/** Addresses counted apart; all others together. */
const ADDRESSES_MAX = 4096;
const OTHERS = 'others';

/** What callers cost, by address: failed statements in this minute, and bytes of bodies under way. Memory is bounded. */
export class Callers {
  readonly #limits: NetworkLimits;
  readonly #now: () => number;
  #failures = new Map<string, number>();
  #until = 0;
  readonly #bytes = new Map<string, number>();
  #allBytes = 0;

  constructor(limits: NetworkLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  mayCall(address: string | undefined): boolean {
    return (this.#window().get(this.#keyOf(address)) ?? 0) < this.#limits.failuresMax;
  }

  noteFailure(address: string | undefined): void {
    const failures = this.#window();
    const key = this.#keyOf(address);
    failures.set(key, (failures.get(key) ?? 0) + 1);
  }

  /** What gives the bytes back; undefined when there is no room for them. */
  takeBytes(address: string | undefined, bytes: number): (() => void) | undefined {
    const key = networkOf(address);
    const { addressBytesMax, bodyBytesMax } = this.#limits;
    const mine = (this.#bytes.get(key) ?? 0) + bytes;
    if (mine > addressBytesMax || this.#allBytes + bytes > bodyBytesMax) return undefined;
    this.#bytes.set(key, mine);
    this.#allBytes += bytes;
    return () => {
      this.#allBytes -= bytes;
      const left = (this.#bytes.get(key) ?? 0) - bytes;
      if (left > 0) this.#bytes.set(key, left);
      else this.#bytes.delete(key);
    };
  }

  #window(): Map<string, number> {
    const now = this.#now();
    if (now >= this.#until) {
      this.#failures = new Map();
      this.#until = now + WINDOW_MS;
    }
    return this.#failures;
  }

  #keyOf(address: string | undefined): string {
    const key = networkOf(address);
    return this.#failures.size < ADDRESSES_MAX || this.#failures.has(key) ? key : OTHERS;
  }
}

/** Whoever has one IPv6 address has a /64 of them. */
function networkOf(address: string | undefined): string {
  if (address === undefined || !isIPv6(address)) return address ?? OTHERS;
  if (address.startsWith('::ffff:')) return address.slice('::ffff:'.length);
  const [head = '', tail = ''] = address.split('::');
  const front = head.split(':').filter((group) => group !== '');
  const back = tail.split(':').filter((group) => group !== '');
  const zeroes = Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  return [...front, ...zeroes, ...back].slice(0, 4).join(':');
}
