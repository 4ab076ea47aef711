import type { Clock } from '../types.ts';

/** The least that a peer must send or take, in bytes per second over each window. */
export interface SpeedRule {
  readonly bytesPerSecondMin: number;
  readonly windowMs: number;
}

/**
 * A shard comes as fast as the gateway's own client sends: at the least that a client may send, a cell takes a quarter of an hour. A put with a
 * grant is judged over so many windows, by so much less.
 */
const PATIENT_WINDOWS = 64;

/** Cuts peers that keep us waiting: who holds a connection and gives or takes next to nothing. */
export class SlowPeers {
  readonly #rule: SpeedRule;
  readonly #clock: Clock;
  readonly #transfers = new Set<Transfer>();

  constructor(rule: SpeedRule, clock: Clock) {
    this.#rule = rule;
    this.#clock = clock;
  }

  /** @param cut ends the peer's connection; called once at most */
  begin(cut: () => void): Transfer {
    const transfer = new Transfer(this.#clock, cut);
    this.#transfers.add(transfer);
    return transfer;
  }

  end(transfer: Transfer): void {
    this.#transfers.delete(transfer);
  }

  /** Looks at all once a window, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(this.#rule.windowMs, signal).catch(() => undefined);
      if (!signal.aborted) this.#look();
    }
  }

  #look(): void {
    for (const transfer of this.#transfers) {
      if (transfer.isPatient && transfer.waitedMs < PATIENT_WINDOWS * this.#rule.windowMs) continue;
      const { waitedMs, bytes } = transfer.closeWindow();
      // Who was not waited for during most of the window is judged at the end of the next.
      if (waitedMs * 2 <= this.#rule.windowMs) continue;
      const least = this.#rule.bytesPerSecondMin / (transfer.isPatient ? PATIENT_WINDOWS : 1);
      if (bytes * 1000 >= least * waitedMs) continue;
      this.#transfers.delete(transfer);
      transfer.cut();
    }
  }
}

/** What passes in one exchange, and the time spent waiting for the peer. Time that we take ourselves is not held against it. */
export class Transfer {
  readonly cut: () => void;
  readonly #clock: Clock;
  #isPatient = false;
  #waitingSince: number | undefined;
  #waitedMs = 0;
  #bytes = 0;

  constructor(clock: Clock, cut: () => void) {
    this.#clock = clock;
    this.cut = cut;
  }

  /** Its peer has shown a grant for what it sends, and may take its time. */
  get isPatient(): boolean {
    return this.#isPatient;
  }

  bePatient(): void {
    this.#isPatient = true;
  }

  /** Since the last window was closed. */
  get waitedMs(): number {
    this.#settle();
    return this.#waitedMs;
  }

  /** From now on it is the peer's turn. */
  waiting(): void {
    this.#waitingSince ??= this.#clock.now();
  }

  /** It has sent or taken `bytes`, and it is our turn. */
  moved(bytes: number): void {
    this.#settle();
    this.#waitingSince = undefined;
    this.#bytes += bytes;
  }

  closeWindow(): { waitedMs: number; bytes: number } {
    this.#settle();
    const window = { waitedMs: this.#waitedMs, bytes: this.#bytes };
    this.#waitedMs = 0;
    this.#bytes = 0;
    return window;
  }

  #settle(): void {
    if (this.#waitingSince === undefined) return;
    const now = this.#clock.now();
    this.#waitedMs += Math.max(0, now - this.#waitingSince);
    this.#waitingSince = now;
  }
}
