import { AdaptiveLimit } from './adaptiveLimit.ts';
import type { LimitRule } from './adaptiveLimit.ts';
import { WaitingLine } from './waitingLine.ts';

/** Finished requests whose median says something; and the most that one window keeps. */
const SAMPLES_MIN = 8;
const SAMPLES_MAX = 512;
/** Ms. A client that lets its request wait for longer gives up its place in work until it goes on. */
const PARK_AFTER_MS = 50;
/**
 * Requests that come again may exceed the limit by this factor: who was refused once must not be refused until he gives up. So may
 * strangers for a share of their own, lest a new client finds no way in among busy ones; and they leave others as much.
 */
const RESERVE_ROOM = 1.25;
const STRANGER_ROOM = 0.75;
const STRANGER_SHARE = 0.25;
/** Weight of the newest window in rates. */
const RATE_WEIGHT = 0.4;
/** A line that stands need only bridge the time between two turns of the event loop. */
const STANDING_LENGTH_MIN = 8;

/** Who goes first: those who were refused before, then known clients; strangers have never shown a valid signature. */
export type Rank = 'again' | 'known' | 'stranger';

const RANKS: readonly Rank[] = ['again', 'known', 'stranger'];

/** A request at the door: exactly one of the two is called. */
export interface Caller {
  readonly rank: Rank;
  start(ticket: Ticket): void;
  refuse(): void;
}

/** A request in work. Times are of the clock that the door was given. */
export class Ticket {
  readonly rank: Rank;
  readonly #door: Door;
  readonly #began: number;
  #waitedMs = 0;
  #waitingSince: number | undefined;
  #parked = false;
  /** It was parked before: its client is a slow one. */
  #slow = false;
  #over = false;

  constructor(door: Door, rank: Rank) {
    this.#door = door;
    this.rank = rank;
    this.#began = door.now();
  }

  /** The work stands still: for the client's bytes, or for memory. */
  wait(): void {
    if (this.#over) return;
    this.#waitingSince ??= this.#door.now();
    // A trickle must not count for 50 ms with every byte.
    if (this.#slow && !this.#parked) this.park();
  }

  /** It goes on. */
  resume(): void {
    if (this.#waitingSince === undefined || this.#over) return;
    this.#waitedMs += this.#door.now() - this.#waitingSince;
    this.#waitingSince = undefined;
    if (this.#parked) this.#door.unpark(this);
    this.#parked = false;
  }

  /** Idempotent. The work is done, or nearly: its answer is known. @param counts it was work of its class, and no early refusal */
  leave(counts: boolean): void {
    if (this.#over) return;
    this.resume();
    this.#over = true;
    this.#door.leave(this, counts ? this.#door.now() - this.#began - this.#waitedMs : undefined);
  }

  /** It stands still, and has done so for a while. */
  isStill(now: number): boolean {
    return this.#waitingSince !== undefined && now - this.#waitingSince >= PARK_AFTER_MS;
  }

  /** Does not count as in work until it goes on. */
  park(): void {
    this.#parked = true;
    this.#slow = true;
    this.#door.park(this);
  }
}

/** One class of requests: its limit, those in work, and the short lines before it. */
export class Door {
  readonly now: () => number;
  readonly #limit: AdaptiveLimit;
  readonly #working = new Set<Ticket>();
  readonly #lines: Readonly<Record<Rank, WaitingLine<Caller>>> = {
    again: new WaitingLine(),
    known: new WaitingLine(),
    stranger: new WaitingLine(),
  };
  readonly #parks: boolean;
  #parked = 0;
  #strangers = 0;
  #peak = 0;
  #pressed = false;
  #samples: number[] = [];
  #finished = 0;
  #turnedAway = 0;
  /** Per second. */
  finishRate = 0;
  refusalRate = 0;

  /** @param parks a request whose client keeps it waiting does not count */
  constructor(rule: LimitRule, parks: boolean, now: () => number) {
    this.#limit = new AdaptiveLimit(rule);
    this.#parks = parks;
    this.now = now;
  }

  get limit(): number {
    return this.#limit.value;
  }

  /** Without those whose clients keep them waiting. */
  get inWork(): number {
    return this.#working.size;
  }

  get parked(): number {
    return this.#parked;
  }

  get queued(): number {
    const { again, known, stranger } = this.#lines;
    return again.length + known.length + stranger.length;
  }

  get idle(): boolean {
    return this.#working.size + this.#parked + this.queued === 0;
  }

  /** Starts the caller now or soon, or refuses it. */
  enter(caller: Caller): void {
    const now = this.now();
    const line = this.#lines[caller.rank];
    if (this.#hasRoom(caller.rank) && (line.length === 0 || line.stands(now))) {
      line.clear();
      this.#start(caller);
    } else {
      this.#pressed = true;
      line.push(caller, now);
      this.#sweepLine(line, now);
    }
  }

  /** @param workedMs undefined for one that was no work */
  leave(ticket: Ticket, workedMs: number | undefined): void {
    this.#working.delete(ticket);
    if (ticket.rank === 'stranger') this.#strangers -= 1;
    if (workedMs !== undefined) {
      this.#finished += 1;
      if (this.#samples.length < SAMPLES_MAX) this.#samples.push(workedMs);
    }
    this.#serve();
  }

  /** A request goes on whose client kept it waiting. It is not sent away now, though others may have taken its place. */
  unpark(ticket: Ticket): void {
    this.#parked -= 1;
    this.#working.add(ticket);
    if (ticket.rank === 'stranger') this.#strangers += 1;
    this.#peak = Math.max(this.#peak, this.#working.size);
  }

  /** Refuses those that have waited too long. To be called every few ms while anybody waits. */
  sweep(): void {
    const now = this.now();
    for (const rank of RANKS) this.#sweepLine(this.#lines[rank], now);
  }

  /** Takes clients that keep their requests waiting out of the count. */
  parkStill(): void {
    if (!this.#parks) return;
    const now = this.now();
    for (const ticket of this.#working) if (ticket.isStill(now)) ticket.park();
    this.#serve();
  }

  park(ticket: Ticket): void {
    this.#working.delete(ticket);
    this.#parked += 1;
    if (ticket.rank === 'stranger') this.#strangers -= 1;
  }

  /** Ends a window of measurement. @param seconds its length @param busy the event loop had no time to spare in it */
  close(seconds: number, busy: boolean): void {
    const medianMs = this.#samples.length < SAMPLES_MIN ? undefined : median(this.#samples);
    this.#limit.close({
      windowMs: seconds * 1000,
      medianMs,
      inWorkPeak: this.#peak,
      pressed: this.#pressed,
      busy,
    });
    if (medianMs !== undefined) this.#samples = [];
    this.finishRate += (this.#finished / seconds - this.finishRate) * RATE_WEIGHT;
    this.refusalRate += (this.#turnedAway / seconds - this.refusalRate) * RATE_WEIGHT;
    this.#finished = 0;
    this.#turnedAway = 0;
    this.#peak = this.#working.size;
    this.#pressed = this.queued > 0;
    this.#serve();
  }

  /** Nobody came for a while. */
  rest(): void {
    this.#limit.rest();
    this.finishRate = 0;
    this.refusalRate = 0;
  }

  /** Seconds that it would take to serve those who were refused in the last second, besides those who wait. */
  get backlogSeconds(): number {
    return (this.refusalRate + this.queued) / Math.max(1, this.finishRate);
  }

  #hasRoom(rank: Rank): boolean {
    const { limit, inWork } = this;
    if (rank === 'known') return inWork < limit;
    if (rank === 'again') return inWork < limit * RESERVE_ROOM;
    if (inWork < limit * STRANGER_ROOM) return true;
    return inWork < limit * RESERVE_ROOM && this.#strangers < limit * STRANGER_SHARE;
  }

  #sweepLine(line: WaitingLine<Caller>, now: number): void {
    if (line.length === 0) return;
    const lengthMax = line.stands(now) ? Math.max(STANDING_LENGTH_MIN, this.limit / 4) : this.limit;
    for (const caller of line.expire(now, lengthMax)) this.#refuse(caller);
  }

  #start(caller: Caller): void {
    const ticket = new Ticket(this, caller.rank);
    this.#working.add(ticket);
    if (caller.rank === 'stranger') this.#strangers += 1;
    this.#peak = Math.max(this.#peak, this.#working.size);
    caller.start(ticket);
  }

  #refuse(caller: Caller): void {
    this.#pressed = true;
    this.#turnedAway += 1;
    caller.refuse();
  }

  #serve(): void {
    for (const rank of RANKS) {
      while (this.#hasRoom(rank)) {
        const next = this.#lines[rank].take(this.now());
        if (next === undefined) break;
        this.#start(next);
      }
    }
  }
}

function median(samples: number[]): number {
  return samples.sort((a, b) => a - b)[samples.length >> 1] ?? 0;
}
