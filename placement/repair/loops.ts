import { Wakeup } from '../time.ts';
import type { Clock } from '../types.ts';

/** Timers of the runtime overflow at 2^31 ms; a loop that wakes early only asks again what is due. */
const PAUSE_MAX_MS = 3_600_000;
/** A round that was called for begins after this, so that calls that come together are met by one. */
const GATHER_MS = 100;

export type BackgroundJob = 'repair' | 'scrub' | 'evacuate' | 'durability';

export interface LoopsOptions {
  readonly clock: Clock;
  /** Asked before every round: false leaves the work to the process that holds the lease. */
  readonly holdsLease: (() => Promise<boolean>) | undefined;
  readonly onFailure: (job: BackgroundJob, error: unknown) => void;
  /** Pause after a round that failed or was left to others. */
  readonly retryMs: number;
}

/** Does what is due and says how many milliseconds to pause. */
export type Round = (signal: AbortSignal) => Promise<number>;

/** Ends a loop's pause, the next one where none is under way. */
class Bell {
  readonly #wakeup = new Wakeup();
  #isRung = false;

  ring(): void {
    this.#isRung = true;
    this.#wakeup.notify();
  }

  /** Resolves after `ms`, or when the bell is rung; to whether it was since the last wait. */
  async wait(clock: Clock, ms: number): Promise<boolean> {
    if (!this.#isRung) await this.#wakeup.wait(clock, ms);
    const isRung = this.#isRung;
    this.#isRung = false;
    return isRung;
  }
}

/** Background jobs, each in rounds of its own, all stopped together. */
export class BackgroundLoops {
  readonly #options: LoopsOptions;
  readonly #bells = new Map<BackgroundJob, Bell>();
  #stopping: AbortController | undefined;
  #running: Promise<unknown> | undefined;

  constructor(options: LoopsOptions) {
    this.#options = options;
  }

  start(rounds: Readonly<Record<BackgroundJob, Round>>): void {
    if (this.#stopping) throw new Error('the maintenance loops run already');
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    const jobs = Object.entries(rounds) as [BackgroundJob, Round][];
    for (const [job] of jobs) this.#bells.set(job, new Bell());
    this.#running = Promise.all(jobs.map(([job, round]) => this.#loop(job, round, signal)));
  }

  /** The next round of a job begins at once, or follows the present one. Nothing happens while the loops stand still. */
  wake(job: BackgroundJob): void {
    this.#bells.get(job)?.ring();
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    for (const bell of this.#bells.values()) bell.ring();
    await this.#running;
    this.#bells.clear();
    this.#stopping = undefined;
    this.#running = undefined;
  }

  async #loop(job: BackgroundJob, round: Round, signal: AbortSignal): Promise<void> {
    const { clock, holdsLease, onFailure, retryMs } = this.#options;
    const bell = this.#bells.get(job)!;
    while (!signal.aborted) {
      let pause = retryMs;
      try {
        if ((await holdsLease?.()) ?? true) pause = await round(signal);
      } catch (error) {
        if (!signal.aborted) onFailure(job, error);
      }
      const isCalled = await bell.wait(clock, Math.min(pause, PAUSE_MAX_MS));
      // Rejects only when it is time to stop.
      if (isCalled) await clock.sleep(GATHER_MS, signal).catch(() => undefined);
    }
  }
}
