import * as z from 'zod';
import { readIfThere, replaceFile } from '../network/durableFile.ts';
import { NetworkError } from '../network/errors.ts';
import type { PartyId } from '../network/identity.ts';
import { gatewayOfToken } from '../network/joinProof.ts';
import { parseMessage } from '../network/signed.ts';

/** The gateway that this party belongs to, from the first time it met it. */
const pinSchema = z.strictObject({
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  publicKey: z.string().max(64),
  /** What the gateway took the party in as, in the party's own words; absent until it did. */
  accepted: z.string().max(4096).optional(),
});
type Pin = z.infer<typeof pinSchema>;

/**
 * Would a party that no gateway has taken in yet be refused the same way however often it asks? Not where the gateway is away or has trouble of
 * its own.
 */
export function isFinal(error: unknown): error is NetworkError {
  return error instanceof NetworkError && !error.retryable && error.kind !== 'Tampered';
}

/** A pin in a file. */
export class GatewayPin {
  readonly #path: string;
  #pin: Pin | undefined;

  private constructor(path: string, pin: Pin | undefined) {
    this.#path = path;
    this.#pin = pin;
  }

  /** @throws NetworkError 'BadIdentity' when the file is there and is not a pin */
  static async open(path: string): Promise<GatewayPin> {
    try {
      const text = await readIfThere(path);
      return new GatewayPin(path, text === undefined ? undefined : parseMessage(pinSchema, JSON.parse(text)));
    } catch (error) {
      throw new NetworkError('BadIdentity', `${path} does not say which gateway is ours`, { cause: error });
    }
  }

  get pin(): Pin | undefined {
    return this.#pin;
  }

  /**
   * Pins the gateway that was met, or checks that it is the pinned one.
   * @throws NetworkError 'BadIdentity' for another gateway than was pinned or than the token is of
   */
  async meet(met: { id: PartyId; publicKey: string }, token: string | undefined): Promise<void> {
    const expected = this.#pin?.id ?? (token === undefined ? undefined : gatewayOfToken(token));
    if (expected !== undefined && expected !== met.id) {
      const why = this.#pin ? 'this data folder belongs to it' : 'the join token is of it';
      throw new NetworkError(
        'BadIdentity',
        `gateway ${expected} was expected (${why}), and ${met.id} answers`,
      );
    }
    this.#pin ??= await this.#save({ version: 1, id: met.id, publicKey: met.publicKey });
  }

  /** Notes durably that the gateway has taken the party in. */
  async accept(as: string): Promise<void> {
    if (this.#pin && this.#pin.accepted !== as) this.#pin = await this.#save({ ...this.#pin, accepted: as });
  }

  async #save(pin: Pin): Promise<Pin> {
    await replaceFile(this.#path, `${JSON.stringify(pin)}\n`);
    return pin;
  }
}
