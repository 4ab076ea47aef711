/** How a limit on requests in work may move. Times in ms. */
export interface LimitRule {
  /** Where it begins, and where it comes back to when the load is gone. */
  readonly initial: number;
  /** It never falls below: a class always gets some work done, however slow it has become. */
  readonly min: number;
  readonly max: number;
  /** A median up to this is nobody's complaint, whatever the class is used to. */
  readonly toleratedMs: number;
}

/** What a class did since the last window was closed. */
export interface LimitWindow {
  readonly windowMs: number;
  /** Median time that requests were worked on, without waiting for their clients; undefined when too few were finished to tell. */
  readonly medianMs: number | undefined;
  /** Most requests that were in work at once. */
  readonly inWorkPeak: number;
  /** Requests had to wait or were refused. */
  readonly pressed: boolean;
  /** The event loop had no time to spare. */
  readonly busy: boolean;
}

/** Above what the class is used to by this factor, latency is a queue of our own making. */
const QUEUEING_FACTOR = 3;
/** Deepest cut at the end of one window. */
const CUT_MAX = 0.5;
/** Ms. Longest wait for a cut to show. */
const SETTLE_MS_MAX = 5000;
/** A cut to this part of the limit, or less, is an experiment; that leaves this much of the latency, or more, it has not helped. */
const EXPERIMENT = 0.8;
const UNMOVED = 0.9;
/** How quickly the usual latency follows: downwards, and upwards while nobody waits. */
const FALL = 0.5;
const RISE = 0.01;

/**
 * A limit on requests in work, by their latency. Where work queues up on one thing (the event loop, a disk), latency is requests in work
 * over throughput: cutting the limit shortens it and costs nothing. Where latency comes from elsewhere (a far provider), cutting only costs
 * throughput: it shows by a deep cut that does not help while the event loop has time to spare, and the class is then taken to be used to it.
 */
export class AdaptiveLimit {
  readonly #rule: LimitRule;
  #limit: number;
  #usualMs: number;
  /** The last cut, until it is known what came of it. */
  #cut: { readonly from: number; readonly medianMs: number } | undefined;
  /** Ms until what finishes was begun after the last cut. */
  #settleMs = 0;

  constructor(rule: LimitRule) {
    this.#rule = rule;
    this.#limit = rule.initial;
    this.#usualMs = rule.toleratedMs / QUEUEING_FACTOR;
  }

  get value(): number {
    return Math.floor(this.#limit);
  }

  /** Latency above which the limit falls, in ms. */
  get targetMs(): number {
    return Math.max(this.#rule.toleratedMs, QUEUEING_FACTOR * this.#usualMs);
  }

  /** Nothing was asked for a while: what was learnt of the load no longer holds. */
  rest(): void {
    this.#limit = Math.max(this.#limit, this.#rule.initial);
    this.#cut = undefined;
    this.#settleMs = 0;
  }

  close({ windowMs, medianMs, inWorkPeak, pressed, busy }: LimitWindow): void {
    this.#settleMs -= windowMs;
    if (medianMs === undefined || this.#settleMs > 0) return;
    if (medianMs < this.#usualMs) this.#usualMs += (medianMs - this.#usualMs) * FALL;
    else if (!busy) this.#learn(medianMs, pressed);
    this.#cut = undefined;
    const { max, initial } = this.#rule;
    if (medianMs > this.targetMs) {
      if (inWorkPeak * 2 >= this.#limit) this.#cutBy(this.targetMs / medianMs, medianMs);
      return;
    }
    const wanted = pressed || inWorkPeak >= this.#limit ? max : initial;
    if (this.#limit < wanted) this.#limit = Math.min(wanted, this.#limit + Math.sqrt(this.#limit));
  }

  #cutBy(factor: number, medianMs: number): void {
    const from = this.#limit;
    this.#limit = Math.max(this.#rule.min, from * Math.max(CUT_MAX, factor));
    this.#cut = { from, medianMs };
    this.#settleMs = Math.min(medianMs, SETTLE_MS_MAX);
  }

  #learn(medianMs: number, pressed: boolean): void {
    const usual = this.#usualMs;
    const cut = this.#cut;
    if (!pressed) this.#usualMs = usual + (medianMs - usual) * RISE;
    else if (cut !== undefined && this.#limit <= cut.from * EXPERIMENT && medianMs > cut.medianMs * UNMOVED) {
      this.#usualMs = medianMs;
      this.#limit = cut.from;
    }
  }
}
