/* oxlint-disable vitest/no-conditional-expect -- what must hold depends on the oracle */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ObjectStore, ObjectInfo } from '../../../gateway/engine/types.ts';
import { createHarness, kindOf, leftovers, OWNER, putText, readText } from './harness.ts';
import { shownBy, VersionOracle } from './versionOracle.ts';

type Step =
  | { do: 'put'; key: string }
  | { do: 'delete'; key: string }
  | { do: 'deleteVersion'; key: string; pick: number }
  | { do: 'versioning'; state: 'Enabled' | 'Suspended' }
  | { do: 'reclaim' };

/** Keys whose order differs between UTF-8 and UTF-16, that share prefixes, and that hold the bytes encodings trip over. */
const KEYS = [
  'a',
  'a/',
  'a/b',
  'a/b/c',
  'a/c',
  'a\u0000',
  'a\u0000b',
  'a-b',
  'b//',
  'é',
  '\u{10000}',
  '\uffee',
  'z',
];

const key = fc.constantFrom(...KEYS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('put' as const), key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('deleteVersion' as const), key, pick: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('versioning' as const),
      state: fc.constantFrom('Enabled' as const, 'Suspended' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'reclaim' as const }) },
);

const listing = fc.record({
  prefix: fc.constantFrom('', 'a', 'a/', 'a/b', 'b', 'é', 'x'),
  delimiter: fc.constantFrom('', '/', '//', 'b', '\u0000'),
  after: fc.constantFrom('', 'a', 'a/', 'a/b', 'a/b/', 'b', '\uffee', 'zz'),
  limit: fc.constantFrom(0, 1, 2, 3, 1000),
});

/** Engine ids by the oracle's names. */
type Names = Map<string, string>;

async function apply(
  store: ObjectStore,
  oracle: VersionOracle,
  names: Names,
  step: Step,
  n: number,
): Promise<void> {
  if (step.do === 'versioning') {
    await store.setVersioning('b', step.state);
    oracle.versioning = step.state;
    return;
  }
  if (step.do === 'reclaim') return;
  const id = oracle.versioning === 'Enabled' ? `v${n}` : 'null';
  const text = `${step.key} ${n}`;
  if (step.do === 'put') {
    const { info } = await putText(store, 'b', step.key, text);
    oracle.add(step.key, { id, deleteMarker: false, text });
    names.set(id, info.versionId);
    expect(info.versionId === 'null').toBe(id === 'null');
  } else if (step.do === 'delete') {
    const result = await store.delete({ bucket: 'b', key: step.key });
    const marked = oracle.remove(step.key, { id, deleteMarker: true, text: '' });
    expect(result.deleteMarker).toBe(marked);
    if (marked) names.set(id, result.versionId!);
  } else {
    const versions = oracle.versions(step.key);
    const picked = versions[step.pick % Math.max(versions.length, 1)]?.id ?? 'null';
    const versionId = picked === 'null' ? 'null' : names.get(picked)!;
    const result = await store.delete({ bucket: 'b', key: step.key, versionId });
    expect(result.deleteMarker).toBe(oracle.removeVersion(step.key, picked)?.deleteMarker ?? false);
  }
}

async function compareKeys(store: ObjectStore, oracle: VersionOracle, names: Names): Promise<void> {
  for (const key of KEYS) {
    const current = oracle.current(key);
    if (current) expect(await readText(store, 'b', key)).toBe(current.text);
    else expect(await kindOf(store.stat({ bucket: 'b', key }))).toBe('NoSuchKey');
    for (const version of oracle.versions(key)) {
      const versionId = version.id === 'null' ? 'null' : names.get(version.id)!;
      if (version.deleteMarker) {
        expect(await kindOf(store.stat({ bucket: 'b', key, versionId }))).toBe('MethodNotAllowed');
      } else {
        expect(await readText(store, 'b', key, versionId)).toBe(version.text);
        const { isLatest } = await store.stat({ bucket: 'b', key, versionId });
        expect(isLatest).toBe(version === oracle.versions(key)[0]);
      }
    }
  }
}

async function allVersions(
  store: ObjectStore,
  prefix: string,
  delimiter: string,
  limit: number,
): Promise<(ObjectInfo | string)[]> {
  const rows: (ObjectInfo | string)[] = [];
  let after = '';
  let versionIdMarker: string | undefined;
  for (;;) {
    const page = await store.listVersions({
      bucket: 'b',
      prefix,
      delimiter,
      after,
      limit,
      ...(versionIdMarker === undefined ? {} : { versionIdMarker }),
    });
    expect(page.versions.length + page.commonPrefixes.length).toBeLessThanOrEqual(limit);
    rows.push(...page.versions, ...page.commonPrefixes);
    if (!page.truncated) return rows;
    expect(page.versions.length + page.commonPrefixes.length).toBe(limit);
    after = page.nextKey!;
    versionIdMarker = page.nextVersionId;
  }
}

const describeRow = (row: ObjectInfo | string): string =>
  typeof row === 'string' ? `${row}…` : `${row.key} ${row.versionId} ${row.deleteMarker} ${row.isLatest}`;

async function compareVersionLists(store: ObjectStore, oracle: VersionOracle, names: Names): Promise<void> {
  for (const [prefix, delimiter] of [
    ['', ''],
    ['a', '/'],
    ['a/', '/'],
    ['', 'b'],
  ] as const) {
    const expected = oracle.listVersions(prefix, delimiter).map(({ key, version, latest }) => {
      if (!version) return `${key}…`;
      const id = version.id === 'null' ? 'null' : names.get(version.id)!;
      return `${key} ${id} ${version.deleteMarker} ${latest}`;
    });
    for (const limit of [1, 3, 1000]) {
      const rows = (await allVersions(store, prefix, delimiter, limit)).map(describeRow);
      // A page gives its versions and its prefixes apart; within each, the order counts.
      const apart = (all: string[]): string[][] => [
        all.filter((row) => !row.endsWith('…')),
        all.filter((row) => row.endsWith('…')),
      ];
      expect(apart(rows)).toEqual(apart(expected));
    }
  }
}

describe.each([1, 4])('against the oracle, %i partitions', (partitions) => {
  test('puts, deletes, versions and their listings', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.array(listing, { maxLength: 12 }),
        async (steps, listings) => {
          const harness = await createHarness({ partitions });
          const { store, engine } = harness;
          await store.createBucket('b', OWNER);
          const oracle = new VersionOracle();
          const names: Names = new Map();
          for (const [n, step] of steps.entries()) {
            if (step.do === 'reclaim') await engine.reclaim.runOnce();
            else await apply(store, oracle, names, step, n);
          }
          await compareKeys(store, oracle, names);
          for (const { prefix, delimiter, after, limit } of listings) {
            const page = await store.list({ bucket: 'b', prefix, delimiter, after, limit });
            expect(shownBy(page)).toEqual(oracle.list(prefix, delimiter, after, limit));
          }
          await compareVersionLists(store, oracle, names);
          await engine.reclaim.runOnce();
          expect(await leftovers(harness)).toEqual([]);
          const versions = [...oracle.keys.values()].flat().filter(({ deleteMarker }) => !deleteMarker);
          expect(harness.chunks.stored.size).toBe(versions.length);
          await compareKeys(store, oracle, names);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('errors of versions that are not there', async () => {
    const { store } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    await store.setVersioning('b', 'Enabled');
    const { info } = await putText(store, 'b', 'k', 'one');
    expect(info).toMatchObject({ versioned: true, isLatest: true });
    const { versionId } = await store.delete({ bucket: 'b', key: 'k' });
    await expect(store.open({ bucket: 'b', key: 'k' })).rejects.toMatchObject({
      kind: 'NoSuchKey',
      details: { deleteMarker: true, versionId },
    });
    await expect(store.open({ bucket: 'b', key: 'k', versionId: versionId! })).rejects.toMatchObject({
      kind: 'MethodNotAllowed',
      details: { deleteMarker: true, versionId },
    });
    expect(await kindOf(store.open({ bucket: 'b', key: 'k', versionId: 'x' }))).toBe('InvalidArgument');
    const unknown = '0'.repeat(32);
    expect(await kindOf(store.open({ bucket: 'b', key: 'k', versionId: unknown }))).toBe('NoSuchVersion');
    expect(await store.delete({ bucket: 'b', key: 'k', versionId: unknown })).toEqual({
      versionId: unknown,
      deleteMarker: false,
    });
    // Taking the delete marker away brings the object back.
    await store.delete({ bucket: 'b', key: 'k', versionId: versionId! });
    expect(await readText(store, 'b', 'k')).toBe('one');
  });

  test('many writers of one key leave every version, in one order', async () => {
    const { store } = await createHarness({ partitions });
    await store.createBucket('b', OWNER);
    await store.setVersioning('b', 'Enabled');
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => putText(store, 'b', 'k', `${i}`)));
    expect(new Set(results.map(({ info }) => info.versionId)).size).toBe(50);
    const { versions } = await store.listVersions({
      bucket: 'b',
      prefix: '',
      delimiter: '',
      after: '',
      limit: 1000,
    });
    expect(versions.length).toBe(50);
    expect(versions.map(({ isLatest }) => isLatest)).toEqual([true, ...Array<boolean>(49).fill(false)]);
    for (const { info } of results)
      expect(await kindOf(store.stat({ bucket: 'b', key: 'k', versionId: info.versionId }))).toBe('none');
  });
});
