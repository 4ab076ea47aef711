import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CELL_BYTES, LEAF_BYTES, chunkLayout, formatProfile, parseProfile } from '#erasure';

describe('parseProfile', () => {
  test('reads what formatProfile writes', () => {
    for (let data = 1; data <= 20; data++) {
      for (let parity = 1; parity <= 10; parity++) {
        expect(parseProfile(formatProfile({ data, parity }))).toEqual({ data, parity });
      }
    }
    expect(parseProfile(' 10+6\n')).toEqual({ data: 10, parity: 6 });
  });

  test.for([
    '',
    '4',
    '4+',
    '+2',
    '0+2',
    '4+0',
    '21+2',
    '4+11',
    '4+2+1',
    '4 + 2',
    '4-2',
    '-4+2',
    '4.0+2',
    '100+2',
  ])('refuses %j', (text) => {
    expect(() => parseProfile(text)).toThrow(
      expect.objectContaining({ kind: 'BadProfile', retryable: false }),
    );
  });
});

describe('chunkLayout', () => {
  const profiles = fc.record({
    data: fc.integer({ min: 1, max: 20 }),
    parity: fc.integer({ min: 1, max: 10 }),
  });

  test('a stripe boundary has no short last stripe', () => {
    const profile = { data: 4, parity: 2 };
    expect(chunkLayout(3 * 4 * CELL_BYTES, profile)).toMatchObject({ fullStripes: 3, lastCell: 0 });
    expect(chunkLayout(3 * 4 * CELL_BYTES + 1, profile)).toMatchObject({ fullStripes: 3, lastCell: 1 });
    expect(chunkLayout(1, profile)).toMatchObject({ fullStripes: 0, lastCell: 1, shardLength: 1 });
    expect(CELL_BYTES % LEAF_BYTES).toBe(0);
  });

  test('shards hold the chunk, with less than a byte for each data shard to spare', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        profiles,
        fc.integer({ min: 1, max: 5000 }),
        (...given) => {
          const [length, profile, cell] = given;
          const layout = chunkLayout(length, profile, cell);
          expect(layout.shardLength).toBe(layout.fullStripes * cell + layout.lastCell);
          expect(layout.lastCell).toBeLessThanOrEqual(cell);
          const spare = layout.shardLength * profile.data - length;
          expect(spare).toBeGreaterThanOrEqual(0);
          expect(spare).toBeLessThan(profile.data);
        },
      ),
    );
  });
});
