import { NetworkError } from './errors.ts';
import type { PartyId } from './identity.ts';

/** A statement that is older, or of a clock that is further ahead, is refused. */
const AGE_MS_MAX = 600_000;
/** Times remembered of one stream that lie ahead: said before the clock was set back. */
const TIMES_MAX = 4;

/**
 * What each party has said last, so that nothing it said is taken twice. That is known of this run of the gateway alone: what was said before
 * it is refused, for an earlier run may have taken it.
 */
export class Freshness {
  readonly #last = new Map<string, readonly number[]>();
  #startedAt: number;

  /** @param startedAt of this run of the gateway */
  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  /**
   * @param stream statements of different kinds are counted apart
   * @throws NetworkError 'Refused'; 'Unavailable' for one from before the start, which its party has only to say again
   */
  check(party: PartyId, stream: string, at: number, now: number): void {
    if (Math.abs(now - at) > AGE_MS_MAX) {
      throw new NetworkError(
        'Refused',
        `the statement is dated ${Math.round((at - now) / 1000)} s from the gateway's time: check the clock`,
      );
    }
    // The clock may have been set back since.
    this.#startedAt = Math.min(this.#startedAt, now);
    if (at < this.#startedAt) {
      throw new NetworkError(
        'Unavailable',
        `the statement is dated ${new Date(at).toISOString()}, before the gateway was started: it takes statements dated from ${new Date(this.#startedAt).toISOString()} to ${new Date(now + AGE_MS_MAX).toISOString()}; say it again`,
      );
    }
    // What was said while the clock was ahead must not silence the party until then.
    const times = this.#last.get(`${party} ${stream}`) ?? [];
    if (times.some((last) => at <= last && last <= now + AGE_MS_MAX)) {
      throw new NetworkError('Refused', 'the statement is not newer than one that came before');
    }
  }

  /** Only for a party that is registered: a stranger costs no memory. */
  remember(party: PartyId, stream: string, at: number): void {
    const key = `${party} ${stream}`;
    const times = this.#last.get(key) ?? [];
    // What is that far behind can be said again only after the clock was set back, and then the last of it is enough to know.
    const behind = times.filter((last) => last < at - AGE_MS_MAX).slice(-1);
    const ahead = times.filter((last) => last > at).slice(-TIMES_MAX);
    this.#last.set(key, [...behind, at, ...ahead]);
  }
}
