import { describe, expect, test } from 'vitest';
import type { Entry, KeyValueStore, Range } from '../../../gateway/metadata/types.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import { createHarness, kindOf, OWNER, putText } from './harness.ts';

/** Counts what listings read. */
function counting(inner: KeyValueStore): KeyValueStore & { scans: number; entries: number } {
  return {
    partitions: inner.partitions,
    scans: 0,
    entries: 0,
    get: (partition, key) => inner.get(partition, key),
    commit: (partition, commit) => inner.commit(partition, commit),
    close: () => inner.close(),
    async scan(partition: number, range: Range): Promise<Entry[]> {
      const found = await inner.scan(partition, range);
      this.scans++;
      this.entries += found.length;
      return found;
    },
  };
}

describe.each([1, 4])('listings, %i partitions', (partitions) => {
  test('a common prefix costs a seek, however many keys it stands for', async () => {
    const kv = counting(openMemoryStore({ partitions }));
    const { store } = await createHarness({ kv });
    await store.createBucket('b', OWNER);
    for (let prefix = 0; prefix < 10; prefix++) {
      for (let i = 0; i < 300; i++) await putText(store, 'b', `p${prefix}/${i}`, '');
    }
    kv.scans = kv.entries = 0;
    const page = await store.list({ bucket: 'b', prefix: '', delimiter: '/', after: '', limit: 1000 });
    expect(page.commonPrefixes).toHaveLength(10);
    expect(kv.entries).toBeLessThan(partitions * 300);
    expect(kv.scans).toBeLessThan(partitions * 15);
  });

  test('older versions cost a plain listing nothing', async () => {
    const kv = counting(openMemoryStore({ partitions }));
    const { store } = await createHarness({ kv });
    await store.createBucket('b', OWNER);
    await store.setVersioning('b', 'Enabled');
    for (let i = 0; i < 200; i++) await putText(store, 'b', `k${i % 4}`, '');
    kv.entries = 0;
    const page = await store.list({ bucket: 'b', prefix: '', delimiter: '', after: '', limit: 1000 });
    expect(page.objects).toHaveLength(4);
    expect(kv.entries).toBe(4);
  });

  test('a page has 1,000 objects or prefixes in all, and the next goes on behind it', async () => {
    const { store } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    const keys = Array.from({ length: 1500 }, (_, i) => `k${String(i).padStart(4, '0')}`);
    for (const key of keys) await putText(store, 'b', key, '');
    const request = { bucket: 'b', prefix: 'k', delimiter: '/', limit: 1000 };
    const first = await store.list({ ...request, after: '' });
    expect([first.objects.length, first.truncated, first.next]).toEqual([1000, true, 'k0999']);
    const second = await store.list({ ...request, after: first.next! });
    expect([second.objects.length, second.truncated, second.next]).toEqual([500, false, undefined]);
    expect([...first.objects, ...second.objects].map(({ key }) => key)).toEqual(keys);
    expect(await kindOf(store.list({ ...request, bucket: 'none', after: '' }))).toBe('NoSuchBucket');
  });

  test('while keys come, go and change, stable ones and stable versions are listed once each', async () => {
    const { store } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    await store.setVersioning('b', 'Enabled');
    const stable: string[] = [];
    for (let i = 0; i < 30; i++)
      stable.push(`${i} ${(await putText(store, 'b', `s${i}`, 'old')).info.versionId}`);
    const stop = new AbortController();
    const mutate = async (seed: number): Promise<void> => {
      for (let n = seed; !stop.signal.aborted; n += 7) {
        const key = `s${n % 30}`;
        // The stable version becomes an older one, and the current one again.
        const { info } = await putText(store, 'b', key, `${n}`);
        await putText(store, 'b', `moving${n % 50}`, 'x');
        await store.delete({ bucket: 'b', key, versionId: info.versionId });
        await store.delete({ bucket: 'b', key: `moving${(n + 20) % 50}` });
      }
    };
    const mutators = [1, 2, 3].map(mutate);
    try {
      for (let round = 0; round < 20; round++) {
        const seen: string[] = [];
        const request = { bucket: 'b', prefix: 's', delimiter: '', limit: 7 };
        for (let page, after = ''; !page || page.truncated; after = page.next ?? '') {
          page = await store.list({ ...request, after });
          seen.push(...page.objects.map(({ key }) => key));
        }
        expect(seen).toHaveLength(30);
        expect(new Set(seen).size).toBe(30);

        const versions: string[] = [];
        let marker = {};
        let after = '';
        for (let page; !page || page.truncated;) {
          page = await store.listVersions({ ...request, after, ...marker });
          versions.push(...page.versions.map(({ key, versionId }) => `${key.slice(1)} ${versionId}`));
          after = page.nextKey ?? '';
          marker = page.nextVersionId === undefined ? {} : { versionIdMarker: page.nextVersionId };
        }
        expect(new Set(versions).size).toBe(versions.length);
        expect(stable.filter((version) => !versions.includes(version))).toEqual([]);
      }
    } finally {
      stop.abort();
      await Promise.all(mutators);
    }
  });
});
