/** What LMDB's and the system's error codes mean for a caller. */

import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { MetadataError } from './types.ts';

const { EDQUOT, EFBIG, EIO, ENOSPC } = constants.errno;
/** LMDB's own codes (lmdb.h). */
const MDB_MAP_FULL = -30_792;
const MDB_TXN_FULL = -30_788;
const FORMAT_CODES: ReadonlySet<unknown> = new Set([
  -30_796, // MDB_CORRUPTED
  -30_794, // MDB_VERSION_MISMATCH
  -30_793, // MDB_INVALID
]);
const FULL_CODES: ReadonlySet<unknown> = new Set([ENOSPC, EDQUOT, EFBIG, MDB_MAP_FULL, MDB_TXN_FULL]);
/** Largest batch with LMDB's overhead: with less room left, a write that came back short found the disk full. */
const ROOM_MIN = 64 * 1_024 * 1_024;

export interface Aftermath {
  readonly directory: string;
  /** LMDB still accepts transactions, and the last one is the one before the batch. */
  readonly unchanged: boolean;
}

/**
 * The outcome of a rejected batch. LMDB writes the pages, syncs, and then writes the meta page that makes them count: while it is
 * healthy and its last transaction has not moved, the batch was certainly not applied.
 */
export async function commitFailure(
  error: unknown,
  { directory, unchanged }: Aftermath,
): Promise<MetadataError> {
  const cause = await commitError(error);
  const code = codeOf(cause);
  if (!unchanged) return failure('Unknown', 'a metadata commit failed part-way', cause);
  // LMDB reports a short write, which is how a full disk begins, as an I/O error.
  if (FULL_CODES.has(code) || (code === EIO && isFull(directory))) {
    return failure('Full', `no room for metadata in ${directory}`, cause);
  }
  if (code === EIO) return failure('Unknown', 'a metadata commit met an I/O error', cause);
  return failure('Unavailable', 'a metadata commit failed', cause);
}

/** After an error of the disk itself nothing more is written. */
export function failsStop(failure: MetadataError): boolean {
  return failure.kind === 'Unknown';
}

/** Whatever its outcome, it failed because the disk or the map is full. */
export function lacksRoom(failure: MetadataError): boolean {
  return FULL_CODES.has(codeOf(failure.cause));
}

export function openFailure(error: unknown, directory: string): MetadataError {
  if (error instanceof MetadataError) return error;
  if (FORMAT_CODES.has(codeOf(error))) {
    return failure('Corrupt', `${directory} holds no metadata that this version can read`, error);
  }
  if (FULL_CODES.has(codeOf(error))) return failure('Full', `no room for metadata in ${directory}`, error);
  return failure('Unavailable', `cannot open the metadata in ${directory}`, error);
}

export function readFailure(error: unknown): MetadataError {
  const corrupt = FORMAT_CODES.has(codeOf(error));
  return failure(corrupt ? 'Corrupt' : 'Unavailable', 'the metadata cannot be read', error);
}

/** lmdb-js rejects every write of a batch with a general error whose `commitError` promise rejects with the reason. */
async function commitError(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError;
    return error;
  } catch (reason) {
    return reason;
  }
}

function isFull(directory: string): boolean {
  try {
    const { bavail, bsize, ffree } = statfsSync(directory);
    return bavail * bsize < ROOM_MIN || ffree === 0;
  } catch {
    return false;
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function failure(kind: MetadataError['kind'], message: string, cause: unknown): MetadataError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MetadataError(kind, `${message}: ${reason}`, { cause });
}
