/** Linear memory of the digest kernel: what its source and its callers must agree on. Addresses and sizes in bytes. */

/** The compiler puts its own few constants below, from 1024 on. */
export const LANES_AT = 2048;
/** A lane's place: the addresses of its state and of its next block, u32 each. */
export const LANE_BYTES = 8;

/** MD5's state, four u32. */
export const STATE_BYTES = 16;
/** State of lanes that nobody uses. */
export const SPARE_STATE_AT = LANES_AT + 128;

/** CRC-64's tables: 16 slices of 256 u64. */
export const CRC_SLICES = 16;
export const CRC_TABLES_AT = 4096;
/** Bytes whose CRC-64 is taken go through here. */
export const CRC_INPUT_AT = CRC_TABLES_AT + CRC_SLICES * 256 * 8;
export const CRC_INPUT_BYTES = 32 * 1024;

/**
 * A slot holds what one message's MD5 is behind. The more it is, the more often several go along together: a socket is read a few
 * times before another has its turn, and clients pause. The first slots, which are the only ones in use while messages are few,
 * are therefore larger.
 */
export const SLOTS = 64;
const LARGE_SLOTS = 8;
export const SLOT_BYTES_MAX = 512 * 1024;
const SLOT_BYTES = 256 * 1024;
/** Its state follows a slot, and some bytes more, or all slots would compete for the same sets of the first-level cache. */
const SLOT_MARGIN = 192;
const SLOTS_AT = CRC_INPUT_AT + CRC_INPUT_BYTES;

export const slotBytes = (slot: number): number => (slot < LARGE_SLOTS ? SLOT_BYTES_MAX : SLOT_BYTES);

export function slotAt(slot: number): number {
  const large = Math.min(slot, LARGE_SLOTS);
  return SLOTS_AT + large * (SLOT_BYTES_MAX + SLOT_MARGIN) + (slot - large) * (SLOT_BYTES + SLOT_MARGIN);
}

/** Pages of 64 KiB. The memory never grows, and what is not used of it takes none of the machine's. */
export const DIGEST_PAGES = Math.ceil(slotAt(SLOTS) / 65_536);
