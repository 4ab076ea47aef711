/**
 * One process does the background work. The lease is a record that names the holder's session. It is taken when it is free, or when its
 * holder has no member record any more, and so is fenced off: nothing that the former holder still commits under its fence applies.
 */
import type { KeyValueStore } from '../metadata/types.ts';
import { LEASE_KEY } from './keys.ts';
import { HOME, leaseCodec } from './memberRecords.ts';
import type { Hex } from './model.ts';

/** Begins work that one process does for all. Returns what ends it. */
export type Work = () => Promise<() => Promise<void>>;

/** Who does what one process does for all. */
export interface Leadership {
  /** Whether this process does the background work now. Asked again before everything that cannot be taken back. */
  isHeld(): boolean;
  /**
   * Runs `work` while this process is the holder: begins with it when it becomes that, and ends it when it is that no longer. Rejects when
   * it is the holder already and `work` does.
   */
  whileHeld(work: Work): Promise<void>;
  /** At a clean end: ends the work, and lets another process have it at once. */
  release(): Promise<void>;
}

/** Of a process that has its store to itself. */
export class SoleHolder implements Leadership {
  readonly #ends: (() => Promise<void>)[] = [];

  isHeld(): boolean {
    return true;
  }

  async whileHeld(work: Work): Promise<void> {
    this.#ends.push(await work());
  }

  async release(): Promise<void> {
    for (const end of this.#ends.splice(0).toReversed()) await end();
  }
}

export interface LeaseOptions {
  readonly kv: KeyValueStore;
  readonly session: Hex;
  readonly isLive: (session: Hex) => boolean;
  /** False: others may have declared this process dead already. */
  readonly isFresh: () => boolean;
  /** Work that could not be begun; it is tried again. */
  readonly onError: (error: unknown) => void;
}

interface Job {
  readonly work: Work;
  end: (() => Promise<void>) | undefined;
}

export class Lease implements Leadership {
  readonly #options: LeaseOptions;
  readonly #jobs: Job[] = [];
  #term: number | undefined;
  #turn: Promise<void> = Promise.resolve();
  #taking: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  isHeld(): boolean {
    return this.#term !== undefined && this.#options.isFresh();
  }

  /** The holder's number in the row of all holders; undefined: another process is it. */
  get term(): number | undefined {
    return this.#term;
  }

  /** The session that has it, dead or alive. @throws MetadataError */
  async holder(): Promise<Hex | undefined> {
    const value = await this.#options.kv.get(HOME, LEASE_KEY);
    return value && leaseCodec.decode(value).holder;
  }

  whileHeld(work: Work): Promise<void> {
    return this.#inTurn(async () => {
      const end = this.#term === undefined ? undefined : await work();
      this.#jobs.push({ work, end });
    });
  }

  /** Takes the lease, if it can be had; once it has been released, no more. @throws MetadataError */
  async attend(): Promise<void> {
    if (this.#isOver) return;
    if (this.#term === undefined) await (this.#taking = this.#acquire());
    if (this.#term !== undefined) void this.#inTurn(() => this.#beginJobs());
  }

  /** The session is lost, and the lease with it. Resolves when no work is under way. */
  async lose(): Promise<void> {
    this.#term = undefined;
    await this.#inTurn(() => this.#endJobs());
  }

  /** @throws MetadataError */
  async release(): Promise<void> {
    const { kv, session } = this.#options;
    // Beats go on until the process leaves, and must not take it back.
    this.#isOver = true;
    await this.#taking.catch(() => undefined);
    await this.#inTurn(() => this.#endJobs());
    const term = this.#term;
    this.#term = undefined;
    if (term === undefined) return;
    const value = leaseCodec.encode({ holder: session, term });
    await kv.commit(HOME, { checks: [{ key: LEASE_KEY, value }], deletes: [LEASE_KEY] });
  }

  async #acquire(): Promise<void> {
    const { kv, session, isLive, isFresh } = this.#options;
    const value = await kv.get(HOME, LEASE_KEY);
    const former = value && leaseCodec.decode(value);
    // Its own: a commit whose outcome was not known.
    if (former?.holder === session) this.#term = former.term;
    if ((former && isLive(former.holder)) || !isFresh()) return;
    const term = (former?.term ?? 0) + 1;
    const taken = await kv.commit(HOME, {
      checks: [{ key: LEASE_KEY, value: value ?? null }],
      puts: [[LEASE_KEY, leaseCodec.encode({ holder: session, term })]],
    });
    if (taken) this.#term = term;
  }

  async #beginJobs(): Promise<void> {
    for (const job of this.#jobs) {
      if (this.#term === undefined || this.#isOver) return;
      if (job.end) continue;
      try {
        job.end = await job.work();
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }

  async #endJobs(): Promise<void> {
    for (const job of this.#jobs.toReversed()) {
      const { end } = job;
      job.end = undefined;
      await end?.().catch(this.#options.onError);
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
