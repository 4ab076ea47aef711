/** The file of access keys: JSON, version 1, secrets sealed. */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CredentialError } from './secrets.ts';

export interface StoredKey {
  readonly accessKey: string;
  readonly displayName: string;
  /** ms since the epoch */
  readonly created: number;
  readonly enabled: boolean;
  /** The secret, sealed for this access key. */
  readonly sealed: string;
}

const VERSION = 1;

/** Empty when there is no file yet. @throws CredentialError 'UnreadableFile' */
export async function readCredentialFile(path: string): Promise<readonly StoredKey[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new CredentialError('UnreadableFile', `The credential file ${path} cannot be read.`, {
      cause: error,
    });
  }
  const content = parse(text, path);
  if (content['version'] !== VERSION) {
    throw new CredentialError('UnreadableFile', `The credential file ${path} is not of version ${VERSION}.`);
  }
  const keys = content['keys'];
  if (!Array.isArray(keys) || !keys.every(isStoredKey)) {
    throw new CredentialError('UnreadableFile', `The credential file ${path} is malformed.`);
  }
  return keys;
}

/** The parser's own error is left out: it quotes the file. */
function parse(text: string, path: string): Record<string, unknown> {
  try {
    const content: unknown = JSON.parse(text);
    if (isRecord(content)) return content;
  } catch {
    // Falls through to the error below.
  }
  throw new CredentialError('UnreadableFile', `The credential file ${path} is not a JSON object.`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isStoredKey(value: unknown): value is StoredKey {
  return (
    isRecord(value) &&
    typeof value['accessKey'] === 'string' &&
    typeof value['displayName'] === 'string' &&
    typeof value['created'] === 'number' &&
    typeof value['enabled'] === 'boolean' &&
    typeof value['sealed'] === 'string'
  );
}

/** Replaces the file atomically and durably: write, sync, rename, sync the directory. Mode 0600. */
export async function writeCredentialFile(path: string, keys: readonly StoredKey[]): Promise<void> {
  const next = `${path}.next`;
  const file = await open(next, 'w', 0o600);
  try {
    // A file left by a crash keeps the mode it had.
    await file.chmod(0o600);
    await file.writeFile(`${JSON.stringify({ version: VERSION, keys }, undefined, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
