import { NetworkError } from './errors.ts';
import type { PartyId } from './identity.ts';

/** A statement that is older, or of a clock that is further ahead, is refused. */
const AGE_MS_MAX = 600_000;

/** What each party has said last, so that nothing it said is taken twice. */
export class Freshness {
  readonly #last = new Map<string, number>();

  /**
   * @param stream statements of different kinds are counted apart
   * @throws NetworkError 'Refused'
   */
  check(party: PartyId, stream: string, at: number, now: number): void {
    if (Math.abs(now - at) > AGE_MS_MAX) {
      throw new NetworkError(
        'Refused',
        `the statement is dated ${Math.round((at - now) / 1000)} s from the gateway's time: check the clock`,
      );
    }
    if (at <= (this.#last.get(`${party} ${stream}`) ?? -1)) {
      throw new NetworkError('Refused', 'the statement is not newer than one that came before');
    }
  }

  /** Only for a party that is registered: a stranger costs no memory. */
  remember(party: PartyId, stream: string, at: number): void {
    this.#last.set(`${party} ${stream}`, at);
  }
}
