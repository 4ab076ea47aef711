/** A data folder's files belong to the data beside them, or in the shared store: with others of their kind it could not be read. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#placement';
import type { ChunkCatalog } from '#placement';
import type { Account } from './account.ts';
import { openCredentialStore } from './auth/credentials.ts';
import type { ManagedCredentialStore } from './auth/credentials.ts';
import { ConfigError } from './config.ts';
import type { Config } from './config.ts';
import { keyFilePath } from './engine/keyFile.ts';
import { openKeyring } from './engine/keyring.ts';
import type { Keyring } from './engine/keyring.ts';
import { isShared } from './providers.ts';

const KEYS_NOTE = 'keys.first';
const OWNER_NOTE = 'account.owner';

/** What a data folder's files have to fit. */
const storeOf = ({ metadata, data }: Config): string =>
  metadata === 'lmdb' ? `the data in ${data}` : 'the shared store';

const remedyOf = ({ metadata }: Config): string =>
  metadata === 'lmdb'
    ? 'restore it from its backup'
    : 'copy account.json, keys and root-credentials.json from the first gateway’s data folder';

/** Another gateway has used the shared store before. */
export async function isJoining(config: Config, catalog: ChunkCatalog): Promise<boolean> {
  return isShared(config) && (await catalog.getNote(OWNER_NOTE)) !== undefined;
}

/** Buckets belong to their owner: under another one, as after the loss of its file, no key could reach them. @throws ConfigError */
export async function checkOwner(config: Config, catalog: ChunkCatalog, { owner }: Account): Promise<void> {
  const expected = await catalog.getNote(OWNER_NOTE);
  if (expected === undefined) await catalog.setNote(OWNER_NOTE, owner);
  else if (expected !== owner) {
    throw new ConfigError(
      `${join(config.data, 'account.json')} does not belong to ${storeOf(config)}: ${remedyOf(config)}, or set its owner to ${expected}`,
    );
  }
}

/**
 * Opens the key-encryption keys. A new one beside metadata that was written under another would make every body unreadable without a word.
 * @throws ConfigError
 */
export async function openKeys(config: Config, catalog: ChunkCatalog): Promise<Keyring> {
  const expected = await catalog.getNote(KEYS_NOTE);
  const keyFile = keyFilePath(config.data);
  if (expected !== undefined && !existsSync(keyFile)) {
    throw new ConfigError(
      `${keyFile} is missing, and the data of ${storeOf(config)} is encrypted under it: ${remedyOf(config)}`,
    );
  }
  const keyring = await openKeyring(config.data);
  if (expected !== undefined && !keyring.keyIds.includes(expected)) {
    throw new ConfigError(
      `${keyFile} does not belong to ${storeOf(config)}, the key ${expected} is not in it: ${remedyOf(config)}`,
    );
  }
  if (expected === undefined) await catalog.setNote(KEYS_NOTE, keyring.currentKeyId);
  return keyring;
}

export async function openCredentials(
  config: Config,
  account: Account,
  keyring: Keyring,
): Promise<ManagedCredentialStore> {
  return await openCredentialStore({
    root: account.root,
    account: { owner: account.owner, displayName: 'root' },
    path: join(config.data, 'credentials.json'),
    sealer: {
      seal: (text, context) => keyring.seal(Buffer.from(text), context).toString('base64'),
      open: (sealed, context) => keyring.open(Buffer.from(sealed, 'base64'), context).toString(),
    },
    clock: systemClock,
  });
}
