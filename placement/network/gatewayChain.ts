import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { BeaconChain } from './beacon.ts';
import { readIfThere, replaceFile } from './durableFile.ts';
import { NetworkError } from './errors.ts';

/** The gateway's own hash chain, with how far it has been shown. */
export class GatewayChain {
  readonly #path: string;
  readonly #chain: BeaconChain;
  #shown: number;

  private constructor(path: string, chain: BeaconChain, shown: number) {
    this.#path = path;
    this.#chain = chain;
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
    return new GatewayChain(shownPath, new BeaconChain(Buffer.from(seed, 'hex')), shown);
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
}
