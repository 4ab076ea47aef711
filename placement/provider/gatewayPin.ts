import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import { NetworkError } from '../network/errors.ts';
import type { PartyId } from '../network/identity.ts';
import { parseMessage } from '../network/signed.ts';
import {
  closeQuietly,
  errorCode,
  fsync,
  open,
  openDirectory,
  rename,
  writeAt,
} from '../transports/fileCalls.ts';

/** The gateway that this party belongs to, from the first time it met it. */
const pinSchema = z.strictObject({
  version: z.literal(1),
  id: z.string().regex(/^[0-9a-f]{32}$/),
  publicKey: z.string().max(64),
  /** What the gateway took the party in as, in the party's own words; absent until it did. */
  accepted: z.string().max(4096).optional(),
});
type Pin = z.infer<typeof pinSchema>;

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
      return new GatewayPin(path, parseMessage(pinSchema, JSON.parse(await readFile(path, 'utf8'))));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return new GatewayPin(path, undefined);
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
      throw new NetworkError('BadIdentity', `gateway ${expected} was expected, and ${met.id} answers`);
    }
    this.#pin ??= await this.#save({ version: 1, id: met.id, publicKey: met.publicKey });
  }

  /** Notes durably that the gateway has taken the party in. */
  async accept(as: string): Promise<void> {
    if (this.#pin && this.#pin.accepted !== as) this.#pin = await this.#save({ ...this.#pin, accepted: as });
  }

  async #save(pin: Pin): Promise<Pin> {
    const temporary = `${this.#path}.new`;
    await written(temporary, Buffer.from(`${JSON.stringify(pin)}\n`));
    await rename(temporary, this.#path);
    const folder = await openDirectory(dirname(this.#path));
    try {
      await fsync(folder);
    } finally {
      await closeQuietly(folder);
    }
    return pin;
  }
}

/** The gateway that a join token is of. @throws NetworkError 'BadMessage' */
export function gatewayOfToken(token: string): PartyId {
  const match = /^sj_([0-9a-f]{32})_[0-9a-f]{32}$/.exec(token);
  if (!match) throw new NetworkError('BadMessage', 'the join token is not one');
  return match[1]!;
}

async function written(path: string, bytes: Uint8Array): Promise<void> {
  const fd = await open(path, 'w', 0o600);
  try {
    await writeAt(fd, [bytes], 0);
    await fsync(fd);
  } finally {
    await closeQuietly(fd);
  }
}
