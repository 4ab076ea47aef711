/** Two gateways over one metadata store: no mutex between them, only the checks of their commits. */
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../../gateway/engine/store.ts';
import type { ObjectStore } from '../../../gateway/engine/types.ts';
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

const LIVE = { ...SMALL, isLive: () => true };

interface Pair {
  readonly harness: Harness;
  readonly first: Engine;
  readonly stores: readonly [ObjectStore, ObjectStore];
}

async function twoGateways(partitions: number): Promise<Pair> {
  const harness = await createHarness({ partitions, options: LIVE });
  const first = harness.engine;
  await harness.restart();
  await first.store.createBucket('b', OWNER);
  return { harness, first, stores: [first.store, harness.store] };
}

describe.each([1, 4])('two gateways, %i partitions', (partitions) => {
  test('conditional creation has one winner, chains of If-Match lose no update', async () => {
    const { harness, stores } = await twoGateways(partitions);
    const kinds = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        kindOf(putText(stores[i % 2]!, 'b', 'k', `${i}`, { conditions: { ifNoneMatch: ['*'] } })),
      ),
    );
    expect(kinds.filter((kind) => kind === 'none')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'PreconditionFailed')).toHaveLength(39);

    await putText(stores[0], 'b', 'count', '0');
    const add = async (store: ObjectStore): Promise<void> => {
      for (let kind = ''; kind !== 'none';) {
        const { etag } = await store.stat({ bucket: 'b', key: 'count' });
        const opened = await store
          .open({ bucket: 'b', key: 'count', conditions: { ifMatch: [etag] } })
          .catch(() => undefined);
        if (!opened) continue;
        let text = '';
        for await (const piece of opened.stream(0, opened.info.size)) text += Buffer.from(piece).toString();
        opened.close();
        kind = await kindOf(
          putText(store, 'b', 'count', `${Number(text) + 1}`, { conditions: { ifMatch: [etag] } }),
        );
      }
    };
    await Promise.all(Array.from({ length: 10 }, (_, i) => add(stores[i % 2]!)));
    expect(await readText(stores[1], 'b', 'count')).toBe('10');
    await harness.engine.reclaim.runOnce();
  });

  test('versions of one key from both sides keep one order, with none lost', async () => {
    const { harness, stores } = await twoGateways(partitions);
    await stores[0].setVersioning('b', 'Enabled');
    const ids = await Promise.all(
      Array.from(
        { length: 30 },
        async (_, i) => (await putText(stores[i % 2]!, 'b', 'k', `${i}`)).info.versionId,
      ),
    );
    await Promise.all(
      ids.slice(0, 15).map((versionId, i) => stores[i % 2]!.delete({ bucket: 'b', key: 'k', versionId })),
    );
    const { versions } = await stores[0].listVersions({
      bucket: 'b',
      prefix: '',
      delimiter: '',
      after: '',
      limit: 1000,
    });
    expect(versions.map(({ versionId }) => versionId).sort()).toEqual(ids.slice(15).sort());
    expect(versions.filter(({ isLatest }) => isLatest)).toEqual([versions[0]]);
    expect((await stores[1].stat({ bucket: 'b', key: 'k' })).versionId).toBe(versions[0]!.versionId);
    expect((await harness.engine.check()).problems).toEqual([]);
  });

  test('completion, parts and copies from both sides leave no orphan', async () => {
    const { harness, first, stores } = await twoGateways(partitions);
    const [one, two] = stores;
    for (let round = 0; round < 15; round++) {
      const { uploadId } = await one.createUpload({
        ...noAttributes,
        bucket: 'b',
        key: 'k',
        initiator: OWNER,
      });
      const ref = { bucket: 'b', key: 'k', uploadId };
      const part = await two.putPart({ ...ref, partNumber: 1, body: bodyOf('the only part') });
      const parts = [{ number: 1, etag: part.etag }];
      const kinds = await Promise.all([
        kindOf(one.completeUpload({ ...ref, parts })),
        kindOf(two.completeUpload({ ...ref, parts })),
        kindOf(one.putPart({ ...ref, partNumber: 1, body: bodyOf('the only part') })),
        kindOf(two.putPart({ ...ref, partNumber: 2, body: bodyOf('another') })),
      ]);
      expect(kinds.slice(0, 2)).toEqual(['none', 'none']);
      await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          stores[i % 2]!.copy({ source: { bucket: 'b', key: 'k' }, bucket: 'b', key: `copy${i}` }),
        ),
      );
      await one.delete({ bucket: 'b', key: 'k' });
      await harness.engine.reclaim.runOnce();
      for (let i = 0; i < 6; i++) expect(await readText(two, 'b', `copy${i}`)).toBe('the only part');
    }
    await first.reclaim.runOnce();
    expect(await leftovers(harness)).toEqual([]);
  });

  test('a gateway declared dead can commit nothing more', async () => {
    const harness = await createHarness({ partitions });
    const { store } = harness;
    await store.createBucket('b', OWNER);
    await putText(store, 'b', 'k', 'before');
    const next = await harness.restart();
    await next.reclaim.runOnce();
    expect(await kindOf(putText(store, 'b', 'k', 'after'))).not.toBe('none');
    expect(await readText(harness.store, 'b', 'k')).toBe('before');
    expect(await kindOf(putText(harness.store, 'b', 'k', 'after'))).toBe('none');
  });
});
