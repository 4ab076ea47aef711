/** A server in virtual time behind a real Admission: one event loop, one disk, and time that passes elsewhere. */
import { Admission } from '../../../gateway/http/admission.ts';
import type { Refused } from '../../../gateway/http/admission.ts';
import type { Ticket } from '../../../gateway/http/door.ts';
import type { Visitor } from '../../../gateway/http/requestClass.ts';
import type { Standing } from '../../../gateway/http/standing.ts';

/** What a request takes, in ms. Event loop and disk are shared by all who need them; the far part is not. */
interface Work {
  readonly loop: number;
  readonly disk?: number;
  readonly far?: number;
}

export interface Traffic {
  readonly name: string;
  readonly visitor: Visitor;
  readonly standing?: Standing;
  readonly work: Work;
  /** Arrivals per second, open loop. */
  readonly rate?: number;
  /** Clients that ask again as soon as they are served, and when they are told to otherwise. */
  readonly clients?: number;
  /** They ask again as soon as they are refused, too. */
  readonly hammer?: boolean;
}

export interface Outcome {
  readonly served: number;
  readonly refused: number;
  /** Ms from arrival to answer of those served. */
  readonly latencies: readonly number[];
  /** Longest time that a refused one had to wait for its refusal, ms. */
  readonly refusedAfterMs: number;
}

interface Job {
  readonly name: string;
  readonly since: number;
  readonly ticket: Ticket;
  readonly over: () => void;
  loop: number;
  disk: number;
  farUntil: number;
}

const STEP_MS = 1;
const TICK_MS = 5;
const LOOK_MS = 250;

export class SimulatedServer {
  now = 0;
  readonly admission: Admission;
  readonly #random = randomFrom(1);
  readonly #refusalMs: number;
  #jobs: Job[] = [];
  #debtMs = 0;
  /** Of the last step, and since the last look. */
  #loopMs = 0;
  #busyMs = 0;
  #queuedMax = 0;

  /** @param refusalMs of the event loop, for each refusal */
  constructor(refusalMs: number) {
    this.#refusalMs = refusalMs;
    this.admission = new Admission({
      now: () => this.now,
      fraction: this.#random,
      transfersMax: 100,
      failedPerSecondMax: 500,
      full: () => false,
    });
  }

  get queuedMax(): number {
    return this.#queuedMax;
  }

  /** Runs traffic for a while. Clients of one call are gone with the next. */
  run(seconds: number, traffic: readonly Traffic[]): Map<string, Outcome> {
    const tallies = new Map(traffic.map((one) => [one.name, new Tally()]));
    const wakes: { readonly at: number; readonly wake: () => void }[] = [];
    const until = this.now + seconds * 1000;
    const arrive = (one: Traffic, backAt = 0): void => {
      if (this.now >= until) return;
      const tally = tallies.get(one.name) as Tally;
      this.#arrive(one, tally, (refused) => {
        if (one.clients === undefined) return;
        const { retryAfterMs = 0, holdMs = 0 } = refused ?? {};
        // As the front door does: only who has not waited is held back.
        const held = this.now < backAt ? holdMs : 0;
        const at = this.now + (one.hammer === true ? held : retryAfterMs);
        const next = this.now + retryAfterMs;
        wakes.push({ at, wake: () => arrive(one, next) });
      });
    };
    for (const one of traffic) for (let at = 0; at < (one.clients ?? 0); at += 1) arrive(one);
    for (; this.now < until; this.now += STEP_MS) {
      for (const one of traffic) {
        const mean = ((one.rate ?? 0) * STEP_MS) / 1000;
        const whole = Math.floor(mean);
        const count = whole + (this.#random() < mean - whole ? 1 : 0);
        for (let n = 0; n < count; n += 1) arrive(one);
      }
      for (const due of wakes.splice(0)) {
        if (due.at <= this.now) due.wake();
        else wakes.push(due);
      }
      this.#work();
      this.#busyMs += this.#loopMs;
      if (this.now % LOOK_MS === 0) this.#look();
      else if (this.now % TICK_MS === 0) this.admission.tick();
      const queued = this.admission.figures().classes.reduce((sum, one) => sum + one.queued, 0);
      this.#queuedMax = Math.max(this.#queuedMax, queued);
    }
    return tallies;
  }

  limit(kind: string): number {
    return this.admission.figures().classes.find((one) => one.kind === kind)?.limit ?? NaN;
  }

  #look(): void {
    this.admission.tick({ busy: this.#busyMs / LOOK_MS, memory: 0.5 });
    this.#busyMs = 0;
  }

  #arrive(one: Traffic, tally: Tally, again: (refused?: Refused) => void): void {
    const since = this.now;
    this.admission.ask(
      one.visitor,
      one.standing ?? 'proven',
      (ticket) => {
        const { loop, disk = 0, far = 0 } = one.work;
        const over = (): void => {
          tally.served += 1;
          tally.latencies.push(this.now - since);
          again();
        };
        this.#jobs.push({ name: one.name, since, ticket, over, loop, disk, farUntil: this.now + far });
      },
      (refused) => {
        tally.refused += 1;
        tally.refusedAfterMs = Math.max(tally.refusedAfterMs, this.now - since);
        this.#debtMs += this.#refusalMs;
        again(refused);
      },
    );
  }

  #work(): void {
    const paid = Math.min(STEP_MS, this.#debtMs);
    this.#debtMs -= paid;
    this.#loopMs = paid + share(this.#jobs, 'loop', STEP_MS - paid);
    share(this.#jobs, 'disk', STEP_MS);
    const done = this.#jobs.filter((job) => job.loop <= 0 && job.disk <= 0 && job.farUntil <= this.now);
    if (done.length === 0) return;
    const ended = new Set(done);
    this.#jobs = this.#jobs.filter((job) => !ended.has(job));
    for (const { ticket, over } of done) {
      ticket.leave(true);
      over();
    }
  }
}

/** Processor sharing: equal parts to all who still need any, until the time is used up. @returns what was used */
function share(jobs: readonly Job[], part: 'loop' | 'disk', ms: number): number {
  let left = ms;
  for (let needy = jobs.filter((job) => job[part] > 0); needy.length > 0 && left > 1e-9;) {
    const each = left / needy.length;
    for (const job of needy) {
      const used = Math.min(each, job[part]);
      job[part] -= used;
      left -= used;
    }
    needy = needy.filter((job) => job[part] > 0);
  }
  return ms - left;
}

class Tally implements Outcome {
  served = 0;
  refused = 0;
  refusedAfterMs = 0;
  readonly latencies: number[] = [];
}

/** The same numbers for the same seed: a multiplicative congruential generator. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 0x7fffffff) / 0x7fffffff;
}
