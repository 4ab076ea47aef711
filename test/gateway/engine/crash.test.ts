/* oxlint-disable vitest/no-conditional-expect -- what must hold depends on whether the operation was acknowledged */
/** Every operation is cut at each of its metadata commits, before and after it is applied: old or new, never mixed, and nothing left over. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../gateway/engine/store.ts';
import type { ObjectStore, PartInfo } from '../../../gateway/engine/types.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import { FaultyKeyValueStore } from '../../support/faultyKeyValueStore.ts';
import type { Fault } from '../../support/faultyKeyValueStore.ts';
import {
  createHarness,
  leftovers,
  noAttributes,
  OWNER,
  putText,
  readText,
  bodyOf,
  SMALL,
} from './harness.ts';

interface Scenario {
  readonly name: string;
  /** Returns what `act` needs to know of it. */
  readonly before: (store: ObjectStore, engine: Engine) => Promise<string>;
  readonly act: (store: ObjectStore, known: string, engine: Engine) => Promise<unknown>;
}

const LONG = 'a long text, '.repeat(20_000);
const k = { bucket: 'b', key: 'k' } as const;
const enabled = async (store: ObjectStore): Promise<string> => {
  await store.setVersioning('b', 'Enabled');
  await putText(store, 'b', 'k', 'one');
  return (await putText(store, 'b', 'k', 'two')).info.versionId;
};
const start = async (store: ObjectStore, parts: number): Promise<string> => {
  const { uploadId } = await store.createUpload({ ...noAttributes, ...k, initiator: OWNER });
  for (let partNumber = 1; partNumber <= parts; partNumber++) {
    await store.putPart({ ...k, uploadId, partNumber, body: bodyOf(`part number ${partNumber}`) });
  }
  return uploadId;
};
const complete = async (store: ObjectStore, uploadId: string, leaveOut = 0): Promise<void> => {
  const { parts } = await store.listParts({ ...k, uploadId, after: 0, limit: 1000 });
  const wanted: PartInfo[] = parts.slice(leaveOut);
  await store.completeUpload({ ...k, uploadId, parts: wanted.map(({ number, etag }) => ({ number, etag })) });
};

const SCENARIOS: readonly Scenario[] = [
  { name: 'put', before: async () => '', act: (store) => putText(store, 'b', 'k', LONG) },
  { name: 'put of nothing', before: async () => '', act: (store) => putText(store, 'b', 'k', '') },
  {
    name: 'overwrite',
    before: async (store) => (await putText(store, 'b', 'k', LONG)).info.etag,
    act: (store) => putText(store, 'b', 'k', 'short'),
  },
  { name: 'put of a further version', before: enabled, act: (store) => putText(store, 'b', 'k', 'three') },
  {
    name: 'suspended put over an older null version',
    before: async (store) => {
      await putText(store, 'b', 'k', 'null');
      await enabled(store);
      await store.setVersioning('b', 'Suspended');
      return '';
    },
    act: (store) => putText(store, 'b', 'k', 'another null'),
  },
  {
    name: 'delete',
    before: async (store) => (await putText(store, 'b', 'k', LONG)).info.etag,
    act: (store) => store.delete(k),
  },
  { name: 'delete marker', before: enabled, act: (store) => store.delete(k) },
  {
    name: 'delete of the current version',
    before: enabled,
    act: (store, versionId) => store.delete({ ...k, versionId }),
  },
  {
    name: 'copy',
    before: async (store) => (await putText(store, 'b', 'source', LONG)).info.etag,
    act: (store) => store.copy({ source: { bucket: 'b', key: 'source' }, ...k }),
  },
  {
    name: 'copy onto itself',
    before: async (store) => (await putText(store, 'b', 'k', LONG)).info.etag,
    act: (store) => store.copy({ source: k, ...k, tags: [['a', 'b']] }),
  },
  { name: 'start of an upload', before: async () => '', act: (store) => start(store, 0) },
  {
    name: 'part',
    before: (store) => start(store, 1),
    act: (store, uploadId) => store.putPart({ ...k, uploadId, partNumber: 2, body: bodyOf(LONG) }),
  },
  {
    name: 'part anew',
    before: (store) => start(store, 2),
    act: (store, uploadId) => store.putPart({ ...k, uploadId, partNumber: 2, body: bodyOf(LONG) }),
  },
  {
    name: 'part copied',
    before: async (store) => {
      await putText(store, 'b', 'source', LONG);
      return start(store, 1);
    },
    act: (store, uploadId) =>
      store.copyPart({ ...k, uploadId, partNumber: 1, source: { bucket: 'b', key: 'source' } }),
  },
  { name: 'complete', before: (store) => start(store, 3), act: (store, id) => complete(store, id, 1) },
  {
    name: 'complete with pages',
    before: (store) => start(store, 40),
    act: (store, id) => complete(store, id, 2),
  },
  {
    name: 'copy with pages',
    before: async (store) => {
      await complete(store, await start(store, 40));
      return '';
    },
    act: (store) => store.copy({ source: k, bucket: 'b', key: 'copy' }),
  },
  {
    name: 'abort',
    before: (store) => start(store, 3),
    act: (store, uploadId) => store.abortUpload({ ...k, uploadId }),
  },
  { name: 'bucket', before: async () => '', act: (store) => store.createBucket('new', OWNER) },
  { name: 'versioning', before: async () => '', act: (store) => store.setVersioning('b', 'Enabled') },
  {
    name: 'deletion of a bucket',
    before: async (store) => {
      await start(store, 2);
      return '';
    },
    act: (store) => store.deleteBucket('b'),
  },
  {
    name: 'reclaim',
    before: async (store, engine) => {
      await putText(store, 'b', 'k', LONG);
      await store.copy({ source: k, bucket: 'b', key: 'copy' });
      await store.delete(k);
      await complete(store, await start(store, 40), 3);
      await store.copy({ source: k, bucket: 'b', key: 'kept' });
      await store.delete(k);
      await engine.close();
      return '';
    },
    act: (_store, _known, engine) => engine.reclaim.runOnce(),
  },
];

/** All that a client can see, without what chance decides. */
async function visible(store: ObjectStore): Promise<string> {
  const rows: string[] = [];
  const { buckets } = await store.listBuckets();
  for (const { name, versioning } of buckets) {
    rows.push(`bucket ${name} ${versioning}`);
    const request = { bucket: name, prefix: '', delimiter: '' };
    const { versions } = await store.listVersions({ ...request, after: '', limit: 1000 });
    for (const { key, versionId, deleteMarker, isLatest, tags, size } of versions) {
      const text = deleteMarker ? '' : await readText(store, name, key, versionId);
      expect(text.length).toBe(size);
      const id = versionId === 'null' ? 'null' : 'id';
      rows.push([key, id, deleteMarker, isLatest, tags.join(), text.slice(0, 20), size].join(' '));
    }
    const { objects } = await store.list({ ...request, after: '', limit: 1000 });
    rows.push(`current ${objects.map(({ key }) => key).join(' ')}`);
    const { uploads } = await store.listUploads({
      ...request,
      keyMarker: '',
      uploadIdMarker: '',
      limit: 1000,
    });
    for (const { key, uploadId } of uploads) {
      const { parts } = await store.listParts({ bucket: name, key, uploadId, after: 0, limit: 1000 });
      rows.push(`upload ${key} ${parts.map(({ number, etag }) => `${number} ${etag}`).join()}`);
    }
  }
  return rows.join('\n');
}

const OPTIONS = { ...SMALL, inlineBodyBytes: 1500, pageBytes: 1500, reservedIds: 4 };

interface Run {
  readonly old: string;
  readonly now: string;
  readonly acknowledged: boolean;
  readonly struck: boolean;
}

async function run({ before, act }: Scenario, partitions: number, fault: Fault): Promise<Run> {
  const kv = openMemoryStore({ partitions });
  const harness = await createHarness({ kv, options: OPTIONS });
  await harness.store.createBucket('b', OWNER);
  const known = await before(harness.store, harness.engine);
  const old = await visible(harness.store);

  const faulty = new FaultyKeyValueStore(kv, fault);
  let acknowledged = false;
  try {
    await harness.restart(faulty);
    await act(harness.store, known, harness.engine);
    acknowledged = true;
  } catch (error) {
    expect(error).toMatchObject({ kind: 'Unavailable' });
  }
  await harness.restart(kv);
  const now = await visible(harness.store);
  await harness.engine.reclaim.runOnce();
  expect(await leftovers(harness)).toEqual([]);
  expect(await visible(harness.store)).toBe(now);
  expect((await harness.engine.check()).problems).toEqual([]);
  return { old, now, acknowledged, struck: faulty.struck };
}

describe.each([1, 4])('%i partitions', (partitions) => {
  for (const scenario of SCENARIOS) {
    test(`${scenario.name}: cut at every commit`, async () => {
      const never = { at: Number.POSITIVE_INFINITY, applied: false, kind: 'crash' } as const;
      const whole = await run(scenario, partitions, never);
      expect(whole.acknowledged).toBe(true);
      for (const kind of ['crash', 'unknown'] as const) {
        for (const applied of [false, true]) {
          for (let at = 1; ; at++) {
            const { old, now, acknowledged, struck } = await run(scenario, partitions, { at, applied, kind });
            expect([old, whole.now]).toContain(now);
            if (acknowledged) expect(now).toBe(whole.now);
            if (!struck) break;
          }
        }
      }
    });
  }
});
