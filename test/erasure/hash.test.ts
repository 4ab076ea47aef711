import { afterEach, expect, test, vi } from 'vitest';
import { createHasher, createNativeHasher, createWasmHasher, HASH_BYTES, LEAF_BYTES } from '#erasure';
import { describeHasher } from './hasher-contract.ts';
import { bytesFrom } from './support.ts';

const native = createNativeHasher();
const wasm = await createWasmHasher();

// The addon has no build for some platforms; there the WASM build alone is tested, as there it alone serves.
if (native) {
  describeHasher('the native hasher', native);
  describeHasher('the native hasher, digest by digest,', createNativeHasher('digest')!);
}
describeHasher('the WASM hasher', wasm);
describeHasher('the WASM hasher, digest by digest,', await createWasmHasher('digest'));

afterEach(() => {
  vi.doUnmock('node:module');
  vi.restoreAllMocks();
  vi.resetModules();
});

test('both give equal hashes of long inputs', () => {
  for (const length of [65_535, 65_536, 65_537, 3_000_000]) {
    const data = bytesFrom(length, length);
    expect(wasm.hash(data)).toEqual(createHasher().hash(data));
  }
});

test('where the native addon does not load, WASM serves', async () => {
  vi.doMock('node:module', () => ({
    createRequire: () => () => {
      throw new Error('no native build for this platform');
    },
  }));
  vi.resetModules();
  const room = await import('../../erasure/hash.ts');
  expect(room.createNativeHasher()).toBeUndefined();
  expect(room.createHasher().hash(bytesFrom(1, 100))).toEqual(wasm.hash(bytesFrom(1, 100)));
});

test('where the runtime has no WASM SIMD, the digest of the leaves serves for inner nodes', async () => {
  vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);
  vi.resetModules();
  const { sharedTreeKernel } = await import('../../erasure/kernel/tree-kernel.ts');
  const room = await import('../../erasure/hash.ts');
  expect(sharedTreeKernel()).toBeUndefined();
  const leaves = bytesFrom(2, 11 * HASH_BYTES);
  const length = 10 * LEAF_BYTES + 1;
  expect(room.createHasher().root(leaves, length)).toEqual(createHasher().root(leaves, length));
});
