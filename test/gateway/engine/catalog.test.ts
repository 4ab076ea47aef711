import { describe, expect, test } from 'vitest';
import type { ChunkRecord } from '#placement';
import { createHarness, leftovers, OWNER, putText, readText, recordedChunks } from './harness.ts';

describe.each([1, 4])('catalog, %i partitions', (partitions) => {
  test('lists records in order of id, page by page', async () => {
    const { store, engine, kv } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    for (let i = 0; i < 25; i++) await putText(store, 'b', `k${i}`, `${i}`);
    const ids: string[] = [];
    for (let page: ChunkRecord[]; (page = await engine.catalog.list(ids.at(-1), 4)).length > 0;) {
      ids.push(...page.map(({ id }) => id));
    }
    expect(ids).toEqual(await recordedChunks(kv));
    expect(await engine.catalog.get(ids[3]!)).toMatchObject({
      id: ids[3],
      generation: 1,
      length: expect.any(Number),
    });
    expect(await engine.catalog.get('f'.repeat(32))).toBeUndefined();
    for (const id of ids.slice(0, 9)) await engine.catalog.enqueueRepair(id, 'damaged');
    await engine.catalog.enqueueRepair(ids[0]!, 'again');
    expect(await engine.catalog.repairQueue(ids[2], 3)).toEqual(ids.slice(3, 6));
    expect(await engine.catalog.repairEntries(undefined, 2)).toEqual([
      { id: ids[0], reason: 'again' },
      { id: ids[1], reason: 'damaged' },
    ]);
    await engine.catalog.dequeueRepair(ids[0]!, 'damaged');
    expect(await engine.catalog.repairQueue(undefined, 1)).toEqual([ids[0]]);
    await engine.catalog.dequeueRepair(ids[0]!, 'again');
    await engine.catalog.dequeueRepair(ids[0]!, 'again');
    expect(await engine.catalog.repairQueue(undefined, 1)).toEqual([ids[1]]);
    await engine.catalog.setNote('scrub', 'ä');
    expect(await engine.catalog.getNote('scrub')).toBe('ä');
    expect(await engine.catalog.getNote('other')).toBeUndefined();
  });

  test('reasons given at the same time are joined one after the other', async () => {
    const { store, engine, kv } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    await putText(store, 'b', 'k', 'text');
    const [id] = await recordedChunks(kv);
    const join = (given: string, reason: string): string => `${given}${reason}`;
    await Promise.all(Array.from('abcdef', (letter) => engine.catalog.enqueueRepair(id!, letter, join)));
    const [entry] = await engine.catalog.repairEntries(undefined, 2);
    expect(Array.from(entry!.reason).toSorted()).toEqual(Array.from('abcdef'));
    await engine.catalog.enqueueRepair(id!, 'new');
    expect(await engine.catalog.repairEntries(undefined, 2)).toEqual([{ id, reason: 'new' }]);
  });

  test('repair wins against copies, and loses against another repair and against reclaim', async () => {
    const harness = await createHarness({ partitions });
    const { store, engine, kv } = harness;
    await store.createBucket('b', OWNER);
    await putText(store, 'b', 'k', 'text');
    const [id] = await recordedChunks(kv);
    const { catalog } = engine;
    const before = (await catalog.get(id!))!;
    const after = { ...before, generation: 2, shards: [...before.shards.slice(0, 2), undefined] };
    const [repaired] = await Promise.all([
      catalog.compareAndSet(before, after),
      ...Array.from({ length: 10 }, (_, i) =>
        store.copy({ source: { bucket: 'b', key: 'k' }, bucket: 'b', key: `k${i}` }),
      ),
    ]);
    expect(repaired).toBe(true);
    expect(await catalog.get(id!)).toEqual(after);
    expect(await catalog.compareAndSet(before, after)).toBe(false);
    for (let i = 0; i < 10; i++) await store.delete({ bucket: 'b', key: `k${i}` });
    await engine.reclaim.runOnce();
    expect(await readText(store, 'b', 'k')).toBe('text');

    await store.delete({ bucket: 'b', key: 'k' });
    harness.chunks.unreachable = true;
    expect((await engine.reclaim.runOnce()).failed).toBe(1);
    // Marked: neither repair nor an enquiry sees it any more, and reclaim comes back to it.
    expect(await catalog.compareAndSet(after, { ...after, generation: 3 })).toBe(false);
    expect(await catalog.get(id!)).toBeUndefined();
    expect(await catalog.list(undefined, 10)).toEqual([]);
    await catalog.enqueueRepair(id!, 'late');
    expect(await catalog.repairQueue(undefined, 10)).toEqual([]);
    harness.chunks.unreachable = false;
    expect((await engine.reclaim.runOnce()).chunks).toBe(1);
    expect(await leftovers(harness)).toEqual([]);
    expect(harness.chunks.stored.size).toBe(0);
  });
});
