import { randomBytes } from 'node:crypto';
import type { Profile } from '#erasure';
import type { ChunkStore, Clock, Random } from '#placement';
import type { KeyValueStore } from '../metadata/types.ts';
import type { KeyEncryption } from './keyring.ts';
import type { Locks } from './locks.ts';
import type { Hex } from './model.ts';
import type { Packs } from './packs.ts';
import type { Pins } from './pins.ts';
import type { ReadCache } from './readCache.ts';
import type { Session } from './session.ts';

const MIB = 1024 * 1024;

export interface EngineOptions {
  /** Bytes of ciphertext at which a body starts another chunk. */
  readonly chunkBytes: number;
  /** Chunk ids reserved at once. */
  readonly reservedIds: number;
  /** Encoded body up to which it stays in its version record. */
  readonly inlineBodyBytes: number;
  /** Bytes of ciphertext of small bodies that are kept in memory; 0 for none. */
  readonly readCacheBytes: number;
  /** Largest body, in bytes of plaintext, that may share a chunk with others. */
  readonly packedBodyBytes: number;
  /** Encoded bytes of a page of a longer body, about. */
  readonly pageBytes: number;
  /** Chunks whose references a copy adds in its visible commit; more are added before it. */
  readonly inlineChunks: number;
  /** Largest body of one PUT or one part; S3's limit. */
  readonly bodyBytesMax: number;
  /** Smallest part but the last; S3's limit. */
  readonly partBytesMin: number;
  /** How long a retried CompleteMultipartUpload gets its answer. */
  readonly completedForMs: number;
  readonly reclaimEveryMs: number;
  /** Sessions of other processes that are alive: their reservations are left alone. */
  readonly isLive: (session: Hex) => boolean;
}

export const DEFAULT_OPTIONS: EngineOptions = {
  chunkBytes: 64 * MIB,
  reservedIds: 256,
  inlineBodyBytes: 8 * 1024,
  readCacheBytes: 0,
  packedBodyBytes: 128 * 1024,
  pageBytes: 256 * 1024,
  inlineChunks: 64,
  bodyBytesMax: 5 * 1024 * MIB,
  partBytesMin: 5 * MIB,
  completedForMs: 7 * 24 * 3_600_000,
  reclaimEveryMs: 30_000,
  isLive: () => false,
};

/** What every part of the engine works with. */
export interface Context {
  readonly kv: KeyValueStore;
  readonly chunks: ChunkStore;
  readonly keyring: KeyEncryption;
  readonly clock: Clock;
  readonly random: Random;
  readonly profile: Profile;
  readonly region: string;
  readonly options: EngineOptions;
  readonly session: Session;
  readonly cache: ReadCache;
  readonly packs: Packs;
  readonly pins: Pins;
  readonly locks: Locks;
}

/** Bytes of chance fetched at once: ids are no secrets, and every call for them costs a microsecond. */
const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let used = 0;

function randomHex(bytes: number): Hex {
  if (used + bytes > pool.length) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  const hex = pool.toString('hex', used, used + bytes);
  used += bytes;
  return hex;
}

/** A random id of 16 bytes. */
export const newId = (): Hex => randomHex(16);
/** A random id of 8 bytes. */
export const newShortId = (): Hex => randomHex(8);
