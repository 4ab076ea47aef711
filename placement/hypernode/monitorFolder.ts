/**
 * What a HyperNode keeps:
 *
 *     identity.pem    its key
 *     beacon.seed     seed of its hash chain, 64 hex digits
 *     gateway.json    who the gateway is
 *     stated.json     what it last said of itself
 *     reveals.json    how much of the chain it has shown, which era it has begun, and its last report
 *
 * A report and the count of its reveal become durable together and before anything is sent: after a crash the same report goes out again, and
 * no value of the chain is ever shown in two of them.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { BeaconChain } from '../network/beacon.ts';
import { readIfThere, replaceFile } from '../network/durableFile.ts';
import { NetworkError } from '../network/errors.ts';
import { openIdentity, type Identity } from '../network/identity.ts';
import { parseMessage, signedSchema, type Signed } from '../network/signed.ts';
import { GatewayPin } from '../provider/gatewayPin.ts';

const revealsSchema = z.strictObject({
  version: z.literal(1),
  /** Values of the chain that have been shown. */
  count: z.int().nonnegative(),
  /** Last era whose challenges may have been asked. */
  begun: z.int().nonnegative().optional(),
  report: z.strictObject({ era: z.int().nonnegative(), statement: signedSchema }).optional(),
});
type Reveals = z.infer<typeof revealsSchema>;

export class MonitorFolder {
  readonly identity: Identity;
  /** The gateway that it belongs to. */
  readonly pin: GatewayPin;
  readonly #path: string;
  readonly #chain: BeaconChain;
  #reveals: Reveals;

  private constructor(path: string, identity: Identity, pin: GatewayPin, seed: Uint8Array, reveals: Reveals) {
    this.#path = path;
    this.identity = identity;
    this.pin = pin;
    this.#chain = new BeaconChain(seed);
    this.#reveals = reveals;
  }

  /** @throws NetworkError 'BadIdentity' | 'Tampered' for files that are not what was written */
  static async open(path: string): Promise<MonitorFolder> {
    const identity = await openIdentity(join(path, 'identity.pem'));
    const pin = await GatewayPin.open(join(path, 'gateway.json'));
    const { seed, reveals } = await openChain(path);
    return new MonitorFolder(path, identity, pin, seed, reveals);
  }

  /** The gateway has taken it in at some time. An older release did not note it; that an era was begun says the same. */
  get accepted(): boolean {
    return this.pin.pin?.accepted !== undefined || this.#reveals.begun !== undefined;
  }

  /** Notes durably that the gateway has taken it in. */
  async accept(as: object): Promise<void> {
    await this.pin.accept(JSON.stringify(as));
  }

  /** End of its hash chain. */
  get beaconTip(): string {
    return this.#chain.tip;
  }

  /** Called before an era's first challenge. True when the era was begun before: grants of it may have been used. */
  async begin(era: number): Promise<boolean> {
    if (this.#reveals.begun === era) return true;
    await this.#save({ ...this.#reveals, begun: era });
    return false;
  }

  /** The report that was made for this era. */
  reportOf(era: number): Signed | undefined {
    return this.#reveals.report?.era === era ? this.#reveals.report.statement : undefined;
  }

  /** The era's report: the one that was made before, or a new one with the next value of the chain. */
  async report(era: number, make: (reveal: string) => Signed): Promise<Signed> {
    const made = this.reportOf(era);
    if (made) return made;
    const count = this.#reveals.count + 1;
    const statement = make(this.#chain.reveal(count));
    await this.#save({ ...this.#reveals, count, report: { era, statement } });
    return statement;
  }

  async #save(reveals: Reveals): Promise<void> {
    await replaceFile(join(this.#path, 'reveals.json'), JSON.stringify(reveals));
    this.#reveals = reveals;
  }
}

/** The count is there before the seed: a seed without one has lost it, and its chain must not be used again. */
async function openChain(path: string): Promise<{ seed: Uint8Array; reveals: Reveals }> {
  const seedPath = join(path, 'beacon.seed');
  const found = await readIfThere(seedPath);
  if (found === undefined) {
    const reveals: Reveals = { version: 1, count: 0 };
    const seed = randomBytes(32);
    await replaceFile(join(path, 'reveals.json'), JSON.stringify(reveals));
    await replaceFile(seedPath, `${seed.toString('hex')}\n`);
    return { seed, reveals };
  }
  if (!/^[0-9a-f]{64}\s*$/.test(found))
    throw new NetworkError('Tampered', `${seedPath} does not hold a seed`);
  const reveals = await readJson(join(path, 'reveals.json'), revealsSchema);
  if (reveals === undefined) {
    throw new NetworkError(
      'Tampered',
      `${path} has lost reveals.json: what its beacon chain has shown is unknown`,
    );
  }
  return { seed: Buffer.from(found.trim(), 'hex'), reveals };
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return parseMessage(schema, JSON.parse(text));
  } catch (error) {
    throw new NetworkError('Tampered', `${path} is not what was written`, { cause: error });
  }
}
