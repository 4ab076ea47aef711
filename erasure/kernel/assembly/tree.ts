import { CHAINING, CHUNK_END, CHUNK_START, compress, ROOT, start, WORDS } from './blake3';

// All arguments are addresses or counts of bytes in linear memory, but for `nodes`. Up to 256 bytes beyond the input are
// read, never used.

const NODE: usize = 32;
const PAIR: usize = 2 * NODE;
/** What a pair's hash begins with. */
const INNER = 1;

/** Where the last nodes of a level lie when they are fewer than four. */
const TAIL: usize = memory.data(128, 16);

/**
 * The level above `nodes` nodes, to `output`: BLAKE3(0x01 + left + right) of each pair; an odd last node rises as it is.
 * `output` is anywhere up to `input` + 32, or clear of the input.
 */
export function raise(input: usize, nodes: usize, output: usize): void {
  const end = output + (nodes >> 1) * NODE;
  const odd = input + nodes * NODE - NODE;
  while (output < end) {
    hashPairs(input);
    if (end - output >= 4 * NODE) {
      storeNodes(output);
    } else {
      storeNodes(TAIL);
      memory.copy(output, TAIL, end - output);
    }
    input += 4 * PAIR;
    output += 4 * NODE;
  }
  if (nodes & 1) memory.copy(end, odd, NODE);
}

/** BLAKE3 of a message of one block, at most 64 bytes, which is padded where it lies, to `output`. */
export function hashBlock(message: usize, length: usize, output: usize): void {
  memory.fill(message + length, 0, 64 - length);
  for (let at: usize = 0; at < 64; at += 4) v128.store(WORDS + at * 4, v128.load32_splat(message + at));
  start();
  compress(<i32>length, CHUNK_START | CHUNK_END | ROOT);
  storeNodes(TAIL);
  memory.copy(output, TAIL, NODE);
}

/** The four pairs from `input` on. With the byte before it a pair's 65 bytes are two blocks, the second of one byte. */
function hashPairs(input: usize): void {
  for (let at: usize = 0; at < 64; at += 16) {
    const from = input + at - 1;
    const a = v128.load(from);
    const b = v128.load(from + PAIR);
    const c = v128.load(from + 2 * PAIR);
    const d = v128.load(from + 3 * PAIR);
    transpose(a, b, c, d, WORDS + at * 4, 16);
  }
  const first = v128.and(v128.load(WORDS), i32x4.splat(0xffffff00));
  v128.store(WORDS, v128.or(first, i32x4.splat(INNER)));
  start();
  compress(64, CHUNK_START);

  memory.fill(WORDS, 0, 256);
  for (let pair: usize = 0; pair < 4; pair++) store<u8>(WORDS + pair * 4, load<u8>(input + pair * PAIR, PAIR - 1));
  compress(1, CHUNK_END | ROOT);
}

/** CHAINING as four nodes, one after the other. */
function storeNodes(output: usize): void {
  for (let half: usize = 0; half < NODE; half += 16) {
    const from = CHAINING + half * 4;
    transpose(v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48), output + half, NODE);
  }
}

/** Lane i of the four vectors becomes the vector at output + i * step. */
// @ts-ignore: decorator
@inline
function transpose(a: v128, b: v128, c: v128, d: v128, output: usize, step: usize): void {
  const abLow = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
  const abHigh = v128.shuffle<u32>(a, b, 2, 6, 3, 7);
  const cdLow = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
  const cdHigh = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
  v128.store(output, v128.shuffle<u64>(abLow, cdLow, 0, 2));
  v128.store(output + step, v128.shuffle<u64>(abLow, cdLow, 1, 3));
  v128.store(output + step * 2, v128.shuffle<u64>(abHigh, cdHigh, 0, 2));
  v128.store(output + step * 3, v128.shuffle<u64>(abHigh, cdHigh, 1, 3));
}
