import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import { SortedEntries } from '../../../gateway/metadata/sortedEntries.ts';
import { bytes, describeKeyValueStore, text } from './keyValueStoreContract.ts';

for (const partitions of [1, 3]) {
  describeKeyValueStore(`memory with ${partitions} partitions`, async () => {
    const store = openMemoryStore({ partitions });
    return { store, dispose: () => store.close() };
  });
}

describe('memory', () => {
  test('partitions share nothing', async () => {
    const store = openMemoryStore({ partitions: 2 });
    await store.commit(0, { puts: [[bytes('a'), bytes('0')]] });
    await store.commit(1, { puts: [[bytes('a'), bytes('1')]] });
    await store.commit(1, { checks: [{ key: bytes('a'), value: bytes('1') }], deletes: [bytes('a')] });
    expect(text(await store.get(0, bytes('a')))).toBe('0');
    expect(await store.get(1, bytes('a'))).toBeUndefined();
  });

  test('a senseless number of partitions is refused', () => {
    for (const partitions of [0, -1, 1.5]) expect(() => openMemoryStore({ partitions })).toThrow(RangeError);
  });
});

describe('SortedEntries', () => {
  test('stays ordered and complete through splits and emptied leaves', () => {
    const number = fc.integer({ min: 0, max: 3_000 });
    const change = fc.tuple(fc.boolean(), number, fc.integer({ min: 1, max: 900 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), number, number, (changes, from, to) => {
        const key = (index: number): Uint8Array => Uint8Array.of(index >> 8, index & 0xff);
        const entries = new SortedEntries();
        const model = new Map<number, Uint8Array>();
        for (const [add, start, count] of changes) {
          for (let index = start; index < start + count; index++) {
            // Every other way round, so that leaves fill from both sides.
            const at = count % 2 ? index : 2 * start + count - index;
            if (add) {
              entries.set(key(at), key(at));
              model.set(at, key(at));
            } else {
              entries.delete(key(at));
              model.delete(at);
            }
          }
        }
        const expected = [...model.keys()].filter((at) => at >= from && at < to).sort((a, b) => a - b);
        const up = [...entries.ascending(key(from), key(to))].map(([found]) =>
          Buffer.from(found).readUInt16BE(),
        );
        const down = [...entries.descending(key(from), key(to))].map(([found]) =>
          Buffer.from(found).readUInt16BE(),
        );
        expect(up).toEqual(expected);
        expect(down).toEqual(expected.reverse());
        for (let at = 0; at < 4_000; at += 97) expect(entries.get(key(at))).toEqual(model.get(at));
      }),
      { numRuns: 60 },
    );
  });
});
