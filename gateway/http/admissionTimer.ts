import { performance } from 'node:perf_hooks';
import type { Admission, Load } from './admission.ts';
import type { HeldAnswers } from './heldAnswers.ts';
import { collectGarbage, ownMemory } from './memory.ts';

/** Ms. Requests wait for 5 ms at least, so that a finer one would serve nothing. */
const TICK_MS = 5;
/** Ms. Between two looks at the process. */
const LOOK_EVERY_MS = 250;
/**
 * Part of the bound from which garbage is collected without waiting for the collector: at most every 2 s, and only once memory has risen by so much since the last time, or a
 * minute after it. What stays after one collection, another would not find either, and each takes some 100 ms.
 */
const COLLECT_AT = 0.85;
const COLLECT_RISE = 0.02;
const COLLECT_EVERY_MS = 2_000;
const COLLECT_ANYHOW_MS = 60_000;

/** Drives an Admission by real time while it has something to do, and tells it of the process. */
export class AdmissionTimer {
  readonly #admission: Admission;
  readonly #held: HeldAnswers;
  readonly #memoryMax: number;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  #collectedAt = -Infinity;
  /** Part of the bound in use after the last collection, or least since. */
  #memoryLeast = 0;
  #utilization = performance.eventLoopUtilization();

  /** @param memoryMax bytes that the process may take, as `ownMemory` counts them */
  constructor(admission: Admission, held: HeldAnswers, memoryMax: number) {
    this.#admission = admission;
    this.#held = held;
    this.#memoryMax = memoryMax;
  }

  /** To be called when a request has come. */
  wake(): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #tick(): void {
    this.#admission.tick(this.#look());
    this.#held.give(performance.now());
    if (!this.#admission.idle || this.#held.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): Load | undefined {
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_EVERY_MS) return undefined;
    this.#lookedAt = now;
    const before = this.#utilization;
    this.#utilization = performance.eventLoopUtilization();
    const memory = this.#memory();
    this.#memoryLeast = Math.min(this.#memoryLeast, memory);
    if (this.#isWorthCollecting(memory, now - this.#collectedAt)) {
      this.#collectedAt = now;
      void collectGarbage().then(() => (this.#memoryLeast = this.#memory()));
    }
    return { busy: performance.eventLoopUtilization(this.#utilization, before).utilization, memory };
  }

  /** Part of the bound. */
  #memory(): number {
    return ownMemory() / this.#memoryMax;
  }

  #isWorthCollecting(memory: number, sinceMs: number): boolean {
    if (memory < COLLECT_AT || sinceMs < COLLECT_EVERY_MS) return false;
    return memory >= this.#memoryLeast + COLLECT_RISE || sinceMs >= COLLECT_ANYHOW_MS;
  }
}
