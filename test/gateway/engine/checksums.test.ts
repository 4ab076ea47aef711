import { createHash } from 'node:crypto';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { Crc64Nvme as ReferenceCrc64 } from '@aws-sdk/crc64-nvme';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CHECKSUM_ALGORITHMS,
  createDigests,
  defaultMultipartType,
  isChecksumValue,
  multipartChecksum,
  multipartETag,
  multipartTypeAllowed,
} from '../../../gateway/engine/checksums.ts';
import type { ChecksumAlgorithm } from '../../../gateway/engine/types.ts';

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
const digest = (algorithm: ChecksumAlgorithm, ...pieces: Uint8Array[]): string => {
  const digests = createDigests({ algorithm });
  for (const piece of pieces) digests.update(piece);
  return digests.finish().checksum as string;
};
const CRCS = ['CRC32', 'CRC32C', 'CRC64NVME'] as const;

/** Check values of the catalogue of CRC algorithms (reveng) and of FIPS 180-4 implementations. */
const CHECK_VALUES = {
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
} as const satisfies Record<ChecksumAlgorithm, string>;

/** One bit at a time, as the standard defines it. */
function bitwiseCrc(bytes: Uint8Array, bits: bigint, polynomial: bigint): string {
  const ones = (1n << bits) - 1n;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
  }
  return base64((crc ^ ones).toString(16).padStart(Number(bits) / 4, '0'));
}

describe('digests', () => {
  test.each(CHECKSUM_ALGORITHMS)('%s of 123456789', (algorithm) => {
    expect(digest(algorithm, Buffer.from('123456789'))).toBe(base64(CHECK_VALUES[algorithm]));
  });

  test('pieces of any size and alignment give the digests of the whole', () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    const property = fc.property(
      bytes,
      fc.array(fc.nat(300), { maxLength: 6 }),
      fc.nat(7),
      (whole, cuts, shift) => {
        const memory = new Uint8Array(whole.length + shift);
        memory.set(whole, shift);
        const places = [
          0,
          ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b),
          whole.length,
        ];
        const pieces = places
          .slice(1)
          .map((end, index) => memory.subarray((places[index] ?? 0) + shift, end + shift));
        for (const algorithm of CHECKSUM_ALGORITHMS) {
          const digests = createDigests({ md5: true, sha256Hex: true, algorithm });
          for (const piece of pieces) digests.update(piece);
          const { md5, sha256, checksum } = digests.finish();
          expect(md5).toBe(createHash('md5').update(whole).digest('hex'));
          expect(sha256).toBe(createHash('sha256').update(whole).digest('hex'));
          expect(checksum).toBe(digest(algorithm, whole));
        }
        expect(digest('CRC32', whole)).toBe(bitwiseCrc(whole, 32n, 0xedb88320n));
        expect(digest('CRC32C', whole)).toBe(bitwiseCrc(whole, 32n, 0x82f63b78n));
        expect(digest('CRC64NVME', whole)).toBe(bitwiseCrc(whole, 64n, 0x9a6c9329ac4bc9b5n));
      },
    );
    fc.assert(property);
  });

  test('long inputs agree with other implementations', async () => {
    const long = Uint8Array.from({ length: 1_000_003 }, (_, index) => (index * 131 + (index >> 7)) & 0xff);
    const reference = new ReferenceCrc64();
    reference.update(long);
    const expected = Buffer.from(await reference.digest()).toString('base64');
    expect(digest('CRC64NVME', long)).toBe(expected);
    expect(digest('CRC64NVME', long.subarray(0, 3), long.subarray(3))).toBe(expected);
    expect(digest('CRC32', long)).toBe(base64(zlibCrc32(long).toString(16).padStart(8, '0')));
  });

  test('only what was asked for is there; of nothing, too', () => {
    expect(createDigests().finish()).toEqual({ md5: 'd41d8cd98f00b204e9800998ecf8427e' });
    expect(Object.keys(createDigests({ algorithm: 'SHA256' }).finish())).toEqual(['md5', 'checksum']);
    expect(Object.keys(createDigests({ sha256Hex: true }).finish())).toEqual(['md5', 'sha256']);
    expect(digest('CRC32')).toBe('AAAAAA==');
    expect(digest('CRC64NVME')).toBe('AAAAAAAAAAA=');
  });
});

describe('multipart checksums', () => {
  test('FULL_OBJECT of the parts is the checksum of the whole', () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(parts, fc.constantFrom(...CRCS), (pieces, algorithm) => {
        const given = pieces.map((piece) => ({ value: digest(algorithm, piece), length: piece.length }));
        expect(multipartChecksum(algorithm, 'FULL_OBJECT', given)).toEqual({
          algorithm,
          type: 'FULL_OBJECT',
          value: digest(algorithm, Buffer.concat(pieces)),
        });
      }),
    );
  });

  test.each(CRCS)('%s of parts beyond 4 GiB: appending in one step or in two is the same', (algorithm) => {
    const value = (text: string): string => digest(algorithm, Buffer.from(text));
    const combine = (...parts: { value: string; length: number }[]): { value: string; length: number } => ({
      value: multipartChecksum(algorithm, 'FULL_OBJECT', parts).value,
      length: parts.reduce((sum, { length }) => sum + length, 0),
    });
    const [a, b, c] = [
      { value: value('a'), length: 5 * 2 ** 30 },
      { value: value('b'), length: 2 ** 42 + 17 },
      { value: value('c'), length: 5 * 2 ** 30 },
    ] as const;
    expect(combine(combine(a, b), c)).toEqual(combine(a, combine(b, c)));
    expect(combine(combine(a, b), c)).toEqual(combine(a, b, c));
  });

  test('10,000 parts of one length combine', () => {
    const part = { value: digest('CRC64NVME', new Uint8Array(16)), length: 16 };
    const { value } = multipartChecksum(
      'CRC64NVME',
      'FULL_OBJECT',
      Array.from({ length: 10_000 }, () => part),
    );
    expect(value).toBe(digest('CRC64NVME', new Uint8Array(160_000)));
  });

  test('COMPOSITE is the checksum of the parts’ checksums with their number', () => {
    const parts = ['one', 'two', 'three'].map((word) => Buffer.from(word));
    for (const algorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
      const given = parts.map((part) => ({ value: digest(algorithm, part), length: part.length }));
      const inner = Buffer.concat(given.map(({ value }) => Buffer.from(value, 'base64')));
      expect(multipartChecksum(algorithm, 'COMPOSITE', given)).toEqual({
        algorithm,
        type: 'COMPOSITE',
        value: `${digest(algorithm, inner)}-3`,
      });
    }
  });

  test('which type each algorithm allows, and its default', () => {
    const rules = CHECKSUM_ALGORITHMS.map((algorithm) => [
      algorithm,
      multipartTypeAllowed(algorithm, 'FULL_OBJECT'),
      multipartTypeAllowed(algorithm, 'COMPOSITE'),
      defaultMultipartType(algorithm),
    ]);
    expect(rules).toEqual([
      ['CRC32', true, true, 'COMPOSITE'],
      ['CRC32C', true, true, 'COMPOSITE'],
      ['CRC64NVME', true, false, 'FULL_OBJECT'],
      ['SHA1', false, true, 'COMPOSITE'],
      ['SHA256', false, true, 'COMPOSITE'],
    ]);
    const invalid = expect.objectContaining({ name: 'EngineError', kind: 'InvalidRequest' }) as Error;
    expect(() => multipartChecksum('SHA256', 'FULL_OBJECT', [])).toThrow(invalid);
    expect(() => multipartChecksum('CRC64NVME', 'COMPOSITE', [])).toThrow(invalid);
    expect(() => multipartChecksum('CRC32', 'FULL_OBJECT', [{ value: 'AAAA', length: 1 }])).toThrow(invalid);
  });

  test('a checksum value is exact base64 of the right length', () => {
    for (const algorithm of CHECKSUM_ALGORITHMS) {
      const value = base64(CHECK_VALUES[algorithm]);
      expect(isChecksumValue(algorithm, value)).toBe(true);
      for (const bad of [
        '',
        `${value}-2`,
        `${value} `,
        value.slice(1),
        `${value}AAAA`,
        value.replace(/.$/, '*'),
      ]) {
        expect(isChecksumValue(algorithm, bad)).toBe(false);
      }
    }
    expect(isChecksumValue('CRC32', 'y/Q5Jh==')).toBe(false);
  });

  test('the ETag of a multipart object', () => {
    const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
    const expected = createHash('md5')
      .update(Buffer.from(md5('a') + md5('b'), 'hex'))
      .digest('hex');
    expect(multipartETag([md5('a'), md5('b')])).toBe(`${expected}-2`);
  });
});
