import { afterEach, expect, test, vi } from 'vitest';
import { createCodec, createKernelCodec, createLibraryCodec } from '#erasure';
import { Kernel, decodeKernel } from '../../erasure/kernel/kernel.ts';
import { STRICT_KERNEL } from '../../erasure/kernel/kernel-wasm.ts';
import { describeErasureCodec } from './codec-contract.ts';
import { bytesFrom, shardsOf } from './support.ts';

const strict = new Kernel(decodeKernel(STRICT_KERNEL));

describeErasureCodec('the kernel, as this runtime picks it,', (profile) => createKernelCodec(profile)!);
describeErasureCodec('the kernel without relaxed SIMD', (profile) => createKernelCodec(profile, strict)!);
describeErasureCodec('the library', createLibraryCodec);

afterEach(() => {
  vi.restoreAllMocks();
  vi.resetModules();
});

test('one codec serves a profile for the whole process', () => {
  expect(createCodec({ data: 4, parity: 2 })).toBe(createCodec({ data: 4, parity: 2 }));
  expect(createCodec({ data: 4, parity: 3 })).not.toBe(createCodec({ data: 4, parity: 2 }));
  expect(createCodec({ data: 4, parity: 3 }).profile).toEqual({ data: 4, parity: 3 });
});

test('codecs of different profiles may be used in turn', () => {
  const [first, second] = [createCodec({ data: 4, parity: 2 }), createCodec({ data: 5, parity: 3 })];
  const data = bytesFrom(9, 20_000);
  const expected = [first.encode(data, 5000), second.encode(data, 4000)];
  expect([first.encode(data, 5000), second.encode(data, 4000)]).toEqual(expected);
});

test('more erasure patterns than are kept are all decoded, also when they come again', () => {
  const codec = createCodec({ data: 8, parity: 4 });
  const whole = shardsOf(codec, bytesFrom(4, 8 * 3), 3);
  const decodes = (pattern: number) => {
    const damaged = whole.map((shard, index) => (pattern & (1 << index) ? undefined : shard));
    const missing = whole.flatMap((_, index) => (damaged[index] ? [] : [index]));
    const expected = Buffer.concat(missing.map((index) => whole[index]!));
    return missing.length > 4 || expected.equals(Buffer.concat(codec.reconstruct(damaged, missing)));
  };
  const patterns = Array.from({ length: 1 << 12 }, (_, pattern) => pattern);
  expect([...patterns, ...patterns].filter((pattern) => !decodes(pattern))).toEqual([]);
});

test('a runtime without WASM SIMD gets the library', async () => {
  // Vitest's spy types know no WebAssembly, whose declarations are the kernel's own.
  const runtime = WebAssembly as unknown as { validate: (code: Uint8Array) => boolean };
  vi.spyOn(runtime, 'validate').mockReturnValue(false);
  vi.resetModules();
  const room = await import('#erasure');
  expect(room.createKernelCodec({ data: 4, parity: 2 })).toBeUndefined();
  const codec = room.createCodec({ data: 4, parity: 2 });
  const data = bytesFrom(1, 4000);
  expect(codec.constructor.name).toBe('LibraryCodec');
  expect(codec.encode(data, 1000)).toEqual(createCodec({ data: 4, parity: 2 }).encode(data, 1000));
});
