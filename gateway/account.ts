import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { makePrivateFile } from './auth/privateFile.ts';
import { generateRootCredential } from './auth/secrets.ts';
import type { KeyPair } from './auth/secrets.ts';
import { ConfigError, settingError } from './config.ts';
import type { Config } from './config.ts';
import { assertFree } from './listening.ts';
import { isShared } from './providers.ts';

/** The one account of a data folder: its owner id outlives every key. */
export interface Account {
  readonly owner: string;
  readonly root: KeyPair;
  /** The root key was made by this start: its secret is shown once. */
  readonly isNew: boolean;
  /** File that holds the root key, when the configuration does not. */
  readonly credentialsFile: string | undefined;
}

/** Makes the data folder where it is missing. @throws ConfigError */
export async function makeDataFolder({ data }: Pick<Config, 'data'>): Promise<void> {
  await mkdir(data, { recursive: true, mode: 0o700 }).catch((error: Error) => {
    throw settingError('data', `cannot be used as a folder: ${error.message}`, error);
  });
}

/**
 * Reads the account of the data folder, making it at the first start, when it can serve.
 * @param isJoining other gateways have used the store: their account and root key are to be this one's
 * @throws ConfigError
 */
export async function openAccount(config: Config, isJoining = false): Promise<Account> {
  const accountFile = join(config.data, 'account.json');
  const credentialsFile = join(config.data, 'root-credentials.json');
  const files = config.root === undefined ? [accountFile, credentialsFile] : [accountFile];
  const missing = files.find((file) => !existsSync(file));
  if (missing !== undefined && isJoining) {
    throw new ConfigError(
      `${missing} is missing, and other gateways have used the shared store: copy account.json, keys and root-credentials.json from the first gateway’s data folder`,
    );
  }
  if (missing !== undefined) await assertFree(boundAtOnce(config));
  const { value: account } = await readOrMake(accountFile, ['owner'], () => ({
    // As long as AWS's canonical user ids.
    owner: randomBytes(32).toString('hex'),
  }));
  if (config.root !== undefined) {
    return { owner: account.owner, root: config.root, isNew: false, credentialsFile: undefined };
  }
  const { value: root, made } = await readOrMake(credentialsFile, ['accessKey', 'secretKey'], () => ({
    ...generateRootCredential(),
  }));
  return { owner: account.owner, root, isNew: made, credentialsFile };
}

/** Over a shared store another gateway may do the background work: then this one does not listen for the network. */
function boundAtOnce(config: Config): Parameters<typeof assertFree>[0] {
  const { listen, adminListen, networkListen } = config;
  return { listen, adminListen, networkListen: isShared(config) ? undefined : networkListen };
}

/** @throws ConfigError when the file is not what it should be, or others may read it */
async function readOrMake<Field extends string>(
  file: string,
  fields: readonly Field[],
  make: () => Record<Field, string>,
): Promise<{ value: Record<Field, string>; made: boolean }> {
  let text: string;
  try {
    const handle = await open(file, 'r');
    try {
      const { mode } = await handle.stat();
      if ((mode & 0o077) !== 0) throw new ConfigError(`${file} is open to other users: set its mode to 0600`);
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const value = make();
    if (await makePrivateFile(file, `${JSON.stringify(value)}\n`)) return { value, made: true };
    // Another start at the same time was faster: what it made holds.
    return await readOrMake(file, fields, make);
  }
  return { value: parse(file, text, fields), made: false };
}

function parse<Field extends string>(
  file: string,
  text: string,
  fields: readonly Field[],
): Record<Field, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${file} is not JSON`, { cause: error });
  }
  const record = value as Record<Field, unknown> | null;
  if (record === null || fields.some((field) => typeof record[field] !== 'string' || record[field] === '')) {
    throw new ConfigError(`${file} must hold ${fields.join(' and ')}`);
  }
  return record as Record<Field, string>;
}
