import { Breaker } from './breaker.ts';
import { LatencyHistogram } from './latencyHistogram.ts';
import type { CallOutcome, Clock } from '../types.ts';

const HALF_LIFE_MS = 30_000;
/** Successes that every provider is credited with, so that a single failure does not condemn a new one. */
const CREDIT = 4;
/** Latencies below this are alike: they say more of this machine than of the provider. */
const LATENCY_FLOOR_MS = 5;
/** Assumed while too little is measured. */
const UNKNOWN_P95_MS = 100;
const SAMPLES_MIN = 5;

/** Calls of one kind to a provider, fading. */
class Lane {
  readonly #latency = new LatencyHistogram(HALF_LIFE_MS);
  readonly breaker = new Breaker();
  #good = 0;
  #all = 0;
  #fadedAt = 0;

  share(now: number): number {
    this.#fade(now);
    return (this.#good + CREDIT) / (this.#all + CREDIT);
  }

  isMeasured(now: number): boolean {
    return this.#latency.count(now) >= SAMPLES_MIN;
  }

  /** @param assumed while too little is measured */
  p95(now: number, assumed: number = UNKNOWN_P95_MS): number {
    return this.isMeasured(now) ? (this.#latency.quantile(0.95) ?? assumed) : assumed;
  }

  add(succeeded: boolean, now: number): void {
    this.#fade(now);
    this.#all++;
    if (succeeded) this.#good++;
  }

  addLatency(latencyMs: number, now: number): void {
    this.#latency.add(latencyMs, now);
  }

  #fade(now: number): void {
    const factor = 2 ** (-Math.max(0, now - this.#fadedAt) / HALF_LIFE_MS);
    this.#fadedAt = now;
    this.#good *= factor;
    this.#all *= factor;
  }
}

/**
 * What was lately seen of one provider: success, latency, and a breaker for reads and another for writes. A shard that
 * is lost, torn or wrong counts against the provider but opens no breaker, since the provider does answer.
 */
export class LiveWindow {
  readonly #clock: Clock;
  readonly #read = new Lane();
  readonly #write = new Lane();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  record({ kind, latencyMs, failure }: CallOutcome): void {
    const now = this.#clock.now();
    const lane = kind === 'read' ? this.#read : this.#write;
    switch (failure) {
      case 'Aborted':
      case 'Source':
      case 'Conflict':
      case 'NoSpace':
        return; // Not the provider's fault, or its free space says it better.
      case 'WrongBytes':
      case 'Corrupt':
        this.#write.add(false, now);
        this.#read.add(false, now);
        return;
      case 'NotFound':
        lane.add(false, now);
        return;
      case 'Unavailable':
      case 'Timeout':
      case undefined:
        lane.add(failure === undefined, now);
        lane.breaker.record(failure === undefined, now);
        if (failure !== 'Unavailable') lane.addLatency(latencyMs, now);
    }
  }

  /** No breaker is open. */
  get isHealthy(): boolean {
    return !this.#read.breaker.isOpen && !this.#write.breaker.isOpen;
  }

  get isWriteOpen(): boolean {
    return this.#write.breaker.isOpen;
  }

  /** Writes may go there again: it is known by other means to be back. */
  readmitWrites(): void {
    this.#write.breaker.close();
  }

  /** Whether a write may go there now; with an open breaker at most once in a second. */
  admitsWrite(): boolean {
    return this.#write.breaker.admits(this.#clock.now());
  }

  /** Success share of writes, in (0, 1]. */
  writeShare(): number {
    return this.#write.share(this.#clock.now());
  }

  /** Enough writes were lately made to know their latency. */
  get isWriteMeasured(): boolean {
    return this.#write.isMeasured(this.#clock.now());
  }

  writeP95Ms(): number {
    return Math.max(LATENCY_FLOOR_MS, this.#write.p95(this.#clock.now()));
  }

  readP95Ms(): number {
    return this.#read.p95(this.#clock.now());
  }

  get isReadOpen(): boolean {
    return this.#read.breaker.isOpen;
  }

  /** Enough reads were lately made to know their latency. */
  get isReadMeasured(): boolean {
    return this.#read.isMeasured(this.#clock.now());
  }

  /**
   * Successful reads per second to be expected; 0 with an open breaker, but for one call in a second.
   * @param assumedP95Ms of one whose latency is not known
   */
  readRank(assumedP95Ms: number = UNKNOWN_P95_MS): number {
    return this.#read.breaker.admits(this.#clock.now()) ? this.expectedRank(assumedP95Ms) : 0;
  }

  /** The same, whatever the breaker says. */
  expectedRank(assumedP95Ms: number = UNKNOWN_P95_MS): number {
    const now = this.#clock.now();
    const p95 = Math.max(LATENCY_FLOOR_MS, this.#read.p95(now, assumedP95Ms));
    return (this.#read.share(now) ** 2 * 1000) / p95;
  }
}
