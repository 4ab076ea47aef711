import { describe, expect, test } from 'vitest';
import { ReadCache } from '../../../gateway/engine/readCache.ts';
import { createHarness, kindOf, OWNER, putText, readAll, readText } from './harness.ts';

const extent = (chunk: number, length = 1000) => ({ chunk: String(chunk), offset: 0, length });

describe('the cache of what was read', () => {
  test('keeps what was used last, within its bytes', () => {
    const cache = new ReadCache(10_000);
    for (let chunk = 0; chunk < 7; chunk++) cache.put(extent(chunk), new Uint8Array(1000).fill(chunk));
    expect(cache.get(extent(0))?.[0]).toBe(0);
    for (let chunk = 7; chunk < 10; chunk++) cache.put(extent(chunk), new Uint8Array(1000).fill(chunk));
    const kept = Array.from({ length: 10 }, (_, chunk) => cache.get(extent(chunk))?.[0]);
    expect(kept).toEqual([0, undefined, undefined, undefined, 4, 5, 6, 7, 8, 9]);
    expect(cache.get({ ...extent(9), offset: 1 })).toBeUndefined();
  });

  test('takes neither long extents nor anything where it has no room', () => {
    expect(new ReadCache(1e9).takes(extent(1, 65_536))).toBe(true);
    expect(new ReadCache(1e9).takes(extent(1, 65_537))).toBe(false);
    expect(new ReadCache(0).takes(extent(1, 1))).toBe(false);
  });

  test('small bodies are read from their chunks once, and checked where they lie', async () => {
    const harness = await createHarness({ options: { readCacheBytes: 1_000_000 } });
    await harness.store.createBucket('b', OWNER);
    await putText(harness.store, 'b', 'small', 'small body');
    await putText(harness.store, 'b', 'long', 'long body '.repeat(20_000));
    for (let turn = 0; turn < 3; turn++) {
      expect(await readText(harness.store, 'b', 'small')).toBe('small body');
      expect((await readAll(harness.store, { bucket: 'b', key: 'small' }, 2, 6)).toString()).toBe('all ');
      expect((await readAll(harness.store, { bucket: 'b', key: 'long' })).length).toBe(200_000);
    }
    expect(harness.chunks.reads).toHaveLength(1 + 3);
    harness.chunks.stored.clear();
    expect(await readText(harness.store, 'b', 'small')).toBe('small body');
    expect(await kindOf(readText(harness.store, 'b', 'long'))).toBe('Unreadable');
    expect((await harness.engine.check()).problems).toHaveLength(2);
  });

  test('what was overwritten is not seen again', async () => {
    const harness = await createHarness({ options: { readCacheBytes: 1_000_000 } });
    await harness.store.createBucket('b', OWNER);
    for (let turn = 0; turn < 5; turn++) {
      await putText(harness.store, 'b', 'key', `body ${turn}`);
      expect(await readText(harness.store, 'b', 'key')).toBe(`body ${turn}`);
      await harness.engine.reclaim.runOnce();
    }
    await harness.store.delete({ bucket: 'b', key: 'key' });
    expect(await kindOf(readText(harness.store, 'b', 'key'))).toBe('NoSuchKey');
  });
});
