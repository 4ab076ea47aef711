/** The file of access keys: JSON, version 1, secrets sealed. */
import { readFile, stat } from 'node:fs/promises';
import { replacePrivateFile } from './privateFile.ts';
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

/** Another one whenever the file has been replaced; '' while there is none. @throws CredentialError 'UnreadableFile' */
export async function stampOfCredentialFile(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new CredentialError('UnreadableFile', `The credential file ${path} cannot be read.`, {
      cause: error,
    });
  }
}

/** Replaces the file atomically and durably. */
export async function writeCredentialFile(path: string, keys: readonly StoredKey[]): Promise<void> {
  await replacePrivateFile(path, `${JSON.stringify({ version: VERSION, keys }, undefined, 2)}\n`);
}
