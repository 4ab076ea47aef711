import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ErasureError, type ErasureCodec, type ErasureErrorKind, type Profile } from '#erasure';
import { bytesFrom, libraryParity, shardsOf } from './support.ts';

const profiles = fc.record({
  data: fc.integer({ min: 1, max: 20 }),
  parity: fc.integer({ min: 1, max: 10 }),
});
const cells = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 70_000 }));

/** The contract of ErasureCodec; every implementation runs it. */
export function describeErasureCodec(name: string, create: (profile: Profile) => ErasureCodec): void {
  describe(`${name} keeps the contract of ErasureCodec`, () => {
    test('parity has the bytes of reed-solomon-erasure', () => {
      fc.assert(
        fc.property(profiles, cells, fc.integer(), (profile, cell, seed) => {
          const data = bytesFrom(seed, cell * profile.data);
          expect(same(create(profile).encode(data, cell), libraryParity(profile, data, cell))).toBe(true);
        }),
        { numRuns: 60 },
      );
    });

    test('any k shards give back every shard', () => {
      fc.assert(
        fc.property(
          profiles,
          cells,
          fc.integer(),
          fc.infiniteStream(fc.nat()),
          (profile, cell, seed, picks) => {
            const codec = create(profile);
            const whole = shardsOf(codec, bytesFrom(seed, cell * profile.data), cell);
            const damaged = erase(whole, profile.parity, picks);
            const wanted = whole.map((_, index) => index).reverse();
            const rebuilt = codec.reconstruct(damaged, wanted);
            expect(wanted.every((index, at) => same(rebuilt[at]!, whole[index]!))).toBe(true);
          },
        ),
        { numRuns: 60 },
      );
    });

    test.for(smallProfiles(8))('every erasure pattern of $data+$parity', (profile) => {
      const codec = create(profile);
      const whole = shardsOf(codec, bytesFrom(7, profile.data * 5), 5);
      for (let pattern = 0; pattern < 1 << whole.length; pattern++) {
        const damaged = whole.map((shard, index) => (pattern & (1 << index) ? undefined : shard));
        const missing = whole.flatMap((_, index) => (damaged[index] ? [] : [index]));
        if (missing.length > profile.parity) continue;
        for (const wanted of [missing, missing.slice(0, 1), missing.slice(-1)]) {
          expect(codec.reconstruct(damaged, wanted)).toEqual(wanted.map((index) => whole[index]));
        }
      }
    });

    test('a byte range of the shards rebuilds that range', () => {
      const codec = create({ data: 4, parity: 2 });
      const whole = shardsOf(codec, bytesFrom(3, 4 * 50_000), 50_000);
      fc.assert(
        fc.property(fc.nat(49_999), fc.nat(50_000), (from, length) => {
          const slices = whole.map((shard) => shard.subarray(from, from + length));
          const [third] = codec.reconstruct(
            [slices[0], slices[1], undefined, undefined, slices[4], slices[5]],
            [2],
          );
          expect(same(third!, slices[2]!)).toBe(true);
        }),
        { numRuns: 30 },
      );
    });

    test('a present shard is returned as it is, a repeated one each time', () => {
      const codec = create({ data: 2, parity: 2 });
      const whole = shardsOf(codec, bytesFrom(5, 20), 10);
      const rebuilt = codec.reconstruct([whole[0], undefined, whole[2], whole[3]], [3, 1, 0, 1]);
      expect(rebuilt[0]).toBe(whole[3]);
      expect(rebuilt[2]).toBe(whole[0]);
      expect(rebuilt[1]).toEqual(whole[1]);
      expect(rebuilt[3]).toEqual(whole[1]);
      expect(codec.reconstruct(whole, [])).toEqual([]);
    });

    test('empty cells are coded to empty cells', () => {
      const codec = create({ data: 3, parity: 2 });
      const empty = new Uint8Array(0);
      expect(codec.encode(empty, 0)).toEqual(empty);
      expect(codec.reconstruct([empty, undefined, empty, empty, undefined], [1, 4])).toEqual([empty, empty]);
    });

    test('results are not overwritten by later calls, arguments never', () => {
      const codec = create({ data: 2, parity: 1 });
      const data = bytesFrom(1, 128);
      const copy = data.slice();
      const parity = codec.encode(data, 64);
      const kept = parity.slice();
      const [rebuilt] = codec.reconstruct([undefined, data.subarray(64), parity], [0]);
      codec.encode(bytesFrom(2, 128), 64);
      expect(data).toEqual(copy);
      expect(parity).toEqual(kept);
      expect(rebuilt).toEqual(copy.subarray(0, 64));
    });

    test('memory given is used, when it has the right length', () => {
      const codec = create({ data: 3, parity: 2 });
      const whole = shardsOf(codec, bytesFrom(6, 300), 100);
      const parity = new Uint8Array(200).fill(9);
      expect(codec.encode(Buffer.concat(whole.slice(0, 3)), 100, parity)).toBe(parity);
      expect(same(parity, Buffer.concat(whole.slice(3)))).toBe(true);
      const into = [new Uint8Array(100), new Uint8Array(100), new Uint8Array(0)];
      const rebuilt = codec.reconstruct([undefined, undefined, ...whole.slice(2)], [1, 0, 2], into);
      expect(rebuilt[0]).toBe(into[0]);
      expect(rebuilt[1]).toBe(into[1]);
      expect(rebuilt).toEqual([whole[1], whole[0], whole[2]]);
      expect(kindOf(() => codec.encode(new Uint8Array(300), 100, new Uint8Array(199)))).toBe('BadLength');
      const short = [new Uint8Array(99)];
      expect(kindOf(() => codec.reconstruct([undefined, ...whole.slice(1)], [0], short))).toBe('BadLength');
    });

    test('errors have kinds', () => {
      const codec = create({ data: 3, parity: 2 });
      const a = new Uint8Array(4);
      const shorter = new Uint8Array(3);
      for (const [data, parity] of [
        [0, 2],
        [21, 2],
        [4, 0],
        [4, 11],
        [4.5, 2],
      ] as const) {
        expect(kindOf(() => create({ data, parity }))).toBe('BadProfile');
      }
      expect(kindOf(() => codec.encode(new Uint8Array(11), 4))).toBe('BadLength');
      expect(kindOf(() => codec.encode(new Uint8Array(12), 4.5))).toBe('BadLength');
      expect(kindOf(() => codec.encode(new Uint8Array(0), -1))).toBe('BadLength');
      expect(kindOf(() => codec.reconstruct([a, a, a, a], [0]))).toBe('BadLength');
      expect(kindOf(() => codec.reconstruct([a, a, shorter, undefined, undefined], [3]))).toBe('BadLength');
      expect(kindOf(() => codec.reconstruct([a, a, a, a, shorter], [0]))).toBe('BadLength');
      expect(kindOf(() => codec.reconstruct([a, a, undefined, undefined, undefined], [2]))).toBe(
        'TooFewShards',
      );
      expect(() => codec.reconstruct([a, a, a, a, a], [5])).toThrow(RangeError);
      expect(() => codec.reconstruct([a, a, a, a, a], [-1])).toThrow(RangeError);
    });
  });
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Drops up to `most` shards, those that `picks` names. */
function erase(
  shards: readonly Uint8Array[],
  most: number,
  picks: Iterable<number>,
): (Uint8Array | undefined)[] {
  const left: (Uint8Array | undefined)[] = [...shards];
  let drops = 0;
  for (const pick of picks) {
    if (drops++ === most) break;
    left[pick % shards.length] = undefined;
  }
  return left;
}

function smallProfiles(totalMax: number): Profile[] {
  const shapes: Profile[] = [];
  for (let data = 1; data < totalMax; data++) {
    for (let parity = 1; data + parity <= totalMax; parity++) shapes.push({ data, parity });
  }
  return shapes;
}

function kindOf(act: () => unknown): ErasureErrorKind | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof ErasureError) return error.kind;
    throw error;
  }
  return undefined;
}
