/** What is checked before lmdb-js opens a file, because it ends the process (a segmentation fault) where LMDB only returns an error. */

import { accessSync, closeSync, constants, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { MetadataError } from './types.ts';

/** Address space, not disk or memory. Beyond it LMDB maps the file anew and keeps the old map. */
const MAP_BYTES = 2 ** 40;

/**
 * LMDB's file starts with two pages, each a meta page: this much of one, after a page header of 24 bytes (mdb.c, format version 2):
 * magic u32, version u32, address u64, map size u64, two databases of 48 bytes that end in their root page's number, u64.
 * The first database's first field is the page size, u32.
 */
const HEADER = { flags: 18, magic: 24, version: 28, pageSize: 48, mainRoot: 136, bytes: 168 } as const;
const META_PAGE_FLAG = 0x08;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const NO_PAGE = 2n ** 64n - 1n;

/** @throws MetadataError 'Corrupt' when the directory holds a file that is not LMDB's, of another version, or cut; system errors as they are */
export function assertSoundFile(directory: string): void {
  const path = join(directory, 'data.mdb');
  let descriptor: number;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    descriptor = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const { size } = fstatSync(descriptor);
    // LMDB initialises an empty file itself.
    if (size > 0) assertMetaPages(path, descriptor, size);
  } finally {
    closeSync(descriptor);
  }
}

function assertMetaPages(path: string, descriptor: number, size: number): void {
  const pageSize = assertMetaPage(path, readHeader(descriptor, 0), size);
  if (size < 2 * pageSize) throw corrupt(path, 'it is cut short');
  assertMetaPage(path, readHeader(descriptor, pageSize), size);
}

/** Returns the page size. */
function assertMetaPage(path: string, header: Buffer, size: number): number {
  const isMeta = (header.readUInt16LE(HEADER.flags) & META_PAGE_FLAG) !== 0;
  if (!isMeta || header.readUInt32LE(HEADER.magic) !== MAGIC) throw corrupt(path, 'it is no LMDB file');
  const version = header.readUInt16LE(HEADER.version);
  if (version !== VERSION) throw corrupt(path, `it has LMDB's format ${version}, not ${VERSION}`);
  const pageSize = header.readUInt32LE(HEADER.pageSize);
  const root = header.readBigUInt64LE(HEADER.mainRoot);
  if (root !== NO_PAGE && (root + 1n) * BigInt(pageSize) > BigInt(size))
    throw corrupt(path, 'it is cut short');
  return pageSize;
}

function readHeader(descriptor: number, position: number): Buffer {
  const header = Buffer.alloc(HEADER.bytes);
  readSync(descriptor, header, 0, header.length, position);
  return header;
}

/** Most of the address space that the process may use is left to others, where it is limited at all. */
export function mapBytes(): number {
  const limit = addressSpaceLimit();
  return Math.min(MAP_BYTES, limit === undefined ? MAP_BYTES : Math.floor(limit / 4));
}

function addressSpaceLimit(): number | undefined {
  try {
    const found = /^Max address space +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}

function corrupt(path: string, reason: string): MetadataError {
  return new MetadataError('Corrupt', `${path} cannot be read: ${reason}`);
}
