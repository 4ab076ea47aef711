import { createHasher } from '#erasure';
import type { ShardSeal, ShardSource, WholeShard } from '#placement';

const hasher = createHasher();

/** Bytes that differ from leaf to leaf and from seed to seed. */
export function sampleBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}

export function sealOf(bytes: Uint8Array): ShardSeal {
  const tree = hasher.tree();
  tree.update(bytes);
  return tree.finish();
}

/** A shard that comes in cells, each in memory that is overwritten before the next, as the seam allows. */
export function cellsOf(bytes: Uint8Array, cell = 100_000): ShardSource {
  async function* cells(): AsyncGenerator<Uint8Array, undefined> {
    const memory = new Uint8Array(cell);
    for (let at = 0; at < bytes.length; at += cell) {
      const piece = bytes.subarray(at, at + cell);
      memory.set(piece);
      yield memory.subarray(0, piece.length);
      memory.fill(0xee);
    }
  }
  return { cells: cells(), seal: () => sealOf(bytes) };
}

/** A shard that lies in memory as one piece. */
export function wholeOf(bytes: Uint8Array): ShardSource & { whole: WholeShard } {
  return { ...cellsOf(bytes, bytes.length), whole: { bytes, seal: sealOf(bytes) } };
}

let chunks = 0;

/** A chunk identifier not used before in this process. @param prefix hex digits it begins with */
export function newChunkId(prefix = ''): string {
  chunks++;
  return prefix + hasherHex(`chunk ${chunks}`).slice(prefix.length, 32);
}

function hasherHex(text: string): string {
  return Buffer.from(hasher.hash(Buffer.from(text))).toString('hex');
}
