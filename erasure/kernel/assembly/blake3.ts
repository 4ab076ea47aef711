// BLAKE3's compression function over four messages side by side: lane l of every vector belongs to message l.

/** The message block under way: 16 words of each message. */
export const WORDS: usize = memory.data(256, 16);

/** The chaining values: 8 words of each message. */
export const CHAINING: usize = memory.data(128, 16);

export const CHUNK_START = 1;
export const CHUNK_END = 2;
export const ROOT = 8;

const IV0 = 0x6a09e667;
const IV1 = 0xbb67ae85;
const IV2 = 0x3c6ef372;
const IV3 = 0xa54ff53a;
const IV4 = 0x510e527f;
const IV5 = 0x9b05688c;
const IV6 = 0x1f83d9ab;
const IV7 = 0x5be0cd19;

/** Which words each of the seven rounds mixes in, in the order of their use, as offsets from WORDS: 16 times the index. */
// prettier-ignore
const SCHEDULE: usize = memory.data<u8>([
  0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240,
  32, 96, 48, 160, 112, 0, 64, 208, 16, 176, 192, 80, 144, 224, 240, 128,
  48, 64, 160, 192, 208, 32, 112, 224, 96, 80, 144, 0, 176, 240, 128, 16,
  160, 112, 192, 144, 224, 48, 208, 240, 64, 0, 176, 32, 80, 128, 16, 96,
  192, 208, 144, 176, 240, 160, 224, 128, 112, 32, 80, 48, 0, 16, 96, 64,
  144, 224, 176, 80, 128, 192, 240, 16, 208, 48, 0, 160, 32, 96, 64, 112,
  176, 240, 80, 0, 16, 144, 128, 96, 224, 160, 32, 192, 48, 64, 112, 208,
]);
const ROUND = 16;
const ROUNDS = 7;

/** Rotations by whole bytes are lookups; their indexes are in memory for nibbleMask's reason. */
const BY_16: usize = memory.data<u8>([2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13], 16);
const BY_8: usize = memory.data<u8>([1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12], 16);

/** The chaining values before a chunk's first block. */
export function start(): void {
  v128.store(CHAINING, i32x4.splat(IV0), 0);
  v128.store(CHAINING, i32x4.splat(IV1), 16);
  v128.store(CHAINING, i32x4.splat(IV2), 32);
  v128.store(CHAINING, i32x4.splat(IV3), 48);
  v128.store(CHAINING, i32x4.splat(IV4), 64);
  v128.store(CHAINING, i32x4.splat(IV5), 80);
  v128.store(CHAINING, i32x4.splat(IV6), 96);
  v128.store(CHAINING, i32x4.splat(IV7), 112);
}

/**
 * Compresses the block in WORDS, of chunk 0, into CHAINING. The state is 16 locals and the eight mixings of a round are
 * written out, because a function could give back only one vector.
 * @param length bytes of the block that are message, of each of the four
 */
export function compress(length: i32, flags: i32): void {
  let s0 = v128.load(CHAINING, 0);
  let s1 = v128.load(CHAINING, 16);
  let s2 = v128.load(CHAINING, 32);
  let s3 = v128.load(CHAINING, 48);
  let s4 = v128.load(CHAINING, 64);
  let s5 = v128.load(CHAINING, 80);
  let s6 = v128.load(CHAINING, 96);
  let s7 = v128.load(CHAINING, 112);
  let s8 = i32x4.splat(IV0);
  let s9 = i32x4.splat(IV1);
  let s10 = i32x4.splat(IV2);
  let s11 = i32x4.splat(IV3);
  let s12 = i32x4.splat(0);
  let s13 = i32x4.splat(0);
  let s14 = i32x4.splat(length);
  let s15 = i32x4.splat(flags);
  for (let round = SCHEDULE; round < SCHEDULE + ROUNDS * ROUND; round += ROUND) {
    // Columns.
    s0 = sum(s0, s4, word(round, 0));
    s12 = turn16(s12, s0);
    s8 = i32x4.add(s8, s12);
    s4 = turn12(s4, s8);
    s0 = sum(s0, s4, word(round, 1));
    s12 = turn8(s12, s0);
    s8 = i32x4.add(s8, s12);
    s4 = turn7(s4, s8);

    s1 = sum(s1, s5, word(round, 2));
    s13 = turn16(s13, s1);
    s9 = i32x4.add(s9, s13);
    s5 = turn12(s5, s9);
    s1 = sum(s1, s5, word(round, 3));
    s13 = turn8(s13, s1);
    s9 = i32x4.add(s9, s13);
    s5 = turn7(s5, s9);

    s2 = sum(s2, s6, word(round, 4));
    s14 = turn16(s14, s2);
    s10 = i32x4.add(s10, s14);
    s6 = turn12(s6, s10);
    s2 = sum(s2, s6, word(round, 5));
    s14 = turn8(s14, s2);
    s10 = i32x4.add(s10, s14);
    s6 = turn7(s6, s10);

    s3 = sum(s3, s7, word(round, 6));
    s15 = turn16(s15, s3);
    s11 = i32x4.add(s11, s15);
    s7 = turn12(s7, s11);
    s3 = sum(s3, s7, word(round, 7));
    s15 = turn8(s15, s3);
    s11 = i32x4.add(s11, s15);
    s7 = turn7(s7, s11);
    // Diagonals.
    s0 = sum(s0, s5, word(round, 8));
    s15 = turn16(s15, s0);
    s10 = i32x4.add(s10, s15);
    s5 = turn12(s5, s10);
    s0 = sum(s0, s5, word(round, 9));
    s15 = turn8(s15, s0);
    s10 = i32x4.add(s10, s15);
    s5 = turn7(s5, s10);

    s1 = sum(s1, s6, word(round, 10));
    s12 = turn16(s12, s1);
    s11 = i32x4.add(s11, s12);
    s6 = turn12(s6, s11);
    s1 = sum(s1, s6, word(round, 11));
    s12 = turn8(s12, s1);
    s11 = i32x4.add(s11, s12);
    s6 = turn7(s6, s11);

    s2 = sum(s2, s7, word(round, 12));
    s13 = turn16(s13, s2);
    s8 = i32x4.add(s8, s13);
    s7 = turn12(s7, s8);
    s2 = sum(s2, s7, word(round, 13));
    s13 = turn8(s13, s2);
    s8 = i32x4.add(s8, s13);
    s7 = turn7(s7, s8);

    s3 = sum(s3, s4, word(round, 14));
    s14 = turn16(s14, s3);
    s9 = i32x4.add(s9, s14);
    s4 = turn12(s4, s9);
    s3 = sum(s3, s4, word(round, 15));
    s14 = turn8(s14, s3);
    s9 = i32x4.add(s9, s14);
    s4 = turn7(s4, s9);
  }
  v128.store(CHAINING, v128.xor(s0, s8), 0);
  v128.store(CHAINING, v128.xor(s1, s9), 16);
  v128.store(CHAINING, v128.xor(s2, s10), 32);
  v128.store(CHAINING, v128.xor(s3, s11), 48);
  v128.store(CHAINING, v128.xor(s4, s12), 64);
  v128.store(CHAINING, v128.xor(s5, s13), 80);
  v128.store(CHAINING, v128.xor(s6, s14), 96);
  v128.store(CHAINING, v128.xor(s7, s15), 112);
}

// @ts-ignore: decorator
@inline
function word(round: usize, use: usize): v128 {
  return v128.load(WORDS + <usize>load<u8>(round + use));
}

// @ts-ignore: decorator
@inline
function sum(a: v128, b: v128, message: v128): v128 {
  return i32x4.add(i32x4.add(a, message), b);
}

// @ts-ignore: decorator
@inline
function turn16(d: v128, a: v128): v128 {
  return i8x16.swizzle(v128.xor(d, a), v128.load(BY_16));
}

// @ts-ignore: decorator
@inline
function turn12(b: v128, c: v128): v128 {
  const x = v128.xor(b, c);
  return v128.or(i32x4.shl(x, 20), i32x4.shr_u(x, 12));
}

// @ts-ignore: decorator
@inline
function turn8(d: v128, a: v128): v128 {
  return i8x16.swizzle(v128.xor(d, a), v128.load(BY_8));
}

// @ts-ignore: decorator
@inline
function turn7(b: v128, c: v128): v128 {
  const x = v128.xor(b, c);
  return v128.or(i32x4.shl(x, 25), i32x4.shr_u(x, 7));
}
