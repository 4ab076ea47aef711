/** Races that chance rarely finds, staged: another gateway acts between what a gateway has read and its commit. */
import { describe, expect, test } from 'vitest';
import type { ObjectStore } from '../../../gateway/engine/types.ts';
import { KIND } from '../../../gateway/engine/keys.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import type { Bytes, Commit, KeyValueStore } from '../../../gateway/metadata/types.ts';
import {
  bodyOf,
  createHarness,
  kindOf,
  leftovers,
  noAttributes,
  OWNER,
  putText,
  readText,
  SMALL,
} from './harness.ts';
import type { Harness } from './harness.ts';

interface Staged extends KeyValueStore {
  /** Runs once, before the first commit that it is meant for. */
  beforeCommit:
    | { readonly of: (commit: Commit) => boolean; readonly act: () => Promise<unknown> }
    | undefined;
  /** Runs once, after the first read of a key of this kind and before its value is handed out. */
  afterGet: { readonly kind: number; readonly act: () => Promise<unknown> } | undefined;
}

function staged(inner: KeyValueStore): Staged {
  return {
    partitions: inner.partitions,
    beforeCommit: undefined,
    afterGet: undefined,
    async get(partition: number, key: Bytes): Promise<Bytes | undefined> {
      const value = await inner.get(partition, key);
      const { afterGet } = this;
      if (afterGet && key[0] === afterGet.kind) {
        this.afterGet = undefined;
        await afterGet.act();
      }
      return value;
    },
    scan: (partition, range) => inner.scan(partition, range),
    async commit(partition: number, commit: Commit): Promise<boolean> {
      const { beforeCommit } = this;
      if (beforeCommit?.of(commit)) {
        this.beforeCommit = undefined;
        await beforeCommit.act();
      }
      return inner.commit(partition, commit);
    },
    close: () => inner.close(),
  };
}

const touches =
  (kind: number) =>
  (commit: Commit): boolean =>
    [...(commit.puts ?? []).map(([key]) => key), ...(commit.deletes ?? [])].some((key) => key[0] === kind);

interface Stage {
  readonly harness: Harness;
  /** The gateway that is interrupted, and its metadata. */
  readonly one: ObjectStore;
  readonly kv: Staged;
  readonly two: ObjectStore;
}

async function stage(partitions: number): Promise<Stage> {
  const inner = openMemoryStore({ partitions });
  const kv = staged(inner);
  const harness = await createHarness({ kv, options: { ...SMALL, isLive: () => true } });
  const one = harness.store;
  await harness.restart(inner);
  await one.createBucket('b', OWNER);
  return { harness, one, kv, two: harness.store };
}

const k = { bucket: 'b', key: 'k' } as const;

describe.each([1, 4])('%i partitions', (partitions) => {
  test('a version is deleted while the marker above it is taken away', async () => {
    const { harness, one, two, kv } = await stage(partitions);
    await one.setVersioning('b', 'Enabled');
    const { info } = await putText(one, 'b', 'k', 'text');
    const { versionId } = await one.delete(k);
    kv.beforeCommit = {
      of: touches(KIND.version),
      act: () => two.delete({ ...k, versionId: info.versionId }),
    };
    await one.delete({ ...k, versionId: versionId! });
    expect(await kindOf(one.stat(k))).toBe('NoSuchKey');
    await harness.engine.reclaim.runOnce();
    expect(await leftovers(harness)).toEqual([]);
    expect(harness.chunks.stored.size).toBe(0);
  });

  test('a part is written anew while its upload is completed', async () => {
    const { harness, one, two, kv } = await stage(partitions);
    for (const text of ['the part', 'another part']) {
      const { uploadId } = await one.createUpload({ ...noAttributes, ...k, initiator: OWNER });
      const ref = { ...k, uploadId, partNumber: 1 };
      const { etag } = await one.putPart({ ...ref, body: bodyOf('the part') });
      kv.beforeCommit = {
        of: touches(KIND.completed),
        act: () => two.putPart({ ...ref, body: bodyOf(text) }),
      };
      const kind = await kindOf(one.completeUpload({ ...ref, parts: [{ number: 1, etag }] }));
      expect(kind).toBe(text === 'the part' ? 'none' : 'InvalidPart');
      await harness.engine.reclaim.runOnce();
      expect(await readText(two, 'b', 'k')).toBe('the part');
      await one.abortUpload(ref).catch(() => undefined);
      await harness.engine.reclaim.runOnce();
      expect(harness.chunks.stored.size).toBe(1);
      expect(await leftovers(harness)).toEqual([]);
    }
  });

  test('one part is written by two at once', async () => {
    const { harness, one, two, kv } = await stage(partitions);
    const { uploadId } = await one.createUpload({ ...noAttributes, ...k, initiator: OWNER });
    const ref = { ...k, uploadId, partNumber: 1 };
    kv.beforeCommit = { of: touches(KIND.part), act: () => two.putPart({ ...ref, body: bodyOf('two') }) };
    await one.putPart({ ...ref, body: bodyOf('one') });
    await harness.engine.reclaim.runOnce();
    expect(harness.chunks.stored.size).toBe(1);
    await one.abortUpload(ref);
    await harness.engine.reclaim.runOnce();
    expect(harness.chunks.stored.size).toBe(0);
  });

  test('a copy gets its reference in while reclaim is about to delete the chunk', async () => {
    const { harness, one, two, kv } = await stage(partitions);
    await putText(one, 'b', 'k', 'text');
    const atCommit = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    kv.beforeCommit = {
      of: touches(KIND.ref),
      act: () => {
        atCommit.resolve();
        return goOn.promise;
      },
    };
    const copying = one.copy({ source: k, bucket: 'b', key: 'copy' });
    await atCommit.promise;
    await two.delete(k);
    // Reclaim of the other gateway knows nothing of this one's pins.
    const inner = staged(harness.kv);
    inner.beforeCommit = {
      of: touches(KIND.chunk),
      act: () => {
        goOn.resolve();
        return copying;
      },
    };
    const { reclaim } = await harness.restart(inner);
    await reclaim.runOnce();
    await reclaim.runOnce();
    expect(await readText(two, 'b', 'copy')).toBe('text');
    expect(await leftovers(harness)).toEqual([]);
  });

  test('a copy that comes after reclaim has marked the chunk finds no source', async () => {
    const { harness, one, two, kv } = await stage(partitions);
    await putText(one, 'b', 'k', 'text');
    kv.beforeCommit = {
      of: touches(KIND.ref),
      act: async () => {
        await two.delete(k);
        await harness.engine.reclaim.runOnce();
      },
    };
    expect(await kindOf(one.copy({ source: k, bucket: 'b', key: 'copy' }))).toBe('NoSuchKey');
    await harness.engine.reclaim.runOnce();
    expect(await leftovers(harness)).toEqual([]);
    expect(harness.chunks.stored.size).toBe(0);
  });

  test('a version is deleted and reclaimed between the look of a reader and its pin', async () => {
    const inner = openMemoryStore({ partitions });
    const kv = staged(inner);
    const { store, engine } = await createHarness({ kv });
    await store.createBucket('b', OWNER);
    await putText(store, 'b', 'k', 'text');
    let reclaimed: Promise<unknown> = Promise.resolve();
    kv.afterGet = {
      kind: KIND.current,
      act: async () => {
        await store.delete(k);
        reclaimed = engine.reclaim.runOnce();
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      },
    };
    expect(await readText(store, 'b', 'k')).toBe('text');
    await reclaimed;
    await engine.reclaim.runOnce();
    expect(await kindOf(store.stat(k))).toBe('NoSuchKey');
  });

  test('the place of a removed null version is not taken for it later', async () => {
    const { store } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    await store.setVersioning('b', 'Enabled');
    await putText(store, 'b', 'k', 'one');
    await putText(store, 'b', 'k', 'two');
    await store.setVersioning('b', 'Suspended');
    await store.delete(k);
    await store.delete({ ...k, versionId: 'null' });
    await store.setVersioning('b', 'Enabled');
    const { info } = await putText(store, 'b', 'k', 'three');
    await putText(store, 'b', 'k', 'four');
    await store.setVersioning('b', 'Suspended');
    await putText(store, 'b', 'k', 'null');
    expect(await readText(store, 'b', 'k', info.versionId)).toBe('three');
    expect(await readText(store, 'b', 'k', 'null')).toBe('null');
  });
});
