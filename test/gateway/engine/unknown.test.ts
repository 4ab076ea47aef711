/** Commits of unknown outcome that are applied late: after they have been looked for, and while they are tried again. */
import { expect, test } from 'vitest';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import { MetadataError } from '../../../gateway/metadata/types.ts';
import type { Commit, KeyValueStore } from '../../../gateway/metadata/types.ts';
import { createHarness, kindOf, leftovers, OWNER, putText, readText } from './harness.ts';

/** Once armed, the next commit's outcome is unknown, and it is applied when `applyAt` further calls have been made. */
function lateStore(): KeyValueStore & { arm(applyAt: number): void } {
  const inner = openMemoryStore();
  let armed: number | undefined;
  let late: { left: number; commit: Commit } | undefined;
  const pass = async (): Promise<void> => {
    if (!late || late.left-- > 0) return;
    const { commit } = late;
    late = undefined;
    await inner.commit(0, commit);
  };
  return {
    partitions: 1,
    arm: (applyAt) => {
      armed = applyAt;
    },
    get: async (partition, key) => {
      await pass();
      return inner.get(partition, key);
    },
    scan: async (partition, range) => {
      await pass();
      return inner.scan(partition, range);
    },
    commit: async (partition, commit) => {
      await pass();
      if (armed === undefined) return inner.commit(partition, commit);
      late = { left: armed, commit };
      armed = undefined;
      throw new MetadataError('Unknown', 'timed out');
    },
    close: () => inner.close(),
  };
}

test.each(Array.from({ length: 30 }, (_, i) => i))('applied %i calls later', async (applyAt) => {
  const kv = lateStore();
  const harness = await createHarness({ kv });
  const { store, engine } = harness;
  await store.createBucket('b', OWNER);
  await putText(store, 'b', 'k', 'old');
  await putText(store, 'b', 'gone', 'old');

  kv.arm(applyAt);
  const overwritten = await kindOf(putText(store, 'b', 'k', 'new'));
  kv.arm(applyAt);
  const created = await kindOf(putText(store, 'b', 'fresh', 'new', { conditions: { ifNoneMatch: ['*'] } }));
  kv.arm(applyAt);
  const deleted = await kindOf(store.delete({ bucket: 'b', key: 'gone' }));
  for (const kind of [overwritten, created, deleted]) expect(['none', 'Unavailable']).toContain(kind);

  // Whatever is still on its way arrives, and reclaim goes over what there is.
  for (let call = 0; call < 40; call++) await store.listBuckets();
  await engine.reclaim.runOnce();
  expect(await readText(store, 'b', 'k')).toBe('new');
  expect(await readText(store, 'b', 'fresh')).toBe('new');
  expect(await kindOf(store.stat({ bucket: 'b', key: 'gone' }))).toBe('NoSuchKey');
  expect(await leftovers(harness)).toEqual([]);
  expect((await engine.check()).problems).toEqual([]);
});
