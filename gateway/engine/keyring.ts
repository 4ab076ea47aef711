/** Key-encryption keys: they wrap each body's data key, and seal small secrets. */

import {
  createKeyFile,
  KEY_BYTES,
  keyFilePath,
  newGeneration,
  readKeyFile,
  replaceKeyFile,
} from './keyFile.ts';
import type { Generation, Generations } from './keyFile.ts';
import { openUnder, sealUnder } from './keyWrapping.ts';
import { EngineError } from './types.ts';

/** A wrapped data key, as stored in metadata. */
interface WrappedKey {
  /** Which key-encryption key: its id in the key file, or 'customer' for SSE-C. */
  readonly keyId: string;
  readonly bytes: Uint8Array;
}

/** Asynchronous, so that a key management service fits. */
export interface KeyEncryption {
  /** `context` binds the wrapped key to its place (a body's id): unwrapping needs the same one. */
  wrap(dataKey: Uint8Array, context: string): Promise<WrappedKey>;
  /** @throws EngineError 'AccessDenied': wrong customer key. 'Unreadable': unknown key id, altered bytes or another context. */
  unwrap(wrapped: WrappedKey, context: string): Promise<Buffer>;
}

/** The gateway's own keys, in a file. */
export interface Keyring extends KeyEncryption {
  /** Id of the generation that wraps and seals now. */
  readonly currentKeyId: string;
  /** Ids of all generations, oldest first. */
  readonly keyIds: readonly string[];
  /** Adds a generation, durably, and makes it current. Older ones stay to unwrap. Returns its id. @throws EngineError 'OperationAborted' while another rotation is under way */
  rotate(): Promise<string>;
  /** The key wrapped anew under the current generation; the same object when it already is. */
  rewrap(wrapped: WrappedKey, context: string): Promise<WrappedKey>;
  /** Encrypts a small secret under the current generation. */
  seal(secret: Uint8Array, context: string): Buffer;
  /** @throws EngineError 'Unreadable' */
  open(sealed: Uint8Array, context: string): Buffer;
}

const CUSTOMER_KEY_ID = 'customer';

/**
 * Opens `<dataDirectory>/keys/master.json`, creating it (0600, in a directory of 0700) with one random key on the first start.
 * @throws EngineError 'Unreadable' when the file is malformed or others than its owner may read it
 */
export async function openKeyring(dataDirectory: string): Promise<Keyring> {
  const path = keyFilePath(dataDirectory);
  const found = await readKeyFile(path);
  if (found) return new FileKeyring(path, found);
  const created: Generations = [newGeneration()];
  if (await createKeyFile(path, created)) return new FileKeyring(path, created);
  return openKeyring(dataDirectory);
}

class FileKeyring implements Keyring {
  readonly #path: string;
  #generations: Generations;

  constructor(path: string, generations: Generations) {
    this.#path = path;
    this.#generations = generations;
  }

  get currentKeyId(): string {
    return this.#current().id;
  }

  get keyIds(): readonly string[] {
    return this.#generations.map(({ id }) => id);
  }

  async rotate(): Promise<string> {
    this.#generations = await replaceKeyFile(this.#path, (now) => {
      // Without the file there is nothing to add to, and writing one anew would hide that it was lost.
      if (!now)
        throw new EngineError('Unreadable', `The key file ${this.#path} is gone; restore it from a backup.`);
      return [...now, newGeneration()];
    });
    return this.currentKeyId;
  }

  async wrap(dataKey: Uint8Array, context: string): Promise<WrappedKey> {
    const { id, key } = this.#current();
    return { keyId: id, bytes: sealUnder(key, dataKey, { purpose: 'data key', context }) };
  }

  async unwrap({ keyId, bytes }: WrappedKey, context: string): Promise<Buffer> {
    const generation = this.#find(keyId) ?? (await this.#reloadFor(keyId));
    const dataKey = openUnder(generation.key, bytes, { purpose: 'data key', context });
    if (!dataKey) throw new EngineError('Unreadable', 'A stored data key does not verify.');
    return dataKey;
  }

  async rewrap(wrapped: WrappedKey, context: string): Promise<WrappedKey> {
    if (wrapped.keyId === this.currentKeyId) return wrapped;
    return this.wrap(await this.unwrap(wrapped, context), context);
  }

  /** Length of the generation's id, its id, then the sealed bytes. */
  seal(secret: Uint8Array, context: string): Buffer {
    const { id, key } = this.#current();
    const sealed = sealUnder(key, secret, { purpose: 'secret', context });
    return Buffer.concat([Buffer.of(id.length), Buffer.from(id, 'latin1'), sealed]);
  }

  open(sealed: Uint8Array, context: string): Buffer {
    const idEnd = 1 + (sealed[0] ?? 0);
    const id = Buffer.from(sealed.subarray(1, idEnd)).toString('latin1');
    const generation = this.#find(id);
    const secret =
      generation && openUnder(generation.key, sealed.subarray(idEnd), { purpose: 'secret', context });
    if (!secret)
      throw new EngineError('Unreadable', 'A sealed secret does not open with any key of this gateway.');
    return secret;
  }

  #current(): Generation {
    return this.#generations.at(-1) ?? this.#generations[0];
  }

  #find(id: string): Generation | undefined {
    return this.#generations.find((generation) => generation.id === id);
  }

  /** Another process may have rotated since the file was read. */
  async #reloadFor(id: string): Promise<Generation> {
    this.#generations = (await readKeyFile(this.#path)) ?? this.#generations;
    const generation = this.#find(id);
    if (!generation)
      throw new EngineError('Unreadable', `The key ${id} is not in the key file ${this.#path}.`);
    return generation;
  }
}

/** SSE-C: wraps with the customer's key, which is kept no longer than this object. @throws EngineError 'InvalidArgument' unless the key is 32 bytes */
export function customerKeyEncryption(customerKey: Uint8Array): KeyEncryption {
  if (customerKey.length !== KEY_BYTES) {
    throw new EngineError('InvalidArgument', 'The secret key was invalid for the specified algorithm.');
  }
  return {
    async wrap(dataKey, context) {
      const bytes = sealUnder(customerKey, dataKey, { purpose: 'customer data key', context });
      return { keyId: CUSTOMER_KEY_ID, bytes };
    },
    async unwrap({ keyId, bytes }, context) {
      if (keyId !== CUSTOMER_KEY_ID)
        throw new EngineError('Unreadable', 'The data key is not wrapped with a customer key.');
      const dataKey = openUnder(customerKey, bytes, { purpose: 'customer data key', context });
      if (!dataKey)
        throw new EngineError('AccessDenied', 'The provided encryption key does not match the object.');
      return dataKey;
    },
  };
}
