import type { Profile } from './types.ts';
import { ErasureError } from './types.ts';

/** Most data and parity shards that a profile may have. */
export const DATA_SHARDS_MAX = 20;
export const PARITY_SHARDS_MAX = 10;

/** Bytes of a data cell in every stripe but a chunk's last. A multiple of LEAF_BYTES. */
export const CELL_BYTES = 272 * 1024;

/** Reads '4+2'. @throws ErasureError 'BadProfile' */
export function parseProfile(text: string): Profile {
  const match = /^(\d{1,2})\+(\d{1,2})$/.exec(text.trim());
  const data = Number(match?.[1]);
  const parity = Number(match?.[2]);
  if (!match || data < 1 || data > DATA_SHARDS_MAX || parity < 1 || parity > PARITY_SHARDS_MAX) {
    throw new ErasureError(
      'BadProfile',
      `A profile is written k+m, with 1 ≤ k ≤ ${DATA_SHARDS_MAX} and 1 ≤ m ≤ ${PARITY_SHARDS_MAX}, like 4+2; got '${text}'`,
    );
  }
  return { data, parity };
}

export function formatProfile(profile: Profile): string {
  return `${profile.data}+${profile.parity}`;
}

/** Where a chunk's bytes lie in its shards; follows from the chunk's length, its profile and its cell size alone. */
export interface ChunkLayout {
  readonly length: number;
  readonly cell: number;
  readonly fullStripes: number;
  /** Cell size of the short last stripe; 0 when the length is a whole number of stripes. */
  readonly lastCell: number;
  /** Bytes of every shard of the chunk. */
  readonly shardLength: number;
}

/** @param length chunk bytes, ≥ 1; @param cell full-stripe cell bytes */
export function chunkLayout(length: number, profile: Profile, cell: number = CELL_BYTES): ChunkLayout {
  const stripe = cell * profile.data;
  const fullStripes = Math.floor(length / stripe);
  const lastCell = Math.ceil((length - fullStripes * stripe) / profile.data);
  return { length, cell, fullStripes, lastCell, shardLength: fullStripes * cell + lastCell };
}
