import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { ChunkCatalog, Clock } from '../types.ts';
import { NetworkError } from './errors.ts';
import type { PartyId } from './identity.ts';
import { isProof, joinText, partsOf, secretHash } from './joinProof.ts';
import type { JoinToken } from './operator.ts';
import { Serial } from './serial.ts';

const NOTE = 'network.tokens';
const TOKENS_MAX = 1000;
const USES_MAX = 10_000;
const HOURS_MAX = 24 * 366;
const HOUR_MS = 3_600_000;
const ID_DIGITS = 12;
/** For so long it is told that a token was used up or has expired, rather than that it is not known. */
const KEPT_MS = 30 * 24 * HOUR_MS;

const storedSchema = z.array(
  z.strictObject({
    /** Of the secret (see joinProof.ts). Whoever reads it can make proofs: it stays in the gateway's own metadata. */
    hash: z.string().regex(/^[0-9a-f]{64}$/),
    role: z.enum(['provider', 'hypernode']),
    usesLeft: z.int().nonnegative(),
    expiresAt: z.int().nonnegative(),
  }),
);
type Stored = z.infer<typeof storedSchema>[number];

/** Names a token, and is no use to anyone; undefined for what is no token. */
export function joinTokenId(token: string): string | undefined {
  const parts = partsOf(token);
  return parts && idOf(secretHash(parts.digits));
}

function idOf(hash: string): string {
  return hash.slice(0, ID_DIGITS);
}

/** Join tokens: kept by their hash, in the catalog's notes, and spent by the proofs that parties make of them. */
export class JoinTokens {
  readonly #catalog: ChunkCatalog;
  readonly #clock: Clock;
  readonly #gateway: PartyId;
  /** Changes come one after another: the note is read, changed and written. */
  readonly #serial = new Serial();

  constructor(catalog: ChunkCatalog, clock: Clock, gateway: PartyId) {
    this.#catalog = catalog;
    this.#clock = clock;
    this.#gateway = gateway;
  }

  /** Those that are still good; on demand those of the last weeks that are spent or have expired, too. */
  async list(all = false): Promise<readonly JoinToken[]> {
    const tokens = await this.#read();
    return tokens
      .filter((token) => all || (token.usesLeft > 0 && !this.#hasExpired(token)))
      .map(({ hash, ...token }) => ({ id: idOf(hash), ...token }));
  }

  /** @throws NetworkError 'BadMessage' */
  async create(role: JoinToken['role'], uses: number, hours: number): Promise<string> {
    if (!Number.isInteger(uses) || uses < 1 || uses > USES_MAX) {
      throw new NetworkError('BadMessage', `a token has from 1 to ${USES_MAX} uses`);
    }
    if (!(hours > 0 && hours <= HOURS_MAX)) {
      throw new NetworkError('BadMessage', `a token is good for more than 0 and at most ${HOURS_MAX} hours`);
    }
    const secret = randomBytes(16).toString('hex');
    const expiresAt = Math.ceil(this.#clock.now() + hours * HOUR_MS);
    await this.#change((tokens) => [
      ...this.#withRoom(tokens),
      { hash: secretHash(secret), role, usesLeft: uses, expiresAt },
    ]);
    return joinText(this.#gateway, secret);
  }

  async remove(id: string): Promise<boolean> {
    let found = false;
    await this.#change((tokens) => {
      const kept = tokens.filter(({ hash }) => idOf(hash) !== id);
      found = kept.length < tokens.length;
      return kept;
    });
    return found;
  }

  /**
   * Takes one use of the token that a party proves to have; what is returned gives it back. A use that is lost in a crash stays lost: a token
   * never gives more than it had.
   * @param proof as `joinProof` makes it
   * @throws NetworkError 'Refused'
   */
  async spend(proof: string, role: JoinToken['role'], party: PartyId): Promise<() => Promise<void>> {
    const parts = partsOf(proof);
    if (parts === undefined) throw new NetworkError('Refused', 'this is not the proof of a join token');
    if (parts.gateway !== this.#gateway)
      throw new NetworkError('Refused', 'the join token is for another gateway');
    let hash = '';
    await this.#change((tokens) => {
      // All are tried: how long it takes does not tell which one it was.
      const [found] = tokens.filter((token) => isProof(parts.digits, token.hash, party));
      if (found === undefined) {
        throw new NetworkError('Refused', 'the join token is not known: it was removed, or expired long ago');
      }
      // Only who has the token learns how it stands.
      if (this.#hasExpired(found)) {
        const since = new Date(found.expiresAt).toISOString();
        throw new NetworkError('Refused', `the join token expired at ${since}`);
      }
      if (found.role !== role) throw new NetworkError('Refused', `the join token is not for a ${role}`);
      hash = found.hash;
      return withUses(tokens, found, -1);
    });
    return async () => {
      await this.#change((tokens) => {
        const found = tokens.find((token) => token.hash === hash);
        return found ? withUses(tokens, found, 1) : tokens;
      });
    };
  }

  /** Without those that nobody will ask after any more. */
  async #read(): Promise<Stored[]> {
    const note = await this.#catalog.getNote(NOTE);
    const since = this.#clock.now() - KEPT_MS;
    return storedSchema.parse(JSON.parse(note ?? '[]')).filter(({ expiresAt }) => expiresAt > since);
  }

  #hasExpired({ expiresAt }: Stored): boolean {
    return expiresAt <= this.#clock.now();
  }

  /** Where there are too many, the one that expired first goes. @throws NetworkError 'Conflict' */
  #withRoom(tokens: readonly Stored[]): readonly Stored[] {
    if (tokens.length < TOKENS_MAX) return tokens;
    // One that is used up may have a use given back.
    const [oldest] = tokens
      .filter((token) => this.#hasExpired(token))
      .sort((a, b) => a.expiresAt - b.expiresAt);
    if (oldest === undefined) throw new NetworkError('Conflict', `there are ${TOKENS_MAX} tokens already`);
    return tokens.filter((token) => token !== oldest);
  }

  async #change(change: (tokens: readonly Stored[]) => readonly Stored[]): Promise<void> {
    await this.#serial.run(async () => {
      const tokens = await this.#read();
      const changed = change(tokens);
      if (changed !== tokens) await this.#catalog.setNote(NOTE, JSON.stringify(changed));
    });
  }
}

/** @throws NetworkError 'Refused' when there is no use left */
function withUses(tokens: readonly Stored[], token: Stored, change: 1 | -1): Stored[] {
  if (token.usesLeft + change < 0) {
    throw new NetworkError('Refused', 'the join token is used up');
  }
  return tokens.map((one) => (one === token ? { ...one, usesLeft: one.usesLeft + change } : one));
}
