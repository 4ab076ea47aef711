/**
 * The account's access keys: the root credential, and further ones in a file with their secrets sealed. Other processes may replace the file:
 * what they change counts here within a second.
 */
import { readCredentialFile, stampOfCredentialFile, writeCredentialFile } from './credentialFile.ts';
import type { StoredKey } from './credentialFile.ts';
import { CredentialError, generateRootCredential, refuseWeakSecret } from './secrets.ts';
import type { KeyPair } from './secrets.ts';
import type { Credential, CredentialStore } from './types.ts';

/** Encrypts small secrets at rest. `context` binds a sealed text to its place: opening needs the same one. */
export interface Sealer {
  seal(text: string, context: string): string | Promise<string>;
  /** Throws for altered text and for another context. */
  open(sealed: string, context: string): string | Promise<string>;
}

export interface CredentialStoreOptions {
  /** From configuration, or generated on the first start. Never written to the file. */
  readonly root: KeyPair;
  /** Whom all keys belong to. */
  readonly account: { readonly owner: string; readonly displayName: string };
  /** Its directory must exist. */
  readonly path: string;
  readonly sealer: Sealer;
  readonly clock: {
    /** ms since the epoch */
    now(): number;
  };
}

/** An access key as an operator sees it: no secret. */
interface AccessKeyInfo {
  readonly accessKey: string;
  /** What the operator called it. Credentials carry the account's name instead: it is the owner that S3 shows. */
  readonly displayName: string;
  /** ms since the epoch; undefined for the root credential. */
  readonly created: number | undefined;
  readonly enabled: boolean;
  readonly root: boolean;
}

/**
 * A change is durable when its promise resolves, and counts from then on for every request to this process, and a second later for those to
 * other processes with the same file.
 */
export interface ManagedCredentialStore extends CredentialStore {
  /** Takes up what other processes have changed, at once. @throws CredentialError 'UnreadableFile' */
  refresh(): Promise<void>;
  /** Root first, then in order of creation. */
  list(): readonly AccessKeyInfo[];
  /** The only time the secret is shown. @throws CredentialError 'InvalidName' unless 1 to 128 printable characters */
  create(displayName: string): Promise<KeyPair>;
  /** False when there is no such key. @throws CredentialError 'RootCredential' */
  remove(accessKey: string): Promise<boolean>;
  /** False when there is no such key. @throws CredentialError 'RootCredential' */
  setEnabled(accessKey: string, enabled: boolean): Promise<boolean>;
}

/** @throws CredentialError 'WeakSecret', 'UnreadableFile' */
export async function openCredentialStore(options: CredentialStoreOptions): Promise<ManagedCredentialStore> {
  refuseWeakSecret(options.root);
  const store = new FileCredentialStore(options);
  await store.load();
  return store;
}

interface OpenedKey {
  readonly stored: StoredKey;
  readonly credential: Credential;
}

/** How long the file is taken to be as it was. */
const LOOK_MS = 500;
const NAME = /^[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u;

class FileCredentialStore implements ManagedCredentialStore {
  readonly #options: CredentialStoreOptions;
  readonly #root: Credential;
  #keys: ReadonlyMap<string, OpenedKey> = new Map();
  /** Changes happen one after the other: each writes the whole file. */
  #changes: Promise<unknown> = Promise.resolve();
  /** Of the file that `#keys` is from, and until when it counts; by a clock that only grows. */
  #stamp: string | undefined;
  #until = -Infinity;
  #looking: Promise<void> | undefined;

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
    this.#root = { ...options.root, ...options.account };
  }

  async load(): Promise<void> {
    // Taken first: a file replaced in between is read again.
    const stamp = await stampOfCredentialFile(this.#options.path);
    if (stamp === this.#stamp) return;
    const keys = new Map<string, OpenedKey>();
    for (const stored of await readCredentialFile(this.#options.path)) {
      if (stored.accessKey === this.#root.accessKey || keys.has(stored.accessKey)) {
        throw new CredentialError('UnreadableFile', `The access key ${stored.accessKey} exists twice.`);
      }
      keys.set(stored.accessKey, {
        stored,
        credential: this.#credential(stored.accessKey, await this.#open(stored)),
      });
    }
    this.#keys = keys;
    this.#stamp = stamp;
  }

  /** @throws CredentialError 'UnreadableFile': whose key counts is not known, but for the root's */
  async find(accessKey: string): Promise<Credential | undefined> {
    if (accessKey === this.#root.accessKey) return this.#root;
    if (performance.now() >= this.#until) await this.#look();
    const key = this.#keys.get(accessKey);
    return key?.stored.enabled === true ? key.credential : undefined;
  }

  refresh(): Promise<void> {
    return this.#look();
  }

  /** Changes of this process come before or after it, never in between. */
  #look(): Promise<void> {
    this.#looking ??= this.#inTurn(async () => {
      const now = performance.now();
      await this.load();
      this.#until = now + LOOK_MS;
    }).finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(work);
    this.#changes = done.catch(() => undefined);
    return done;
  }

  list(): readonly AccessKeyInfo[] {
    const { accessKey } = this.#root;
    const keys: AccessKeyInfo[] = [
      {
        accessKey,
        displayName: this.#options.account.displayName,
        created: undefined,
        enabled: true,
        root: true,
      },
    ];
    for (const { stored } of this.#keys.values()) {
      const { accessKey, displayName, created, enabled } = stored;
      keys.push({ accessKey, displayName, created, enabled, root: false });
    }
    return keys;
  }

  async create(displayName: string): Promise<KeyPair> {
    if (!NAME.test(displayName) || displayName.trim() === '') {
      throw new CredentialError(
        'InvalidName',
        'The name of an access key must have 1 to 128 printable characters.',
      );
    }
    const pair = generateRootCredential();
    const { accessKey, secretKey } = pair;
    const sealed = await this.#options.sealer.seal(secretKey, sealingContext(accessKey));
    const created = this.#options.clock.now();
    const stored: StoredKey = { accessKey, displayName, created, enabled: true, sealed };
    await this.#change((keys) => {
      keys.set(accessKey, { stored, credential: this.#credential(accessKey, secretKey) });
      return true;
    });
    return pair;
  }

  remove(accessKey: string): Promise<boolean> {
    return this.#change((keys) => {
      this.#refuseRoot(accessKey);
      return keys.delete(accessKey);
    });
  }

  setEnabled(accessKey: string, enabled: boolean): Promise<boolean> {
    return this.#change((keys) => {
      this.#refuseRoot(accessKey);
      const key = keys.get(accessKey);
      if (key === undefined) return false;
      keys.set(accessKey, { ...key, stored: { ...key.stored, enabled } });
      return true;
    });
  }

  /** Applies `edit` to a copy and writes it; the copy becomes what `find` sees only once it is durable. */
  #change(edit: (keys: Map<string, OpenedKey>) => boolean): Promise<boolean> {
    return this.#inTurn(async () => {
      // What another process has changed stays.
      await this.load();
      const keys = new Map(this.#keys);
      if (!edit(keys)) return false;
      await writeCredentialFile(
        this.#options.path,
        [...keys.values()].map((key) => key.stored),
      );
      this.#keys = keys;
      // Another process may have replaced it since: it is read once more.
      this.#stamp = undefined;
      return true;
    });
  }

  #refuseRoot(accessKey: string): void {
    if (accessKey !== this.#root.accessKey) return;
    throw new CredentialError('RootCredential', 'The root credential is changed in the configuration only.');
  }

  async #open(stored: StoredKey): Promise<string> {
    try {
      return await this.#options.sealer.open(stored.sealed, sealingContext(stored.accessKey));
    } catch (error) {
      throw new CredentialError(
        'UnreadableFile',
        `The secret of access key ${stored.accessKey} in ${this.#options.path} cannot be opened: the key file does not belong to it, or it was altered.`,
        { cause: error },
      );
    }
  }

  #credential(accessKey: string, secretKey: string): Credential {
    return { accessKey, secretKey, ...this.#options.account };
  }
}

function sealingContext(accessKey: string): string {
  return `credential/${accessKey}`;
}
