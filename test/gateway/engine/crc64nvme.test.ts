import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc64NvmeStep } from '#erasure';
import { createCrc64Nvme, Crc64Nvme } from '../../../gateway/engine/crc64nvme.ts';
import type { Crc64 } from '../../../gateway/engine/crc64nvme.ts';

const PATTERN = Uint8Array.from({ length: 150_000 }, (_, at) => (at * 131 + (at >> 8) * 37) & 0xff);
const digest = (crc: Crc64, pieces: readonly Uint8Array[]): string => {
  for (const piece of pieces) crc.update(piece);
  return crc.digest().toString('hex');
};

test('the kernel runs here', () => {
  expect(crc64NvmeStep()).toBeDefined();
  expect(createCrc64Nvme()).not.toBeInstanceOf(Crc64Nvme);
});

test('kernel and JavaScript agree on any bytes, however they are cut', () => {
  const cuts = fc.array(fc.oneof(fc.nat(PATTERN.length), fc.nat(200)), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(cuts, (places) => {
      const sorted = places.sort((a, b) => a - b);
      const pieces = sorted.slice(1).map((end, index) => PATTERN.subarray(sorted[index], end));
      const whole = PATTERN.subarray(sorted[0], sorted.at(-1));
      const expected = digest(new Crc64Nvme(), [whole]);
      expect(digest(createCrc64Nvme(), pieces)).toBe(expected);
      expect(digest(new Crc64Nvme(), pieces)).toBe(expected);
    }),
  );
});

test('those under way do not disturb each other', () => {
  const pieces = [0, 1, 2, 3].map((index) => PATTERN.subarray(index * 33_000, index * 33_000 + 40_000));
  const crcs = [createCrc64Nvme(), createCrc64Nvme()];
  for (const piece of pieces) for (const crc of crcs) crc.update(piece);
  const expected = digest(new Crc64Nvme(), pieces);
  expect(crcs.map((crc) => crc.digest().toString('hex'))).toEqual([expected, expected]);
});
