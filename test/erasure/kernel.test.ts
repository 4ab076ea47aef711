import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { kernelModule } from '../../erasure/kernel/build.ts';
import { decodeKernel } from '../../erasure/kernel/kernel.ts';
import { RELAXED_KERNEL, STRICT_KERNEL } from '../../erasure/kernel/kernel-wasm.ts';

describe('the committed kernel', () => {
  test('is what its source builds to, byte for byte', async () => {
    const committed = await readFile(new URL('../../erasure/kernel/kernel-wasm.ts', import.meta.url), 'utf8');
    expect(await kernelModule()).toBe(committed);
  });

  test('runs here in both builds', () => {
    for (const kernel of [RELAXED_KERNEL, STRICT_KERNEL]) {
      expect(WebAssembly.validate(decodeKernel(kernel))).toBe(true);
    }
  });
});
