/**
 * The directory of a local provider:
 *
 *     provider.json        who it is; written last, so a directory that has it is whole
 *     tmp/                 shards being written
 *     shards/00 … ff/      one file for each shard, in folders by the first two digits of its chunk
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  close,
  closeQuietly,
  errorCode,
  fsync,
  open,
  openDirectory,
  openStored,
  readAt,
  rename,
  unlinkQuietly,
  writeAt,
} from './fileCalls.ts';
import { PlacementError, type ProviderId } from '../types.ts';

const MARKER = 'provider.json';
const FORMAT = 1;
const MARKER_BYTES_MAX = 4096;
/** What a directory may hold and still count as unused; the rest of a half-made one is our own. */
const HARMLESS = new Set(['tmp', 'shards', 'lost+found']);
/** A leftover of another live process is removed only when it is this old. */
const ABANDONED_MS = 3_600_000;

const PROCESS_TOKEN = randomBytes(6).toString('hex');
let temporaries = 0;

export function shardPath(root: string, storedName: string): string {
  return `${root}/shards/${storedName.slice(0, 2)}/${storedName}`;
}

export function temporaryPath(root: string): string {
  return `${root}/tmp/${process.pid}.${PROCESS_TOKEN}.${temporaries++}`;
}

/** Identity in the directory's marker; undefined where there is none. @throws PlacementError 'BadConfiguration' */
export async function readMarker(root: string): Promise<ProviderId | undefined> {
  let text: string;
  try {
    text = await readStart(join(root, MARKER));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const { format, id } = parseMarker(text);
  if (format !== FORMAT || typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) {
    throw new PlacementError(
      'BadConfiguration',
      `${join(root, MARKER)} is not the marker of a provider of format ${FORMAT}`,
    );
  }
  return id;
}

/** Text of a small file; of a larger one, its start. */
async function readStart(path: string): Promise<string> {
  const { fd, size } = await openStored(path);
  try {
    return (await readAt(fd, 0, Math.min(size, MARKER_BYTES_MAX))).toString();
  } finally {
    await closeQuietly(fd);
  }
}

function parseMarker(text: string): { format?: unknown; id?: unknown } {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}

/** What stands in the directory when it has no marker. */
export async function contents(root: string): Promise<'missing' | 'empty' | 'ours' | 'foreign'> {
  try {
    const names = await readdir(root);
    if (names.some((name) => !HARMLESS.has(name))) return 'foreign';
    return names.includes('shards') ? 'ours' : 'empty';
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'missing';
    throw error;
  }
}

/** Makes the directory a provider's, durably. Shards that are there stay. */
export async function formatDirectory(root: string, id: ProviderId): Promise<void> {
  await mkdir(root, { recursive: true });
  await completeDirectory(root);
  const temporary = temporaryPath(root);
  const fd = await open(temporary, 'wx', 0o600);
  try {
    await writeAt(fd, [Buffer.from(`${JSON.stringify({ format: FORMAT, id })}\n`)], 0);
    await fsync(fd);
  } finally {
    await close(fd);
  }
  await rename(temporary, join(root, MARKER));
  for (const path of [join(root, 'shards'), root, dirname(root)]) await syncDirectory(path);
}

/** Makes what a directory lacks. Folders for shards are made when they come. */
export async function completeDirectory(root: string): Promise<void> {
  await mkdir(join(root, 'tmp'), { recursive: true });
  await mkdir(join(root, 'shards'), { recursive: true });
}

/** Removes what dead processes left in tmp. */
export async function removeLeftovers(root: string): Promise<void> {
  const folder = join(root, 'tmp');
  for (const name of await readdir(folder)) {
    const [pid, token] = name.split('.');
    if (token === PROCESS_TOKEN) continue;
    const path = join(folder, name);
    if (Number(pid) === process.pid || !isAlive(Number(pid)) || (await isAbandoned(path)))
      await unlinkQuietly(path);
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Process identifiers are used again, in containers at once: age tells in the end. */
async function isAbandoned(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
  return Date.now() - mtimeMs > ABANDONED_MS;
}

async function syncDirectory(path: string): Promise<void> {
  const fd = await openDirectory(path);
  try {
    await fsync(fd);
  } finally {
    await close(fd);
  }
}
