import { closeQuietly, fsync, openDirectory } from './fileCalls.ts';

/**
 * Makes names in directories durable by group commit: a change made before `sync` is called is covered by a sync that
 * starts afterwards, so all that wait for a running sync share the one that follows it.
 */
export class DirectorySyncs {
  readonly #directories = new Map<string, Directory>();
  readonly #fsync: (fd: number) => Promise<void>;

  constructor(fsyncCall: (fd: number) => Promise<void> = fsync) {
    this.#fsync = fsyncCall;
  }

  /** Resolves when every name in the directory at the time of the call is durable. */
  sync(path: string): Promise<void> {
    let directory = this.#directories.get(path);
    if (!directory) {
      directory = new Directory(path, this.#fsync);
      this.#directories.set(path, directory);
    }
    return directory.sync();
  }

  /** Closes all descriptors; a later sync opens its directory anew, which matters when the directories were replaced. */
  async forget(): Promise<void> {
    const directories = [...this.#directories.values()];
    this.#directories.clear();
    await Promise.all(directories.map((directory) => directory.close()));
  }
}

class Directory {
  readonly #path: string;
  readonly #fsync: (fd: number) => Promise<void>;
  #fd: number | undefined;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(path: string, fsyncCall: (fd: number) => Promise<void>) {
    this.#path = path;
    this.#fsync = fsyncCall;
  }

  sync(): Promise<void> {
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  /** From here on a new change needs another sync. */
  #start(): Promise<void> {
    this.#next = undefined;
    this.#running = this.#synchronise();
    return this.#running;
  }

  async #synchronise(): Promise<void> {
    this.#fd ??= await openDirectory(this.#path);
    try {
      await this.#fsync(this.#fd);
    } catch (error) {
      await this.#release();
      throw error;
    }
  }

  async close(): Promise<void> {
    // A sync that was asked for before still runs, and may open the directory once more.
    while (this.#next) await this.#next.catch(() => undefined);
    await this.#running.catch(() => undefined);
    await this.#release();
  }

  async #release(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) await closeQuietly(fd);
  }
}
