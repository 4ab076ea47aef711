import { performance } from 'node:perf_hooks';
import type { Admission, Load } from './admission.ts';
import type { HeldAnswers } from './heldAnswers.ts';
import { collectGarbage, ownMemory } from './memory.ts';

/** Ms. Requests wait for 5 ms at least, so that a finer one would serve nothing. */
const TICK_MS = 5;
/** Ms. Between two looks at the process. */
const LOOK_EVERY_MS = 250;
/** Part of the bound at which garbage is collected without waiting for the collector, and ms between two such times: V8 compiles much anew afterwards. */
const COLLECT_AT = 0.94;
const COLLECT_EVERY_MS = 60_000;

/** Drives an Admission by real time while it has something to do, and tells it of the process. */
export class AdmissionTimer {
  readonly #admission: Admission;
  readonly #held: HeldAnswers;
  readonly #memoryMax: number;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  #collectedAt = -Infinity;
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
    const memory = ownMemory() / this.#memoryMax;
    if (memory >= COLLECT_AT && now - this.#collectedAt >= COLLECT_EVERY_MS) {
      this.#collectedAt = now;
      void collectGarbage();
    }
    return { busy: performance.eventLoopUtilization(this.#utilization, before).utilization, memory };
  }
}
