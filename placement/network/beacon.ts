import { createHasher } from '#erasure';

/**
 * The beacon of an era is made of values that its makers were bound to before they could know it: each HyperNode and the gateway hold a
 * hash chain, name its end when they register, and reveal one preimage an era. One honest reveal makes the beacon unpredictable; nobody can
 * choose what to reveal, only to stay silent.
 *
 *     chain: c₀ random, cᵢ₊₁ = BLAKE3(cᵢ), tip = c_n        beacon(e) = BLAKE3(beacon(e−1) ‖ reveals of era e−1, sorted)
 */
const hasher = createHasher();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** Eras that one chain lasts: seven years of hours. */
const CHAIN_LENGTH = 65_536;
/** Reveals a party may have missed and still go on. */
const GAP_MAX = 4096;

export function nextBeacon(previous: string, reveals: readonly string[]): string {
  const parts = [previous, ...[...reveals].sort()].map((text) => Buffer.from(text, 'hex'));
  return hex(hasher.hash(Buffer.concat(parts)));
}

/** True when `reveal` is a preimage of the last value that the party showed, at most GAP_MAX steps back. */
export function isPreimage(reveal: string, last: string): boolean {
  let value: Uint8Array = Buffer.from(reveal, 'hex');
  for (let step = 0; step < GAP_MAX; step++) {
    value = hasher.hash(value);
    if (hex(value) === last) return true;
  }
  return false;
}

/** A party's chain, kept by its seed alone. */
export class BeaconChain {
  readonly #values: Uint8Array[];

  /** @param seed 32 secret random bytes */
  constructor(seed: Uint8Array) {
    this.#values = [seed];
    for (let i = 1; i <= CHAIN_LENGTH; i++) this.#values.push(hasher.hash(this.#values[i - 1]!));
  }

  get tip(): string {
    return hex(this.#values[CHAIN_LENGTH]!);
  }

  /** The value shown in the party's `count`-th reveal, from 1. @throws RangeError when the chain is used up */
  reveal(count: number): string {
    const value = this.#values[CHAIN_LENGTH - count];
    if (value === undefined || count < 1) throw new RangeError(`the beacon chain has no reveal ${count}`);
    return hex(value);
  }
}

/** The challenge: 32 bytes, hex, that choose a shard and a leaf and are the nonce of the answer. */
export function challengeOf(
  beacon: string,
  era: number,
  provider: string,
  monitor: string,
  number: number,
): string {
  return hex(hasher.hash(Buffer.from(`${beacon} ${era} ${provider} ${monitor} ${number}`)));
}
