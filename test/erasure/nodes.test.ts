import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHasher, createNativeHasher, createWasmHasher, HASH_BYTES, LEAF_BYTES } from '#erasure';
import { wasmDigest } from '../../erasure/blake3.ts';
import { decodeKernel } from '../../erasure/kernel/kernel.ts';
import { TreeKernel } from '../../erasure/kernel/tree-kernel.ts';
import { TREE_KERNEL } from '../../erasure/kernel/tree-wasm.ts';
import { DigestNodes, type NodeMemory } from '../../erasure/nodes.ts';
import { bytesFrom } from './support.ts';

const kernel = new TreeKernel(decodeKernel(TREE_KERNEL));
const reference = new DigestNodes(await wasmDigest());

/** What is in the first `bytes` bytes after `act`, with `before` there at first. */
function after(nodes: NodeMemory, before: Uint8Array, bytes: number, act: () => void): Buffer {
  nodes.room(bytes).set(before);
  act();
  return Buffer.from(nodes.room(bytes).subarray(0, bytes));
}

function expectEqual(before: Uint8Array, act: (nodes: NodeMemory) => void): void {
  const [a, b] = [kernel, reference].map((nodes) => after(nodes, before, before.length, () => act(nodes)));
  // Not toEqual, which takes seconds for a difference of a hundred kilobytes.
  expect(Buffer.compare(a!, b!)).toBe(0);
}

describe('the kernel and the digest', () => {
  test('raise levels of 0 to 100 nodes alike, wherever they go, and touch nothing else', () => {
    for (let count = 0; count <= 100; count++) {
      const before = bytesFrom(count, (count + 8) * HASH_BYTES);
      for (const [from, to] of [
        [32, 32],
        [0, 32],
        [64, 32],
        [96, 0],
      ] as const) {
        expectEqual(before, (nodes) => nodes.raise(from, count, to));
      }
    }
  });

  test('raise long levels alike, in memory that grows', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 101, max: 9000 }), (seed, count) => {
        expectEqual(bytesFrom(seed, (count + 2) * HASH_BYTES), (nodes) => nodes.raise(0, count, 32));
      }),
      { numRuns: 10 },
    );
  });

  test('the kernel reads past a level that ends where its memory would, and stays within', () => {
    // Memory of one page, less the 2 KiB before the nodes.
    const nodes = (65_536 - 2048) / HASH_BYTES;
    for (let count = nodes - 10; count <= nodes; count++) {
      const fresh = new TreeKernel(decodeKernel(TREE_KERNEL));
      const before = bytesFrom(count, count * HASH_BYTES);
      const [a, b] = [fresh, reference].map((each) =>
        after(each, before, before.length, () => each.raise(HASH_BYTES, count - 1, HASH_BYTES)),
      );
      expect(Buffer.compare(a!, b!)).toBe(0);
    }
  });

  test('hash a block of any length alike', () => {
    for (let length = 0; length <= 64; length++) {
      for (const to of [0, 30, 128]) {
        // The rest of the block is the kernel's to overwrite.
        const before = bytesFrom(length, 256).fill(0, 30 + length, 94);
        expectEqual(before, (nodes) => nodes.hashBlock(30, length, to));
      }
    }
  });

  test('memory keeps what it holds when it grows', () => {
    for (const nodes of [
      new TreeKernel(decodeKernel(TREE_KERNEL)),
      new DigestNodes(() => expect.unreachable()),
    ]) {
      const held = bytesFrom(5, 1000);
      nodes.room(1000).set(held);
      const grown = nodes.room(1_000_000);
      expect(grown.length).toBeGreaterThanOrEqual(1_000_000);
      expect(Buffer.compare(grown.subarray(0, 1000), held)).toBe(0);
    }
  });
});

describe('hashers on the kernel and on the digest', async () => {
  const fast = createHasher();
  const slow = createNativeHasher('digest') ?? (await createWasmHasher('digest'));

  const expectAlike = (width: number, first: number, count: number) => {
    const leaves = bytesFrom(width, width * HASH_BYTES);
    const length = (width - 1) * LEAF_BYTES + 1;
    const root = fast.root(leaves, length);
    expect(root).toEqual(slow.root(leaves, length));
    expect(Buffer.compare(fast.levelAbove(leaves), slow.levelAbove(leaves))).toBe(0);
    const proof = fast.proof(leaves, first, count);
    expect(Buffer.compare(proof, slow.proof(leaves, first, count))).toBe(0);
    const leaf = leaves.subarray(first * HASH_BYTES, (first + 1) * HASH_BYTES);
    const path = slow.proof(leaves, first, 1);
    for (const hasher of [fast, slow]) {
      expect(hasher.verifyLeafHash(root, length, first, leaf, path)).toBe(true);
      expect(hasher.verifyLeafHash(root, length + LEAF_BYTES, first, leaf, path)).toBe(false);
    }
  };

  test('verify a range of more leaves than the memory had room for at first', () => {
    const bytes = new Uint8Array(2100 * LEAF_BYTES + 1);
    bytes.fill(1, LEAF_BYTES, 2 * LEAF_BYTES);
    const tree = slow.tree();
    tree.update(bytes);
    const { root, leaves, length } = tree.finish();
    const proof = slow.proof(leaves, 1, 2099);
    const range = bytes.subarray(LEAF_BYTES, 2100 * LEAF_BYTES);
    for (const hasher of [fast, slow]) {
      expect(hasher.verify(root, length, 1, range, proof)).toBe(true);
      expect(hasher.verify(root, length, 0, range, proof)).toBe(false);
    }
  });

  test('the root binds all 64 bits of the length', () => {
    const length = 2 ** 32 + 5;
    const leaves = bytesFrom(1, Math.ceil(length / LEAF_BYTES) * HASH_BYTES);
    let top = leaves;
    while (top.length > HASH_BYTES) top = fast.levelAbove(top);
    const message = Buffer.concat([Uint8Array.of(2), new Uint8Array(8), top]);
    message.writeBigUInt64LE(BigInt(length), 1);
    for (const hasher of [fast, slow]) expect(hasher.root(leaves, length)).toEqual(fast.hash(message));
  });

  test('agree on shards of 1 to 100 leaves, and on every leaf of some', () => {
    for (let width = 1; width <= 100; width++) {
      const first = Math.floor(width / 3);
      expectAlike(width, first, 1 + ((width * 3) % (width - first)));
    }
    for (const width of [7, 16, 33]) {
      for (let first = 0; first < width; first++) expectAlike(width, first, width - first);
    }
  });

  test('agree on long shards', () => {
    const ranges = fc
      .integer({ min: 101, max: 5000 })
      .chain((width) => fc.tuple(fc.constant(width), fc.nat(width - 1), fc.nat()));
    fc.assert(
      fc.property(ranges, ([width, first, count]) =>
        expectAlike(width, first, 1 + (count % (width - first))),
      ),
      { numRuns: 20 },
    );
  });
});
