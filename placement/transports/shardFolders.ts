import { mkdir, readdir } from 'node:fs/promises';
import type { DirectorySyncs } from './directorySync.ts';
import { errorCode } from './fileCalls.ts';

/** The folders of a provider's directory that shards lie in, made when the first shard comes. */
export class ShardFolders {
  readonly #shards: string;
  readonly #syncs: DirectorySyncs;
  #durable: Promise<Set<string>> | undefined;

  /** @param root directory of the provider */
  constructor(root: string, syncs: DirectorySyncs) {
    this.#shards = `${root}/shards`;
    this.#syncs = syncs;
  }

  /** Resolves when the folder is there and will outlast a loss of power. */
  async ensure(folder: string): Promise<void> {
    this.#durable ??= this.#find();
    const durable = await this.#durable;
    if (durable.has(folder)) return;
    await mkdir(`${this.#shards}/${folder}`).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    // Who comes while this runs makes its own sync, or shares one that begins later.
    await this.#syncs.sync(this.#shards);
    durable.add(folder);
  }

  /** Names of the folders, in order. */
  async names(): Promise<string[]> {
    const names = await readdir(this.#shards);
    return names.filter((name) => /^[0-9a-f]{2}$/.test(name)).sort();
  }

  /** To be called when folders may have gone. */
  forget(): void {
    this.#durable = undefined;
  }

  async #find(): Promise<Set<string>> {
    try {
      const names = await this.names();
      await this.#syncs.sync(this.#shards);
      return new Set(names);
    } catch (error) {
      this.#durable = undefined;
      throw error;
    }
  }
}
