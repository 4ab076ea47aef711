import type { ProviderId } from '../types.ts';

/** Providers evacuated at the same time in the background. */
const EVACUATIONS = 4;
/** An evacuation that has moved nothing for this long gives way to one that waits: longer than a sweep of a provider's list may last. */
const IDLE_MS = 1_800_000;
/** One that goes on gives way after this: what it did is not done again. */
const TURN_MS = 6 * 3_600_000;

interface Turn {
  readonly since: number;
  movedAt: number;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/** Who of those that are to be evacuated is at it. Times in ms since the epoch. */
export class Turns {
  readonly #turns = new Map<ProviderId, Turn>();
  /** When each one's last turn ended. */
  readonly #endedAt = new Map<ProviderId, number>();

  /**
   * Who is to begin now: those first whose last turn is the longest ago. Where there is no room, evacuations that have had their time are told to
   * stop; they count as stopped, so that not even one that does not end holds up another.
   * @param due all that are to be evacuated
   * @param awake those of them that do not rest
   */
  next(due: readonly ProviderId[], awake: readonly ProviderId[], now: number): ProviderId[] {
    for (const id of this.#endedAt.keys()) if (!due.includes(id)) this.#endedAt.delete(id);
    const endedAt = (id: ProviderId): number => this.#endedAt.get(id) ?? -Infinity;
    const waiting = awake.filter((id) => !this.#turns.has(id));
    waiting.sort((a, b) => (endedAt(a) < endedAt(b) ? -1 : Number(endedAt(a) > endedAt(b))));
    const over = this.#holding().filter(
      ({ since, movedAt }) => now - movedAt >= IDLE_MS || now - since >= TURN_MS,
    );
    const room = EVACUATIONS - this.#holding().length;
    for (const turn of over.slice(0, Math.max(0, waiting.length - room))) turn.stop.abort();
    return waiting.slice(0, EVACUATIONS - this.#holding().length);
  }

  /** @param work must not reject; `signal` aborts when it is to give way */
  begin(provider: ProviderId, now: number, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const stop = new AbortController();
    const ended = work(stop.signal);
    this.#turns.set(provider, { since: now, movedAt: now, stop, ended });
    return ended;
  }

  moved(provider: ProviderId, now: number): void {
    const turn = this.#turns.get(provider);
    if (turn) turn.movedAt = now;
  }

  ended(provider: ProviderId, now: number): void {
    this.#turns.delete(provider);
    this.#endedAt.set(provider, now);
  }

  /** Resolves when nobody is at it any more. */
  async settled(): Promise<void> {
    await Promise.all([...this.#turns.values()].map(({ ended }) => ended));
  }

  /** In the order in which they began. */
  #holding(): Turn[] {
    return [...this.#turns.values()].filter(({ stop }) => !stop.signal.aborted);
  }
}
