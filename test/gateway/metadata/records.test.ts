import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defineRecord } from '../../../gateway/metadata/records.ts';

const corrupt = (text: string): object =>
  expect.objectContaining({
    name: 'MetadataError',
    kind: 'Corrupt',
    message: expect.stringContaining(text) as string,
  });

describe('records', () => {
  test('come back as they were, whatever the strings, numbers and bytes in them', () => {
    const codec = defineRecord<unknown>({ name: 'thing', version: 3 });
    const leaf = fc.oneof(
      fc.string({ unit: 'binary' }),
      // The sign of a zero is not kept.
      fc.double({ noNaN: true }).map((number) => number + 0),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.constantFrom(null, undefined, '__proto__', 'constructor', 2 ** 32, 2 ** 53 - 1),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    const value = fc.array(
      fc.oneof(leaf, fc.array(fc.tuple(leaf, leaf)), fc.record({ a: leaf, b: fc.array(leaf) })),
    );
    fc.assert(
      fc.property(value, (original) => {
        const record = codec.encode(original);
        expect(record[0]).toBe(3);
        expect(codec.decode(record)).toEqual(original);
      }),
    );
  });

  test('plain Uint8Arrays come back as bytes', () => {
    const codec = defineRecord<readonly [Uint8Array]>({ name: 'thing', version: 1 });
    const [bytes] = codec.decode(codec.encode([Uint8Array.of(0, 255, 7)]));
    expect(Buffer.from(bytes)).toEqual(Buffer.from([0, 255, 7]));
  });

  test('a map with a __proto__ key changes no prototype', () => {
    // MessagePack of { "__proto__": { "admin": true } }, as an attacker who could write the store would put it.
    const packed = [1, 0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa5, ...Buffer.from('admin'), 0xc3];
    const codec = defineRecord<Record<string, unknown>>({ name: 'thing', version: 1 });
    const decoded = codec.decode(Uint8Array.from(packed));
    expect(decoded['admin']).toBeUndefined();
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  test('an older version is migrated one step at a time', () => {
    const first = defineRecord<[string]>({ name: 'thing', version: 1 });
    const second = defineRecord<[string, number]>({ name: 'thing', version: 2 });
    const third = defineRecord<{ name: string; size: number }>({
      name: 'thing',
      version: 3,
      migrate: {
        1: ([name]: [string]) => [name, 0],
        2: ([name, size]: [string, number]) => ({ name, size }),
      },
    });
    expect(third.decode(first.encode(['a']))).toEqual({ name: 'a', size: 0 });
    expect(third.decode(second.encode(['b', 4]))).toEqual({ name: 'b', size: 4 });
    expect(third.decode(third.encode({ name: 'c', size: 5 }))).toEqual({ name: 'c', size: 5 });
  });

  test('a newer version, one without a migration, an empty record and bytes that are no MessagePack are Corrupt', () => {
    const newer = defineRecord<number>({ name: 'object version', version: 9 });
    const current = defineRecord<number>({ name: 'object version', version: 2 });
    const older = defineRecord<number>({ name: 'object version', version: 1 });
    expect(() => current.decode(newer.encode(1))).toThrow(
      corrupt('stored object version cannot be read: it has format 9'),
    );
    expect(() => current.decode(older.encode(1))).toThrow(corrupt('no longer reads'));
    expect(() => current.decode(new Uint8Array(0))).toThrow(corrupt('no format version'));
    expect(() => current.decode(Uint8Array.of(0, 1))).toThrow(corrupt('no format version'));
    expect(() => current.decode(Uint8Array.of(2))).toThrow(corrupt('no MessagePack'));
    expect(() => current.decode(Uint8Array.of(2, 0x92, 1))).toThrow(corrupt('no MessagePack'));
    expect(() => current.decode(Uint8Array.of(2, 1, 1))).toThrow(corrupt('no MessagePack'));
  });

  test('senseless versions are refused when the record is defined', () => {
    for (const version of [0, 256, 1.5])
      expect(() => defineRecord({ name: 'x', version })).toThrow(RangeError);
    const same = (value: unknown): unknown => value;
    expect(() => defineRecord({ name: 'x', version: 2, migrate: { 2: same } })).toThrow(RangeError);
  });
});
