import { DATA_SHARDS_MAX, PARITY_SHARDS_MAX } from '../profile.ts';

/**
 * Bytes of each slice that one call of the kernel takes. The slices of the usual profiles then stay together in a core's
 * second-level cache; smaller blocks cost more calls.
 */
export const BLOCK_BYTES = 32 * 1024;

/** Distance of slices: not a power of two, or all slices would compete for the same sets of the first-level cache. */
export const STRIDE_BYTES = BLOCK_BYTES + 192;

/** Bytes of one coefficient's tables: its products with the 16 low and with the 16 high nibbles. */
export const TABLE_BYTES = 32;

/** The compiler puts its own few constants below, from 1024 on. */
export const TABLES_AT = 2048;
export const INPUT_AT = TABLES_AT + DATA_SHARDS_MAX * PARITY_SHARDS_MAX * TABLE_BYTES;
export const OUTPUT_AT = INPUT_AT + DATA_SHARDS_MAX * STRIDE_BYTES;

/** Pages of 64 KiB; the kernel's memory never grows, whatever it codes. */
export const KERNEL_PAGES = Math.ceil((OUTPUT_AT + PARITY_SHARDS_MAX * STRIDE_BYTES) / 65_536);
