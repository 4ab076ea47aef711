/** Who reads a chunk gets its memory lent, not given: decision 15. */
import { rm } from 'node:fs/promises';
import { LEAF_BYTES } from '#erasure';
import { expect, test } from 'vitest';
import { sampleBytes } from './shards.ts';
import { openTestStore, writeChunk } from './stores.ts';

const STRIPES = 3;
const CELL = 32 * LEAF_BYTES;

test.each([0, 1, 2])('with %i data shards gone, all that was read or decoded is freed', async (gone) => {
  const made = await openTestStore({ cell: CELL });
  try {
    const bytes = sampleBytes(STRIPES * 4 * CELL);
    const { record } = await writeChunk(made, bytes);
    for (let index = 0; index < gone; index++) await rm(made.path(record, index));
    const lent: Uint8Array[] = [];
    let at = 0;
    for await (const piece of made.store.read(record, 0, record.length)) {
      expect(Buffer.compare(piece, bytes.subarray(at, at + piece.length))).toBe(0);
      at += piece.length;
      lent.push(piece);
    }
    expect(at).toBe(bytes.length);
    expect(lent.map((piece) => piece.length)).toEqual(Array(STRIPES * 4).fill(0));
  } finally {
    await made.dispose();
  }
});
