import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Admission, Load } from './admission.ts';
import type { HeldAnswers } from './heldAnswers.ts';

/** Ms. Requests wait for 5 ms at least, so that a finer one would serve nothing. */
const TICK_MS = 5;
/** Ms. Between two looks at the process. */
const LOOK_EVERY_MS = 250;

/** Drives an Admission by real time while it has something to do, and tells it of the process. */
export class AdmissionTimer {
  readonly #admission: Admission;
  readonly #held: HeldAnswers;
  readonly #memoryMax: number;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  #utilization = performance.eventLoopUtilization();

  /** @param memoryMax bytes that the process may take, but for files mapped into it */
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
    return {
      busy: performance.eventLoopUtilization(this.#utilization, before).utilization,
      memory: ownMemory() / this.#memoryMax,
    };
  }
}

/**
 * Bytes of resident memory that are the process's alone. Pages of the metadata store's file, gigabytes of a large one, are the system's to take back
 * whenever it likes; where it does not tell them apart (Linux does), they count.
 */
export function ownMemory(): number {
  try {
    const [, kib] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Another system.
  }
  return process.memoryUsage.rss();
}
