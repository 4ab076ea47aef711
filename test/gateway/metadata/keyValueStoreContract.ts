/** What every KeyValueStore promises; each implementation's test file runs it. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../../gateway/metadata/limits.ts';
import type { Bytes, Entry, KeyValueStore } from '../../../gateway/metadata/types.ts';
import { describeModel } from './keyValueStoreModel.ts';

export interface StoreUnderTest {
  /** The store that is open now. */
  readonly store: KeyValueStore;
  /** Closes it and opens the same data again; absent when nothing outlives a store. */
  readonly reopen?: () => Promise<void>;
  /** Closes and removes everything. */
  readonly dispose: () => Promise<void>;
}

export const bytes = (text: string): Bytes => new Uint8Array(Buffer.from(text, 'latin1'));
export const text = (value: Bytes | undefined): string | undefined =>
  value && Buffer.from(value).toString('latin1');
const ALL = { from: bytes(''), to: bytes('\xff'.repeat(20)), limit: 1_000 };
const keysOf = (entries: readonly Entry[]): (string | undefined)[] => entries.map(([key]) => text(key));

export function describeKeyValueStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the KeyValueStore contract`, () => {
    let under: StoreUnderTest;
    let store: KeyValueStore;
    beforeEach(async () => {
      under = await open();
      store = under.store;
    });
    afterEach(() => under.dispose());

    const put = (...keys: string[]): Promise<boolean> =>
      store.commit(0, { puts: keys.map((key) => [bytes(key), bytes(`v${key}`)] as const) });

    describe('get and put', () => {
      test('an absent key is undefined', async () => {
        expect(await store.get(0, bytes('a'))).toBeUndefined();
      });

      test('an empty value is not an absent one', async () => {
        await store.commit(0, { puts: [[bytes('a'), bytes('')]] });
        expect((await store.get(0, bytes('a')))?.length).toBe(0);
      });

      test('a later put replaces; deleting an absent key is no error', async () => {
        await put('a');
        await store.commit(0, { puts: [[bytes('a'), bytes('2')]] });
        expect(text(await store.get(0, bytes('a')))).toBe('2');
        expect(await store.commit(0, { deletes: [bytes('a'), bytes('b')] })).toBe(true);
        expect(await store.get(0, bytes('a'))).toBeUndefined();
      });

      test('values of every size come back whole', async () => {
        for (const size of [1, 4_095, 4_096, 32_768, 32_769, 100_000, 1_000_003]) {
          const value = new Uint8Array(size).map((_, index) => (index * 7) & 0xff);
          await store.commit(0, { puts: [[bytes('big'), value]] });
          const found = await store.get(0, bytes('big'));
          const [entry] = await store.scan(0, ALL);
          expect(found?.length).toBe(size);
          expect(Buffer.compare(found as Bytes, value)).toBe(0);
          expect(Buffer.compare(entry?.[1] as Bytes, value)).toBe(0);
        }
      });
    });

    describe('scan', () => {
      test('orders by unsigned bytes, a prefix before its extensions', async () => {
        const ordered = [
          '\x00',
          '\x00\x00',
          '\x01',
          'a',
          'a\x00',
          'a\x00\xff',
          'aa',
          'b',
          '\x7f',
          '\x80',
          '\xff',
          '\xff\x00',
          '\xff\xff',
        ];
        await put(...[...ordered].reverse());
        expect(keysOf(await store.scan(0, ALL))).toEqual(ordered);
        expect(keysOf(await store.scan(0, { ...ALL, reverse: true }))).toEqual([...ordered].reverse());
      });

      test('takes `from` and leaves `to`, in both directions', async () => {
        await put('a', 'b', 'c', 'd');
        const range = { from: bytes('b'), to: bytes('d'), limit: 10 };
        expect(keysOf(await store.scan(0, range))).toEqual(['b', 'c']);
        expect(keysOf(await store.scan(0, { ...range, reverse: true }))).toEqual(['c', 'b']);
        const between = { from: bytes('a\x00'), to: bytes('cc'), limit: 10 };
        expect(keysOf(await store.scan(0, between))).toEqual(['b', 'c']);
        expect(keysOf(await store.scan(0, { ...between, reverse: true }))).toEqual(['c', 'b']);
      });

      test('stops at the limit from the side it starts on', async () => {
        await put('a', 'b', 'c', 'd');
        expect(keysOf(await store.scan(0, { ...ALL, limit: 2 }))).toEqual(['a', 'b']);
        expect(keysOf(await store.scan(0, { ...ALL, limit: 2, reverse: true }))).toEqual(['d', 'c']);
        expect(await store.scan(0, { ...ALL, limit: 0 })).toEqual([]);
      });

      test('an empty or inverted range has no entries', async () => {
        await put('a', 'b');
        for (const reverse of [false, true]) {
          expect(await store.scan(0, { from: bytes('b'), to: bytes('b'), limit: 9, reverse })).toEqual([]);
          expect(await store.scan(0, { from: bytes('c'), to: bytes('a'), limit: 9, reverse })).toEqual([]);
          expect(await store.scan(0, { from: bytes('x'), to: bytes('y'), limit: 9, reverse })).toEqual([]);
          expect(await store.scan(0, { from: bytes(''), to: bytes(''), limit: 9, reverse })).toEqual([]);
        }
      });

      test('bounds longer than any key order as they should', async () => {
        const longest = 'k'.repeat(MAX_KEY_BYTES);
        await put(longest, 'k', 'l');
        const beyond = bytes(`${longest}kk`);
        expect(keysOf(await store.scan(0, { from: beyond, to: bytes('z'), limit: 9 }))).toEqual(['l']);
        expect(keysOf(await store.scan(0, { from: bytes('a'), to: beyond, limit: 9 }))).toEqual([
          'k',
          longest,
        ]);
        const down = { from: bytes('a'), to: beyond, limit: 1, reverse: true };
        expect(keysOf(await store.scan(0, down))).toEqual([longest]);
      });

      test('pages put together give every entry once', async () => {
        const names = Array.from({ length: 1_000 }, (_, index) => `n${String(index).padStart(4, '0')}`);
        await put(...names);
        const seen: (string | undefined)[] = [];
        let from = bytes('n');
        for (;;) {
          const page = await store.scan(0, { from, to: bytes('o'), limit: 37 });
          seen.push(...keysOf(page));
          if (page.length < 37) break;
          from = bytes(`${text(page.at(-1)?.[0])}\x00`);
        }
        expect(seen).toEqual(names);
      });
    });

    describe('commit', () => {
      test('checks: present and equal, absent, different, missing', async () => {
        await put('a');
        const write = (key: string, value: string | null): Promise<boolean> =>
          store.commit(0, {
            checks: [{ key: bytes(key), value: value === null ? null : bytes(value) }],
            puts: [[bytes('w'), bytes(`${key}${value}`)]],
          });
        expect(await write('a', 'va')).toBe(true);
        expect(await write('b', null)).toBe(true);
        expect(text(await store.get(0, bytes('w')))).toBe('bnull');
        expect(await write('a', 'v')).toBe(false);
        expect(await write('a', 'vaa')).toBe(false);
        expect(await write('a', '')).toBe(false);
        expect(await write('a', null)).toBe(false);
        expect(await write('b', 'va')).toBe(false);
        expect(await write('b', '')).toBe(false);
        expect(text(await store.get(0, bytes('w')))).toBe('bnull');
      });

      test('a failed check among others applies nothing', async () => {
        await put('a', 'b');
        const applied = await store.commit(0, {
          checks: [
            { key: bytes('a'), value: bytes('va') },
            { key: bytes('b'), value: null },
          ],
          puts: [[bytes('c'), bytes('1')]],
          deletes: [bytes('a')],
        });
        expect(applied).toBe(false);
        expect(keysOf(await store.scan(0, ALL))).toEqual(['a', 'b']);
      });

      test('puts, deletes and checks of one commit take effect together', async () => {
        await put('a', 'b');
        const applied = await store.commit(0, {
          checks: [{ key: bytes('a'), value: bytes('va') }],
          puts: [[bytes('c'), bytes('1')]],
          deletes: [bytes('a'), bytes('b')],
        });
        expect(applied).toBe(true);
        expect(keysOf(await store.scan(0, ALL))).toEqual(['c']);
      });

      test('a commit of checks only answers them; an empty one holds', async () => {
        await put('a');
        expect(await store.commit(0, { checks: [{ key: bytes('a'), value: bytes('va') }] })).toBe(true);
        expect(await store.commit(0, { checks: [{ key: bytes('a'), value: null }] })).toBe(false);
        expect(await store.commit(0, {})).toBe(true);
      });

      test('commits of one caller take effect in the order they were made', async () => {
        const answers = await Promise.all([
          store.commit(0, { checks: [{ key: bytes('a'), value: null }], puts: [[bytes('a'), bytes('1')]] }),
          store.commit(0, { checks: [{ key: bytes('a'), value: null }], puts: [[bytes('a'), bytes('2')]] }),
          store.commit(0, {
            checks: [{ key: bytes('a'), value: bytes('1') }],
            puts: [[bytes('a'), bytes('3')]],
          }),
          store.commit(0, { checks: [{ key: bytes('a'), value: bytes('3') }], deletes: [bytes('a')] }),
          store.commit(0, { checks: [{ key: bytes('a'), value: null }], puts: [[bytes('a'), bytes('4')]] }),
        ]);
        expect(answers).toEqual([true, false, true, true, true]);
        expect(text(await store.get(0, bytes('a')))).toBe('4');
      });

      test('racing for one absent key has exactly one winner', async () => {
        const claims = Array.from({ length: 50 }, (_, index) =>
          store.commit(0, {
            checks: [{ key: bytes('lock'), value: null }],
            puts: [[bytes('lock'), bytes(String(index))]],
          }),
        );
        const winners = (await Promise.all(claims)).flatMap((won, index) => (won ? [String(index)] : []));
        expect(winners).toEqual([text(await store.get(0, bytes('lock')))]);
      });

      test('concurrent compare-and-set loses no increment', async () => {
        const increment = async (): Promise<void> => {
          for (;;) {
            const value = (await store.get(0, bytes('n'))) ?? null;
            const next = bytes(String(Number(text(value ?? undefined) ?? '0') + 1));
            if (await store.commit(0, { checks: [{ key: bytes('n'), value }], puts: [[bytes('n'), next]] }))
              return;
          }
        };
        const workers = Array.from({ length: 8 }, async () => {
          for (let round = 0; round < 10; round++) await increment();
        });
        await Promise.all(workers);
        expect(text(await store.get(0, bytes('n')))).toBe('80');
      });
    });

    describe('ownership of arrays', () => {
      test('changing arguments after the call, or results, changes nothing', async () => {
        const key = bytes('key');
        const value = bytes('value');
        const expected = bytes('value');
        const written = store.commit(0, { puts: [[key, value]] });
        key.fill(0);
        value.fill(0);
        await written;
        const checked = store.commit(0, {
          checks: [{ key: bytes('key'), value: expected }],
          puts: [[bytes('other'), bytes('o')]],
        });
        expected.fill(0);
        expect(await checked).toBe(true);
        (await store.get(0, bytes('key')))?.fill(1);
        for (const [k, v] of await store.scan(0, ALL)) {
          k.fill(1);
          v.fill(1);
        }
        expect(text(await store.get(0, bytes('key')))).toBe('value');
        expect(keysOf(await store.scan(0, ALL))).toEqual(['key', 'other']);
      });

      test('returned arrays stay as they are when the store moves on', async () => {
        const large = new Uint8Array(50_000).fill(3);
        await store.commit(0, {
          puts: [
            [bytes('a'), bytes('first')],
            [bytes('b'), large],
          ],
        });
        const small = await store.get(0, bytes('a'));
        const big = await store.get(0, bytes('b'));
        const page = await store.scan(0, ALL);
        await store.commit(0, {
          puts: [
            [bytes('a'), bytes('SECOND')],
            [bytes('b'), new Uint8Array(60_000).fill(4)],
          ],
        });
        await store.get(0, bytes('a'));
        await store.get(0, bytes('b'));
        await store.scan(0, ALL);
        expect(text(small)).toBe('first');
        expect(Buffer.compare(big as Bytes, large)).toBe(0);
        expect(page.map(([key, value]) => [text(key), value.length])).toEqual([
          ['a', 5],
          ['b', 50_000],
        ]);
        expect(Buffer.compare(page[1]?.[1] as Bytes, large)).toBe(0);
      });
    });

    describe('refusals', () => {
      const tooLarge = { name: 'MetadataError', kind: 'TooLarge' };

      test('the longest key and the largest value fit', async () => {
        const key = bytes('\xff'.repeat(MAX_KEY_BYTES));
        const value = new Uint8Array(MAX_VALUE_BYTES).fill(5);
        expect(await store.commit(0, { puts: [[key, value]] })).toBe(true);
        expect((await store.get(0, key))?.length).toBe(MAX_VALUE_BYTES);
      });

      test('empty and too long keys and too large values are refused, and nothing of their commit is applied', async () => {
        const long = bytes('k'.repeat(MAX_KEY_BYTES + 1));
        for (const key of [bytes(''), long]) {
          await expect(store.get(0, key)).rejects.toMatchObject(tooLarge);
          await expect(
            store.commit(0, {
              puts: [
                [bytes('x'), bytes('')],
                [key, bytes('')],
              ],
            }),
          ).rejects.toMatchObject(tooLarge);
          await expect(
            store.commit(0, { puts: [[bytes('x'), bytes('')]], deletes: [key] }),
          ).rejects.toMatchObject(tooLarge);
          await expect(store.commit(0, { checks: [{ key, value: null }] })).rejects.toMatchObject(tooLarge);
        }
        const huge = new Uint8Array(MAX_VALUE_BYTES + 1);
        await expect(store.commit(0, { puts: [[bytes('x'), huge]] })).rejects.toMatchObject(tooLarge);
        expect(await store.scan(0, ALL)).toEqual([]);
      });

      test('a key both put and deleted, an absent partition and a senseless limit are bugs of the caller', async () => {
        const both = { puts: [[bytes('a'), bytes('')] as const], deletes: [bytes('a')] };
        await expect(store.commit(0, both)).rejects.toThrow(TypeError);
        for (const partition of [-1, store.partitions, 0.5]) {
          await expect(store.get(partition, bytes('a'))).rejects.toThrow(RangeError);
          await expect(store.scan(partition, ALL)).rejects.toThrow(RangeError);
          await expect(store.commit(partition, {})).rejects.toThrow(RangeError);
        }
        await expect(store.scan(0, { ...ALL, limit: -1 })).rejects.toThrow(RangeError);
        await expect(store.scan(0, { ...ALL, limit: 1.5 })).rejects.toThrow(RangeError);
      });

      test('close waits for commits under way, twice is no error, and a closed store refuses', async () => {
        const writes = Array.from({ length: 20 }, (_, index) => put(`k${index}`));
        await store.close();
        expect(await Promise.all(writes)).toEqual(Array.from({ length: 20 }, () => true));
        await store.close();
        const unavailable = { name: 'MetadataError', kind: 'Unavailable' };
        await expect(store.get(0, bytes('a'))).rejects.toMatchObject(unavailable);
        await expect(store.scan(0, ALL)).rejects.toMatchObject(unavailable);
        await expect(store.commit(0, {})).rejects.toMatchObject(unavailable);
      });
    });

    describeModel(() => under);

    test('everything committed is there after closing and reopening', async ({ skip }) => {
      if (!under.reopen) return skip();
      await put('a', 'b', '\x00');
      await store.commit(0, { deletes: [bytes('b')] });
      await under.reopen();
      expect(keysOf(await under.store.scan(0, ALL))).toEqual(['\x00', 'a']);
    });
  });
}
