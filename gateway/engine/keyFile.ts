/** The file that holds the gateway's key-encryption keys: `<dataDirectory>/keys/master.json`, 0600 in a directory of 0700. */

import { randomBytes, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDurableDirectory, syncDirectory } from '../metadata/durableDirectory.ts';
import { EngineError } from './types.ts';

const FORMAT = 1;
export const KEY_BYTES = 32;
/** Permission bits of group and others. */
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;

export interface Generation {
  readonly id: string;
  /** ISO 8601. */
  readonly created: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** Oldest first; the last one is current. */
export type Generations = readonly [Generation, ...Generation[]];

export function newGeneration(): Generation {
  return {
    id: randomBytes(8).toString('hex'),
    created: new Date().toISOString(),
    key: randomBytes(KEY_BYTES),
  };
}

export function keyFilePath(dataDirectory: string): string {
  return join(dataDirectory, 'keys', 'master.json');
}

/** @throws EngineError 'Unreadable' when the file is malformed, or others than its owner may read it; undefined when there is none */
export async function readKeyFile(path: string): Promise<Generations | undefined> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, `it cannot be opened: ${(error as Error).message}`, error);
  }
  try {
    await assertPrivate(path, (await file.stat()).mode);
    return parse(path, await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}

/** Makes the file durably. Returns false when it is there already, made by another process at the same time. */
export async function createKeyFile(path: string, generations: Generations): Promise<boolean> {
  makeDurableDirectory(dirname(path));
  const draft = `${path}.${randomUUID()}`;
  await writeDurably(draft, generations);
  try {
    // Unlike a rename, a link never replaces.
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
    syncDirectory(dirname(path));
  }
}

/**
 * Replaces the file durably, whole or not at all.
 * @throws EngineError 'OperationAborted' while another replacement is under way, or one was cut short
 */
export async function replaceKeyFile(
  path: string,
  change: (now: Generations | undefined) => Generations,
): Promise<Generations> {
  const draft = `${path}.new`;
  // Its exclusive creation is the lock between processes: two rotations at once would lose one's key.
  await createEmpty(draft);
  let generations;
  try {
    generations = change(await readKeyFile(path));
    await writeDurably(draft, generations, 'r+');
    await rename(draft, path);
  } catch (error) {
    await unlink(draft);
    throw error;
  }
  syncDirectory(dirname(path));
  return generations;
}

async function createEmpty(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new EngineError(
      'OperationAborted',
      `A key rotation is under way, or one was cut short: if none is running, remove ${path}`,
    );
  }
}

async function writeDurably(path: string, generations: Generations, flags = 'wx'): Promise<void> {
  const keys = generations.map(({ id, created, key }) => ({ id, created, key: key.toString('base64') }));
  const file = await open(path, flags, 0o600);
  try {
    await file.writeFile(`${JSON.stringify({ format: FORMAT, keys }, undefined, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function assertPrivate(path: string, mode: number): Promise<void> {
  if (process.platform === 'win32') return;
  if (mode & OTHERS)
    throw unreadable(path, 'others than its owner may use it; make it private with: chmod 600');
  const directory = await stat(dirname(path));
  if (directory.mode & OTHERS_WRITE) {
    throw unreadable(
      path,
      'others than its owner may replace it; make its directory private with: chmod 700',
    );
  }
}

function parse(path: string, text: string): Generations {
  let content: { format?: unknown; keys?: unknown } | null;
  try {
    content = JSON.parse(text) as typeof content;
  } catch {
    // The parser's own message may quote the file, and the file holds keys.
    throw unreadable(path, 'it is no JSON');
  }
  if (content?.format !== FORMAT) throw unreadable(path, `its format is not ${FORMAT}`);
  const keys: unknown[] = Array.isArray(content.keys) ? content.keys : [];
  const [first, ...others] = keys.map((entry, index) => parseGeneration(path, entry, index));
  if (!first) throw unreadable(path, 'it holds no key');
  const generations: Generations = [first, ...others];
  if (new Set(generations.map(({ id }) => id)).size < generations.length)
    throw unreadable(path, 'two keys have one id');
  return generations;
}

function parseGeneration(path: string, entry: unknown, index: number): Generation {
  const { id, created, key } = (entry ?? {}) as Record<string, unknown>;
  const bytes = Buffer.from(typeof key === 'string' ? key : '', 'base64');
  if (
    typeof id !== 'string' ||
    !/^[0-9a-f]{1,64}$/.test(id) ||
    typeof created !== 'string' ||
    bytes.length !== KEY_BYTES
  ) {
    throw unreadable(path, `its key number ${index + 1} is malformed`);
  }
  return { id, created, key: bytes };
}

function unreadable(path: string, reason: string, cause?: unknown): EngineError {
  return new EngineError('Unreadable', `The key file ${path} is refused: ${reason}`, {}, { cause });
}
