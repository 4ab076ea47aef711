import { networkOf } from '#placement';
import type { NetworkLimits } from './types.ts';

const WINDOW_MS = 60_000;
/** Addresses that are counted in a minute. Others may fail uncounted: whoever has not failed must never be taken for them. */
const ADDRESSES_MAX = 4096;

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
    return (this.#window().get(networkOf(address)) ?? 0) < this.#limits.failuresMax;
  }

  noteFailure(address: string | undefined): void {
    const failures = this.#window();
    const key = networkOf(address);
    const before = failures.get(key) ?? 0;
    if (before > 0 || failures.size < ADDRESSES_MAX) failures.set(key, before + 1);
  }

  /** Room for the bytes of one statement as they come, and what gives all of it back. */
  room(address: string | undefined): { take(bytes: number): boolean; giveBack(): void } {
    const key = networkOf(address);
    let taken = 0;
    return {
      take: (bytes) => {
        if (!this.#takeBytes(key, bytes)) return false;
        taken += bytes;
        return true;
      },
      giveBack: () => {
        this.#giveBytes(key, taken);
        taken = 0;
      },
    };
  }

  #takeBytes(key: string, bytes: number): boolean {
    const { addressBytesMax, statementBytesMax } = this.#limits;
    const mine = (this.#bytes.get(key) ?? 0) + bytes;
    if (mine > addressBytesMax || this.#allBytes + bytes > statementBytesMax) return false;
    this.#bytes.set(key, mine);
    this.#allBytes += bytes;
    return true;
  }

  #giveBytes(key: string, bytes: number): void {
    this.#allBytes -= bytes;
    const left = (this.#bytes.get(key) ?? 0) - bytes;
    if (left > 0) this.#bytes.set(key, left);
    else this.#bytes.delete(key);
  }

  #window(): Map<string, number> {
    const now = this.#now();
    if (now >= this.#until) {
      this.#failures = new Map();
      this.#until = now + WINDOW_MS;
    }
    return this.#failures;
  }
}
