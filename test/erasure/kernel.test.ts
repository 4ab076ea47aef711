import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { kernelModules } from '../../erasure/kernel/build.ts';
import { decodeKernel } from '../../erasure/kernel/kernel.ts';
import { RELAXED_KERNEL, STRICT_KERNEL } from '../../erasure/kernel/kernel-wasm.ts';
import { TREE_KERNEL } from '../../erasure/kernel/tree-wasm.ts';

describe('the committed kernels', () => {
  test('are what their source builds to, byte for byte', async () => {
    const built = await kernelModules();
    expect([...built.keys()]).toEqual(['kernel-wasm.ts', 'tree-wasm.ts']);
    for (const [name, text] of built) {
      expect(text).toBe(await readFile(new URL(`../../erasure/kernel/${name}`, import.meta.url), 'utf8'));
    }
  });

  test('run here in all builds', () => {
    for (const kernel of [RELAXED_KERNEL, STRICT_KERNEL, TREE_KERNEL]) {
      expect(WebAssembly.validate(decodeKernel(kernel))).toBe(true);
    }
  });
});
