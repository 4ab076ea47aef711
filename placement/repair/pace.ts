/** How fast background work may go beside the clients' own. */
import type { Clock } from '../types.ts';

/** Latency of the clients' requests now, and without background work. Milliseconds. */
export interface ForegroundLatency {
  readonly p99Ms: number;
  readonly baselineMs: number;
}

export interface PaceLimits {
  /** Bytes a second, all finite and positive, min ≤ max. */
  readonly bytesPerSecondMin: number;
  readonly bytesPerSecondMax: number;
  /** What chunks that are near their loss get however the clients fare. */
  readonly urgentBytesPerSecond: number;
}

export const PACE_LIMITS: PaceLimits = {
  bytesPerSecondMin: 2 ** 20,
  bytesPerSecondMax: 256 * 2 ** 20,
  urgentBytesPerSecond: 32 * 2 ** 20,
};

/** Clients' p99 may be this many times its baseline; below the lower one, the pace goes up. */
const SLOWED = 1.2;
const EASY = 1.1;
const RAISE = 1.25;
const ADJUST_MS = 1_000;

/** The next pace in bytes a second: half when clients are slowed, a little more when they are not. @param foreground undefined: no clients */
export function nextPace(
  pace: number,
  foreground: ForegroundLatency | undefined,
  limits: PaceLimits,
): number {
  const { bytesPerSecondMin, bytesPerSecondMax } = limits;
  const slowdown = foreground && foreground.baselineMs > 0 ? foreground.p99Ms / foreground.baselineMs : 0;
  if (slowdown > SLOWED) return Math.max(bytesPerSecondMin, pace / 2);
  return slowdown > EASY ? pace : Math.min(bytesPerSecondMax, pace * RAISE);
}

/** What reading passes through; see Throttle. */
export interface Lane {
  take(bytes: number, signal?: AbortSignal): Promise<void>;
}

/** Background reading at a pace that follows the clients' latency. */
export class Pacer {
  readonly usual: Lane;
  /** Never slower than its floor, and never waits for what the usual lane owes. */
  readonly urgent: Lane;
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  readonly #foreground: () => ForegroundLatency | undefined;
  #pace: number;
  #adjustedAt: number;

  /** @throws RangeError for limits that are not finite, positive and in order */
  constructor(
    clock: Clock,
    limits: PaceLimits,
    foreground: () => ForegroundLatency | undefined = () => undefined,
  ) {
    const { bytesPerSecondMin: min, bytesPerSecondMax: max, urgentBytesPerSecond: urgent } = limits;
    if (!(min > 0 && max >= min && max < Infinity && urgent > 0)) {
      throw new RangeError(
        `a pace needs 0 < min ≤ max < ∞ and a positive floor, got ${min}, ${max}, ${urgent}`,
      );
    }
    this.#clock = clock;
    this.#limits = limits;
    this.#foreground = foreground;
    this.#pace = max;
    this.#adjustedAt = clock.now();
    this.usual = this.#lane(() => this.#pace);
    this.urgent = this.#lane(() => Math.max(this.#pace, urgent));
  }

  get bytesPerSecond(): number {
    return this.#pace;
  }

  #lane(speed: () => number): Lane {
    /** When everything granted so far has passed, in milliseconds since the epoch. */
    let paidUntil = 0;
    return {
      take: async (bytes, signal) => {
        const now = this.#clock.now();
        this.#adjust(now);
        const start = Math.max(now, paidUntil);
        paidUntil = start + (bytes / speed()) * 1000;
        if (start > now) await this.#clock.sleep(start - now, signal);
      },
    };
  }

  #adjust(now: number): void {
    if (Math.abs(now - this.#adjustedAt) < ADJUST_MS) return;
    this.#adjustedAt = now;
    this.#pace = nextPace(this.#pace, this.#foreground(), this.#limits);
  }
}
