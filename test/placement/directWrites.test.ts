import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LEAF_BYTES } from '#erasure';
import type { LocalDirectory, ShardSource } from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ALIGNMENT, alignedMemory, isAligned } from '../../placement/alignedMemory.ts';
import { DirectSupport, DirectWrites } from '../../placement/transports/directWrites.ts';
import { newLocalDirectory, scratch } from './directories.ts';
import { newChunkId, sampleBytes, sealOf } from './shards.ts';

const CELL = 256 * 1024;
/** Enough to be written directly. */
const ENOUGH = 64 * 1024;

let root: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ path: root, remove } = await scratch());
});
afterEach(() => remove());

function aligned(bytes: Uint8Array): Uint8Array {
  const memory = alignedMemory(bytes.length);
  memory.set(bytes);
  return memory;
}

async function emptyFile(): Promise<string> {
  const path = join(root, 'file');
  await (await open(path, 'wx')).close();
  return path;
}

test('memory is known to be aligned where it begins on a page, and only there', () => {
  const memory = alignedMemory(3 * LEAF_BYTES + 5);
  expect(memory).toHaveLength(3 * LEAF_BYTES + 5);
  expect(isAligned(memory)).toBe(true);
  expect(isAligned(memory.subarray(ALIGNMENT))).toBe(true);
  expect(isAligned(memory.subarray(512))).toBe(false);
  expect(isAligned(Buffer.allocUnsafeSlow(LEAF_BYTES))).toBe(false);
});

describe('direct writes', () => {
  test('write all but the end that fills no block, or say that the file system has none', async () => {
    const path = await emptyFile();
    const support = new DirectSupport();
    const direct = new DirectWrites(path, support);
    const bytes = aligned(sampleBytes(ENOUGH + 10));
    const written = await direct.write(bytes, 0);
    await direct.close();
    expect(written).toBe(support.isThere ? ENOUGH : 0);
    expect(Buffer.compare(await readFile(path), bytes.subarray(0, written))).toBe(0);
  });

  test.each([
    ['memory that may lie anywhere', sampleBytes(3 * CELL + 77)],
    ['an odd part of aligned memory', aligned(sampleBytes(2 * CELL)).subarray(100)],
  ])('copy %s', async (_, bytes) => {
    const path = await emptyFile();
    const support = new DirectSupport();
    const direct = new DirectWrites(path, support);
    const written = await direct.write(bytes, 0);
    await direct.close();
    expect(written).toBe(support.isThere ? bytes.length - (bytes.length % ALIGNMENT) : 0);
    expect(Buffer.compare(await readFile(path), bytes.subarray(0, written))).toBe(0);
  });

  test.each([
    ['an odd place', aligned(sampleBytes(CELL)), 100],
    ['little', aligned(sampleBytes(ENOUGH)).subarray(0, ALIGNMENT), 0],
  ])('leave %s to others', async (_, bytes, position) => {
    const direct = new DirectWrites(join(root, 'never opened'), new DirectSupport());
    expect(await direct.write(bytes, position)).toBe(0);
    await direct.close();
  });

  test('are not tried again where a file system refuses them', async () => {
    const support = new DirectSupport();
    // No file of /proc can be written past the page cache.
    const direct = new DirectWrites('/proc/self/comm', support);
    expect(await direct.write(aligned(sampleBytes(ENOUGH)), 0)).toBe(0);
    expect(support.isThere).toBe(false);
    await direct.close();
  });

  test('hand other errors on', async () => {
    const support = new DirectSupport();
    if (!support.isThere) return;
    const direct = new DirectWrites(join(root, 'missing'), support);
    await expect(direct.write(aligned(sampleBytes(ENOUGH)), 0)).rejects.toThrow(/ENOENT/);
    await direct.close();
  });
});

describe('shards in aligned memory', () => {
  let directory: LocalDirectory;

  beforeEach(async () => {
    directory = await newLocalDirectory(join(root, 'provider'));
  });
  afterEach(() => directory.close());

  async function readBack(source: ShardSource, bytes: Uint8Array): Promise<void> {
    const name = { chunk: newChunkId(), index: 0 };
    await directory.put(name, source);
    const leaves = Math.ceil(bytes.length / LEAF_BYTES);
    const slice = await directory.get(name, 0, leaves);
    expect(Buffer.compare(slice.bytes, bytes)).toBe(0);
    const [stored] = await directory.list(undefined, 1);
    expect(stored).toMatchObject({ ...name, length: bytes.length });
    await directory.delete(name);
  }

  test.each([CELL, 3 * CELL, 3 * CELL + 1, 2 * CELL + ALIGNMENT, 2 * CELL + LEAF_BYTES + 4097])(
    '%i bytes in cells are read back as they were',
    async (length) => {
      const bytes = sampleBytes(length);
      async function* cells(): AsyncGenerator<Uint8Array, undefined> {
        const memory = alignedMemory(CELL);
        for (let at = 0; at < length; at += CELL) {
          const piece = bytes.subarray(at, at + CELL);
          memory.set(piece);
          yield memory.subarray(0, piece.length);
          memory.fill(0xee);
        }
      }
      await readBack({ cells: cells(), seal: () => sealOf(bytes) }, bytes);
    },
  );

  test.each([LEAF_BYTES, ENOUGH, CELL, CELL + 1, 2 * CELL - ALIGNMENT + 3])(
    '%i bytes in one piece are read back as they were',
    async (length) => {
      const bytes = aligned(sampleBytes(length));
      const seal = sealOf(bytes);
      async function* none(): AsyncGenerator<Uint8Array, undefined> {}
      await readBack({ cells: none(), seal: () => seal, whole: { bytes, seal } }, bytes);
    },
  );
});
