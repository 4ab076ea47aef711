import type { Clock, Random } from './types.ts';

/** Longest sleep, 12 days: a timer of 2^31 ms or more would end after one. */
const SLEEP_MS_MAX = 2 ** 30;

/**
 * The machine's clock. A sleep keeps the process alive until it ends or is aborted; it ends after 2^30 ms at the latest, so that whoever
 * waits for longer looks at the time and sleeps again.
 */
export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), Math.min(ms, SLEEP_MS_MAX));
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  },
};

export const systemRandom: Random = { fraction: () => Math.random() };

/**
 * The same fractions for the same seed: a Weyl sequence through murmur3's finaliser, the 32-bit form of splitmix.
 * @param seed 32-bit unsigned
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    fraction() {
      state = (state + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
    },
  };
}

/** Why a wait's timer is aborted; made once, because an AbortController's own reason costs a stack trace. */
const WOKEN = new Error('woken');

/** Lets one loop wait for the next event, and no longer than a time. */
export class Wakeup {
  #wake: (() => void) | undefined;

  /** Ends the wait under way, if there is one. */
  notify(): void {
    this.#wake?.();
  }

  /** Resolves at the next `notify`, after `ms`, or when the clock sleeps no longer. One wait at a time. */
  wait(clock: Clock, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const timer = new AbortController();
    this.#wake = () => {
      this.#wake = undefined;
      timer.abort(WOKEN);
      resolve(undefined);
    };
    clock.sleep(Math.max(0, ms), timer.signal).then(
      () => this.notify(),
      () => undefined,
    );
    return promise;
  }
}
