import { Door } from './door.ts';
import type { Caller } from './door.ts';
import type { LimitRule } from './adaptiveLimit.ts';
import type { RequestClass, Visitor } from './requestClass.ts';
import type { Standing } from './standing.ts';

/** Source of the latencies: what the operation takes when nothing else goes on (1 to 20 ms on one machine), times what a client bears. */
const RULES: Readonly<Record<Exclude<RequestClass, 'transfer'>, LimitRule>> = {
  read: { initial: 256, min: 32, max: 2048, toleratedMs: 100 },
  write: { initial: 256, min: 64, max: 1024, toleratedMs: 300 },
  list: { initial: 64, min: 8, max: 512, toleratedMs: 500 },
};

/** Ms. Between two looks at latencies. */
const WINDOW_MS = 250;
const PARK_EVERY_MS = 25;
/** Ms without a request after which what was learnt of the load is forgotten. */
const REST_AFTER_MS = 2000;
/** Part of its time from which the event loop is the bottleneck. */
const BUSY = 0.9;
/**
 * Refusals to one finished request, at about a twentieth of its cost each, beyond which less than 95 % of the event loop is left to work; and the
 * bounds of the delay in ms that keeps clients to it which do not wait as they are told to.
 */
const REFUSALS_PER_WORK = 1;
const HOLD_MS_MIN = 40;
const HOLD_MS_MAX = 1000;
/** Part of the resident memory from which new uploads are refused, and how many go on all the same, so that memory can come back. */
const MEMORY_FULL = 0.95;
const TRANSFERS_MIN = 8;
/** Seconds. Longest Retry-After: SDKs wait no longer than about 5 s whatever they are told. */
const RETRY_AFTER_MAX = 8;

export type RefusalReason = 'limit' | 'memory' | 'unproven';

/** Served instead of an answer: when to come back. */
export interface Refused {
  /** Ms, spread so that clients do not come back together. */
  readonly retryAfterMs: number;
  /** Ms by which to put off the answer to a client that has not waited as it was told to. */
  readonly holdMs: number;
}

export interface AdmissionOptions {
  /** Ms; any origin. */
  readonly now: () => number;
  /** 0 to 1 */
  readonly fraction: () => number;
  /** Uploads of more than a small body that may be in work or waiting for memory. */
  readonly transfersMax: number;
  /** See HttpLimits. */
  readonly failedPerSecondMax: number;
  /** Nothing more can be taken in at all. */
  readonly full: () => boolean;
}

/** For metrics. Counters since the start. */
export interface AdmissionFigures {
  readonly classes: readonly {
    readonly kind: RequestClass;
    readonly limit: number;
    readonly inWork: number;
    /** Begun, and waiting for their clients. */
    readonly parked: number;
    readonly queued: number;
  }[];
  readonly refusals: readonly {
    readonly kind: RequestClass;
    readonly reason: RefusalReason;
    readonly count: number;
  }[];
}

/** What the process looks like from outside its requests. */
export interface Load {
  /** Part of the time that the event loop was busy, 0 to 1. */
  readonly busy: number;
  /** Resident memory as a part of what the process may take. */
  readonly memory: number;
}

/**
 * Lets requests in or turns them away, before a byte of their bodies and before their signatures are looked at. Pure but for the clock it
 * is given: `tick` drives it.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #doors: Readonly<Record<RequestClass, Door>>;
  readonly #refusals = new Map<string, { kind: RequestClass; reason: RefusalReason; count: number }>();
  #load: Load = { busy: 0, memory: 0 };
  #windowBegan: number;
  #parkedAt: number;
  #askedAt: number;
  /** Whether a client with a valid key was there in this window or the last. */
  #proven = false;
  #provenBefore = false;
  #failedLeft: number;
  #holdMs = 0;

  constructor(options: AdmissionOptions) {
    const { now, transfersMax, failedPerSecondMax } = options;
    this.#options = options;
    this.#failedLeft = failedPerSecondMax;
    const fixed = { initial: transfersMax, min: transfersMax, max: transfersMax, toleratedMs: Infinity };
    this.#doors = {
      read: new Door(RULES.read, true, now),
      write: new Door(RULES.write, true, now),
      list: new Door(RULES.list, true, now),
      // Its limit is one of memory, which those who wait hold, too.
      transfer: new Door(fixed, false, now),
    };
    this.#windowBegan = this.#parkedAt = this.#askedAt = now();
  }

  /** No request is in work or waits: there is nothing to drive. */
  get idle(): boolean {
    return Object.values(this.#doors).every((door) => door.idle);
  }

  /** Calls exactly one of `start` (the request's ticket must be given back) and `refuse`, now or within 40 ms of ticks. */
  ask(
    { kind, again }: Visitor,
    standing: Standing,
    start: Caller['start'],
    refuse: (refused: Refused) => void,
  ): void {
    const { now: clock, full } = this.#options;
    const now = clock();
    if (now - this.#askedAt > REST_AFTER_MS && this.idle) this.#rest(now);
    this.#askedAt = now;
    if (full()) return this.#refuse(kind, 'limit', refuse);
    if (standing === 'proven') this.#proven = true;
    else if (this.#crowdsOut(standing)) return this.#refuse(kind, 'unproven', refuse);
    if (kind === 'transfer' && this.#memoryFull()) return this.#refuse(kind, 'memory', refuse);
    this.#doors[kind].enter({
      rank: standing !== 'proven' ? 'stranger' : again ? 'again' : 'known',
      start,
      refuse: () => this.#refuse(kind, 'limit', refuse),
    });
  }

  /** To be called every few ms while not idle. */
  tick(load?: Load): void {
    const now = this.#options.now();
    const doors = Object.values(this.#doors);
    if (load !== undefined) this.#load = load;
    for (const door of doors) door.sweep();
    if (now - this.#parkedAt >= PARK_EVERY_MS) {
      this.#parkedAt = now;
      for (const door of doors) door.parkStill();
    }
    if (now - this.#windowBegan < WINDOW_MS) return;
    const seconds = (now - this.#windowBegan) / 1000;
    this.#windowBegan = now;
    for (const door of doors) door.close(seconds, this.#load.busy > BUSY);
    this.#adjustHold(doors);
    const { failedPerSecondMax } = this.#options;
    this.#failedLeft = Math.min(failedPerSecondMax, this.#failedLeft + failedPerSecondMax * seconds);
    this.#provenBefore = this.#proven;
    this.#proven = false;
  }

  figures(): AdmissionFigures {
    return {
      classes: Object.entries(this.#doors).map(([kind, { limit, inWork, parked, queued }]) => ({
        kind: kind as RequestClass,
        limit,
        inWork,
        parked,
        queued,
      })),
      refusals: [...this.#refusals.values()].map((one) => ({ ...one })),
    };
  }

  /** When to come back, by how long it would take to serve all who are turned away now. */
  #retryAfterMs(kind: RequestClass): number {
    const spread = Math.min(RETRY_AFTER_MAX - 1, Math.max(1, this.#doors[kind].backlogSeconds));
    return Math.round(1000 * (1 + this.#options.fraction() * spread));
  }

  /** Each answer takes time of the event loop, a refusal too: clients that ask again at once must not take all of it. */
  #adjustHold(doors: readonly Door[]): void {
    const finished = doors.reduce((sum, { finishRate }) => sum + finishRate, 0);
    const refused = doors.reduce((sum, { refusalRate }) => sum + refusalRate, 0);
    const tooMany = this.#load.busy > BUSY && refused > REFUSALS_PER_WORK * finished;
    this.#holdMs = tooMany
      ? Math.min(HOLD_MS_MAX, Math.max(HOLD_MS_MIN, this.#holdMs * 2))
      : this.#holdMs > HOLD_MS_MIN
        ? this.#holdMs / 1.2
        : 0;
  }

  #crowdsOut(standing: Standing): boolean {
    if (standing !== 'failed' || this.#load.busy < BUSY || !(this.#proven || this.#provenBefore))
      return false;
    if (this.#failedLeft < 1) return true;
    this.#failedLeft -= 1;
    return false;
  }

  #memoryFull(): boolean {
    return this.#load.memory >= MEMORY_FULL && this.#doors.transfer.inWork >= TRANSFERS_MIN;
  }

  #refuse(kind: RequestClass, reason: RefusalReason, refuse: (refused: Refused) => void): void {
    const key = `${kind} ${reason}`;
    const known = this.#refusals.get(key);
    if (known === undefined) this.#refusals.set(key, { kind, reason, count: 1 });
    else known.count += 1;
    refuse({ retryAfterMs: this.#retryAfterMs(kind), holdMs: this.#holdMs });
  }

  #rest(now: number): void {
    for (const door of Object.values(this.#doors)) door.rest();
    this.#windowBegan = this.#parkedAt = now;
    this.#failedLeft = this.#options.failedPerSecondMax;
  }
}
