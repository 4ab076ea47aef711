import type { Profile } from '#erasure';

/** How long a write waits for providers, in ms. */
export interface WriteLimits {
  /** A provider that takes no cell for this long is dropped. */
  readonly stallMs: number;
  /** Once the write quorum has taken a cell, the others have this many times as long. */
  readonly patience: number;
  /** … but at least this long while cells still come, */
  readonly patienceMsMin: number;
  /** … and after the last one between these two. */
  readonly graceMsMin: number;
  readonly graceMsMax: number;
  /** Without a quorum, how long providers may take to make their shards durable. */
  readonly commitMs: number;
  /** How long shards may go on in the background after the writer has finished. */
  readonly lateMs: number;
  /** How long to wait for a transport that was told to stop. */
  readonly stopMs: number;
}

export const WRITE_LIMITS: WriteLimits = {
  stallMs: 10_000,
  patience: 3,
  patienceMsMin: 1_000,
  graceMsMin: 200,
  graceMsMax: 2_000,
  commitMs: 30_000,
  lateMs: 30_000,
  stopMs: 5_000,
};

/** Shards that must be durable before a chunk is acknowledged: k+⌈m/2⌉. */
export function writeQuorum({ data, parity }: Profile): number {
  return data + Math.ceil(parity / 2);
}
