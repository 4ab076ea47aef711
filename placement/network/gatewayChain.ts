import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createHasher } from '#erasure';
import { BeaconChain } from './beacon.ts';
import { readIfThere, replaceFile } from './durableFile.ts';
import { NetworkError } from './errors.ts';

const hasher = createHasher();

/** The gateway's own hash chain, with how far it has been shown. */
export class GatewayChain {
  readonly #path: string;
  readonly #chain: BeaconChain;
  readonly #canarySecret: Uint8Array;
  #shown: number;

  private constructor(path: string, seed: Uint8Array, shown: number) {
    this.#path = path;
    this.#chain = new BeaconChain(seed);
    // Not of the chain: its values are shown, down to the seed.
    this.#canarySecret = hasher.hash(Buffer.concat([Buffer.from('shardway canaries '), seed]));
    this.#shown = shown;
  }

  /** @throws NetworkError 'BadIdentity' when the files are there and are not what was written */
  static async open(folder: string): Promise<GatewayChain> {
    const seedPath = join(folder, 'beacon.seed');
    const shownPath = join(folder, 'beacon.shown');
    let seed = (await readIfThere(seedPath))?.trim();
    if (seed === undefined) {
      seed = randomBytes(32).toString('hex');
      await replaceFile(seedPath, seed);
    }
    const shown = Number((await readIfThere(shownPath)) ?? 0);
    if (!/^[0-9a-f]{64}$/.test(seed) || !Number.isSafeInteger(shown) || shown < 0) {
      throw new NetworkError(
        'BadIdentity',
        `${seedPath} or ${shownPath} is damaged: restore it from its backup`,
      );
    }
    return new GatewayChain(shownPath, Buffer.from(seed, 'hex'), shown);
  }

  get tip(): string {
    return this.#chain.tip;
  }

  /** The next value to show. A value is counted before it is shown, so that none is ever shown for two eras. */
  async reveal(): Promise<string> {
    const next = this.#shown + 1;
    const value = this.#chain.reveal(next);
    await replaceFile(this.#path, String(next));
    this.#shown = next;
    return value;
  }

  /**
   * The secret that the samples of the era are drawn with whose value was shown last: BLAKE3('shardway sampling ' ‖ the next value). The chain's
   * tip binds the gateway to it, nobody else can know it yet, and once the next value is shown everybody can check it.
   */
  sampling(): string {
    const next = Buffer.from(this.#chain.reveal(this.#shown + 1), 'hex');
    const text = Buffer.from('shardway sampling ');
    return Buffer.from(hasher.hash(Buffer.concat([text, next]))).toString('hex');
  }

  /** 32 bytes that canaries are drawn with: never shown. */
  get canarySecret(): Uint8Array {
    return this.#canarySecret;
  }
}
