/** Providers of wrong bytes, where it is the reader who finds them. */
import { LEAF_BYTES } from '#erasure';
import type { ChunkRecord, ShardSlice, Verification } from '#placement';
import { expect, test } from 'vitest';
import { sampleBytes } from './shards.ts';
import { openTestStore, proxy, writeChunk, type TestStore } from './stores.ts';

const bytes = sampleBytes(4 * 8 * LEAF_BYTES);

/** Stops at a wrong byte, as decryption does. */
async function isRight(made: TestStore, record: ChunkRecord, verifies: Verification): Promise<boolean> {
  let at = 0;
  for await (const piece of made.store.read(record, 0, record.length, undefined, verifies)) {
    if (Buffer.compare(piece, bytes.subarray(at, at + piece.length)) !== 0) return false;
    at += piece.length;
  }
  return at === bytes.length;
}

/** Reads a chunk over and over, anew with verified leaves where something is wrong. @param lies whether the first shard's n-th answer is wrong */
async function read(times: number, verifies: Verification, lies: (call: number) => boolean) {
  let liar = -1;
  let calls = 0;
  const made = await openTestStore({
    cell: 8 * LEAF_BYTES,
    wrap: (transport, directory) =>
      proxy(transport, {
        get: async (...all): Promise<ShardSlice> => {
          const slice = await transport.get(...all);
          if (directory !== liar || !lies(++calls)) return slice;
          const wrong = Uint8Array.from(slice.bytes);
          wrong[0]! ^= 1;
          return { first: slice.first, bytes: wrong, proof: slice.proof };
        },
      }),
  });
  try {
    const { record } = await writeChunk(made, bytes);
    const { provider } = record.shards[0]!;
    liar = Number(made.providers.get(provider)!.info.endpoint.slice(made.root.length + 2));
    let before = 0;
    for (let n = 0; n < times; n++) {
      before = calls;
      expect((await isRight(made, record, verifies)) || (await isRight(made, record, 'leaves'))).toBe(true);
    }
    const others = record.shards.slice(1).map((place) => made.providers.readRank(place!.provider));
    const rank = made.providers.readRank(provider) / Math.max(...others);
    return { lastCalls: calls - before, rank, queued: made.queued };
  } finally {
    await made.dispose();
  }
}

test('one that begins to lie is soon asked no more, as if its leaves were hashed at every read', async () => {
  const lies = (call: number): boolean => call > 100;
  const byLeaves = await read(400, 'leaves', lies);
  const byReader = await read(400, 'reader', lies);
  expect(byReader.lastCalls).toBe(0);
  expect(byReader.lastCalls).toBe(byLeaves.lastCalls);
  expect(byReader.rank).toBeLessThanOrEqual(byLeaves.rank + 0.01);
});

test('one that lies only when it is asked for the first time is charged and reported all the same', async () => {
  const { rank, queued } = await read(40, 'reader', (call) => call % 2 === 1);
  expect(rank).toBeLessThan(0.7);
  expect(queued.map(([, reason]) => reason)).toContain('shard 0: WrongBytes');
});
