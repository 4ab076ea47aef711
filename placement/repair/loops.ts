import type { Clock } from '../types.ts';

/** Timers of the runtime overflow at 2^31 ms; a loop that wakes early only asks again what is due. */
const PAUSE_MAX_MS = 3_600_000;

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

/** Background jobs, each in rounds of its own, all stopped together. */
export class BackgroundLoops {
  readonly #options: LoopsOptions;
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
    this.#running = Promise.all(jobs.map(([job, round]) => this.#loop(job, round, signal)));
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#running;
    this.#stopping = undefined;
    this.#running = undefined;
  }

  async #loop(job: BackgroundJob, round: Round, signal: AbortSignal): Promise<void> {
    const { clock, holdsLease, onFailure, retryMs } = this.#options;
    while (!signal.aborted) {
      let pause = retryMs;
      try {
        if ((await holdsLease?.()) ?? true) pause = await round(signal);
      } catch (error) {
        if (!signal.aborted) onFailure(job, error);
      }
      // Rejects only when it is time to stop.
      await clock.sleep(Math.min(pause, PAUSE_MAX_MS), signal).catch(() => undefined);
    }
  }
}
