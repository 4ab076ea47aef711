/** A share of a budget; `release` is idempotent. */
export interface Reservation {
  release(): void;
}

export class BudgetTimeout extends Error {
  override readonly name = 'BudgetTimeout';
}

interface Waiter {
  readonly bytes: number;
  readonly granted: (reservation: Reservation) => void;
}

/** Memory that uploads under way may hold together: a semaphore counted in bytes, first come, first served. */
export class MemoryBudget {
  readonly capacity: number;
  #free: number;
  readonly #waiters: Set<Waiter> = new Set();

  /** @param capacity bytes */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#free = capacity;
  }

  get reserved(): number {
    return this.capacity - this.#free;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves once `bytes` (or the whole capacity, where that is less) are free.
   * @throws BudgetTimeout after `waitMs`; the signal's reason when it aborts
   */
  async reserve(bytes: number, waitMs: number, signal: AbortSignal): Promise<Reservation> {
    const share = Math.min(bytes, this.capacity);
    signal.throwIfAborted();
    if (this.#waiters.size === 0 && share <= this.#free) return this.#take(share);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', aborted);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        bytes: share,
        granted: (reservation) => {
          leave();
          resolve(reservation);
        },
      };
      const aborted = (): void => {
        leave();
        reject(signal.reason as Error);
        this.#serve();
      };
      const timer = setTimeout(() => {
        leave();
        reject(new BudgetTimeout(`No upload memory came free within ${waitMs} ms`));
        this.#serve();
      }, waitMs);
      signal.addEventListener('abort', aborted, { once: true });
      this.#waiters.add(waiter);
    });
  }

  #take(bytes: number): Reservation {
    this.#free -= bytes;
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.#free += bytes;
        this.#serve();
      },
    };
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      if (waiter.bytes > this.#free) return;
      waiter.granted(this.#take(waiter.bytes));
    }
  }
}
