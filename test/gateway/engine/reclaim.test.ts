import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isPending } from '../../../gateway/engine/deadSessions.ts';
import { chunkIdOf } from '../../../gateway/engine/session.ts';
import { createHarness, countOf, kindOf, leftovers, OWNER, putText, recordedChunks } from './harness.ts';

describe.each([1, 4])('reclaim, %i partitions', (partitions) => {
  test('what providers could not be asked about is tried again, across restarts', async () => {
    const harness = await createHarness({ partitions });
    const { store, chunks } = harness;
    await store.createBucket('b', OWNER);
    await putText(store, 'b', 'kept', 'x');
    const body = {
      bytes: (async function* fail() {
        yield randomBytes(250_000);
        throw new Error('cut');
      })(),
    };
    await store
      .put({ bucket: 'b', key: 'k', headers: [], userMetadata: [], tags: [], body })
      .catch(() => undefined);
    // As if the writer's own clean-up had not reached a provider.
    const leftOver = [...chunks.stored.keys()];
    chunks.stored.set(chunkIdOf(0, 'f'.repeat(16), 1), new Uint8Array(1));
    chunks.stored.delete(chunkIdOf(0, 'f'.repeat(16), 1));
    chunks.unreachable = true;
    expect((await harness.engine.reclaim.runOnce()).failed).toBeGreaterThan(0);
    await harness.engine.close();
    expect(await countOf(harness.kv, 'reservation')).toBe(1);
    await harness.restart();
    expect((await harness.engine.reclaim.runOnce()).failed).toBeGreaterThan(0);
    expect(await countOf(harness.kv, 'reservation')).toBe(1);
    chunks.unreachable = false;
    expect((await harness.engine.reclaim.runOnce()).failed).toBe(0);
    expect(await countOf(harness.kv, 'reservation')).toBe(0);
    expect(leftOver.length).toBeGreaterThan(0);
    expect(await recordedChunks(harness.kv)).toEqual([...chunks.stored.keys()]);
    expect(await leftovers(harness)).toEqual([]);
  });

  test('what waits is counted, up to a bound, until it is gone', async () => {
    const { store, engine } = await createHarness({ partitions });
    const { reclaim } = engine;
    await store.createBucket('b', OWNER);
    for (const key of ['a', 'b', 'c']) await putText(store, 'b', key, 'x');
    expect(await reclaim.waiting(10)).toEqual({ bodies: 0, chunks: 0 });
    for (const key of ['a', 'b', 'c']) await store.delete({ bucket: 'b', key });
    expect(await reclaim.waiting(10)).toEqual({ bodies: 3, chunks: 0 });
    expect(await reclaim.waiting(2)).toEqual({ bodies: 2, chunks: 0 });
    await reclaim.runOnce();
    expect(await reclaim.waiting(10)).toEqual({ bodies: 0, chunks: 0 });
  });

  test('a store that is away is said to whoever asks, and to nobody else', async () => {
    const { engine, kv } = await createHarness({ partitions });
    await kv.close();
    // A promise that nobody waits for would end the process.
    await expect(engine.reclaim.waiting(10)).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  test('the loop runs until it is stopped, and a failing pass does not end it', async () => {
    const harness = await createHarness({ partitions });
    const { store, engine, chunks } = harness;
    await store.createBucket('b', OWNER);
    await putText(store, 'b', 'k', 'x');
    engine.reclaim.start();
    await store.delete({ bucket: 'b', key: 'k' });
    while (chunks.stored.size > 0) await new Promise((resolve) => setImmediate(resolve));
    await engine.reclaim.stop();
    await putText(store, 'b', 'k', 'x');
    await store.delete({ bucket: 'b', key: 'k' });
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(chunks.stored.size).toBe(1);
    await harness.kv.close();
    const errors: unknown[] = [];
    engine.reclaim.start((error) => errors.push(error));
    while (errors.length < 3) await new Promise((resolve) => setImmediate(resolve));
    await engine.reclaim.stop();
    expect(errors[0]).toMatchObject({ kind: 'Unavailable' });
  });

  test('ids in use are pending, those of chunks long recorded and of others are not', async () => {
    const { store, kv } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    for (let i = 0; i < 100; i++) await putText(store, 'b', `k${i}`, 'x');
    const ids = await recordedChunks(kv);
    const first = ids.filter((id) => id.endsWith('000000000000'));
    expect(first).toHaveLength(partitions);
    expect(await Promise.all(first.map((id) => isPending(kv, id)))).toEqual(first.map(() => false));
    const next = first.map((id) => id.slice(0, 20) + (10_000).toString(16).padStart(12, '0'));
    expect(await Promise.all(next.map((id) => isPending(kv, id)))).toEqual(first.map(() => true));
    expect(await isPending(kv, chunkIdOf(0, 'f'.repeat(16), 1))).toBe(false);
    expect(await isPending(kv, 'nonsense')).toBe(false);
  });

  test('check finds what is lost or wrong', async () => {
    const { store, engine, chunks } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    for (const key of ['good', 'lost', 'wrong']) await putText(store, 'b', key, `text of ${key}`);
    const [good, lost, wrong] = [...chunks.stored.keys()];
    chunks.stored.delete(lost!);
    chunks.stored.set(wrong!, chunks.stored.get(good!)!);
    const seen: number[] = [];
    const report = await engine.check(({ done }) => seen.push(done));
    expect(report.versions).toBe(3);
    expect(seen).toEqual([1, 2, 3]);
    expect(report.problems.map(({ key }) => key).sort()).toEqual(['lost', 'wrong']);
    expect(
      await kindOf(engine.check(undefined, AbortSignal.abort(new Error('stop'))).catch(() => undefined)),
    ).toBe('none');
  });
});
