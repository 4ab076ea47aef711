/* oxlint-disable vitest/no-conditional-expect -- what must hold depends on whether a write was acknowledged */
/** Small bodies that share chunks: what clients see is what they would see without, and holes do not stay. */
import { createHash, randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PlacementError } from '#placement';
import { chunkCodec } from '../../../gateway/engine/codecs.ts';
import { KIND, ofKind } from '../../../gateway/engine/keys.ts';
import type { Engine } from '../../../gateway/engine/store.ts';
import type { ObjectStore, PutRequest, WriteResult } from '../../../gateway/engine/types.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import { FaultyKeyValueStore } from '../../support/faultyKeyValueStore.ts';
import {
  bodyOf,
  countOf,
  createHarness,
  kindOf,
  leftovers,
  noAttributes,
  OWNER,
  readAll,
  readText,
  recordedChunks,
  type Harness,
} from './harness.ts';

const BUCKET = 'b';
const text = (number: number): string => `body number ${number} `.repeat(1 + (number % 50));

/** A body whose length is known ahead, as that of nearly every client is. */
const put = (
  store: ObjectStore,
  key: string,
  content: string,
  rest: Partial<PutRequest> = {},
): Promise<WriteResult> =>
  store.put({
    ...noAttributes,
    bucket: BUCKET,
    key,
    body: bodyOf(content, { length: Buffer.byteLength(content) }),
    ...rest,
  });

const putMany = async (store: ObjectStore, from: number, to: number): Promise<void> => {
  const numbers = Array.from({ length: to - from }, (_, at) => from + at);
  await Promise.all(numbers.map((number) => put(store, `key-${number}`, text(number))));
};

const remove = async (store: ObjectStore, from: number, to: number): Promise<void> => {
  for (let number = from; number < to; number++) await store.delete({ bucket: BUCKET, key: `key-${number}` });
};

const readable = async (store: ObjectStore, from: number, to: number): Promise<void> => {
  for (let number = from; number < to; number++) {
    expect(await readText(store, BUCKET, `key-${number}`)).toBe(text(number));
  }
};

const storedBytes = ({ chunks }: Harness): number =>
  [...chunks.stored.values()].reduce((sum, { length }) => sum + length, 0);

async function packsOf({ kv }: Harness): Promise<number> {
  let packs = 0;
  for (let partition = 0; partition < kv.partitions; partition++) {
    const page = await kv.scan(partition, { ...ofKind(KIND.chunk), limit: 10_000 });
    packs += page.filter(([, value]) => chunkCodec.decode(value).packed).length;
  }
  return packs;
}

async function opened(settings: Parameters<typeof createHarness>[0] = {}): Promise<Harness> {
  const harness = await createHarness({ options: { reservedIds: 16 }, ...settings });
  await harness.store.createBucket(BUCKET, OWNER);
  return harness;
}

describe.each([1, 4])('packs in %i partitions', (partitions) => {
  test('bodies written side by side share chunks, and each reads back whole and in part', async () => {
    const harness = await opened({ partitions });
    await putMany(harness.store, 0, 200);
    // The first two go at once, the others wait for them.
    expect((await recordedChunks(harness.kv)).length).toBeLessThanOrEqual(4 * partitions);
    await readable(harness.store, 0, 200);
    const part = await readAll(harness.store, { bucket: BUCKET, key: 'key-77' }, 5, 20);
    expect(part.toString()).toBe(text(77).slice(5, 20));
    expect((await harness.engine.check()).problems).toEqual([]);
  });

  test('what a pack has lost is freed, and what is left of it moves', async () => {
    const harness = await opened({ partitions });
    await putMany(harness.store, 0, 200);
    const before = storedBytes(harness);
    await remove(harness.store, 0, 180);
    await harness.engine.reclaim.runOnce();
    await harness.engine.reclaim.runOnce();
    await readable(harness.store, 180, 200);
    expect(storedBytes(harness)).toBeLessThan(before / 4);
    expect(await leftovers(harness)).toEqual([]);
    expect((await harness.engine.check()).problems).toEqual([]);
    await remove(harness.store, 180, 200);
    await harness.engine.reclaim.runOnce();
    expect(harness.chunks.stored.size).toBe(0);
    expect(await leftovers(harness)).toEqual([]);
  });

  test('copies of packed bodies are bodies of their own', async () => {
    const harness = await opened({ partitions });
    await putMany(harness.store, 0, 50);
    await Promise.all(
      [7, 8, 9].map((number) =>
        harness.store.copy({
          bucket: BUCKET,
          key: `copy-${number}`,
          source: { bucket: BUCKET, key: `key-${number}` },
        }),
      ),
    );
    const upload = { bucket: BUCKET, key: 'whole' };
    const { uploadId } = await harness.store.createUpload({ ...noAttributes, ...upload, initiator: OWNER });
    const { etag } = await harness.store.copyPart({
      ...upload,
      uploadId,
      partNumber: 1,
      source: { bucket: BUCKET, key: 'key-9' },
      range: { start: 3, end: 11 },
    });
    await harness.store.completeUpload({ ...upload, uploadId, parts: [{ number: 1, etag }] });
    await remove(harness.store, 0, 50);
    for (let pass = 0; pass < 3; pass++) await harness.engine.reclaim.runOnce();
    for (const number of [7, 8, 9]) {
      expect(await readText(harness.store, BUCKET, `copy-${number}`)).toBe(text(number));
    }
    expect(await readText(harness.store, BUCKET, 'whole')).toBe(text(9).slice(3, 11));
    expect(await leftovers(harness)).toEqual([]);
  });
});

describe('packs', () => {
  test('a body alone has a chunk alone', async () => {
    const harness = await opened();
    await put(harness.store, 'one', 'one');
    await put(harness.store, 'two', 'two');
    expect(await packsOf(harness)).toBe(0);
    expect((await recordedChunks(harness.kv)).length).toBe(2);
  });

  test('what is refused never gets into a chunk of others', async () => {
    const harness = await opened();
    const wrong = Buffer.from(createHash('md5').update('other').digest()).toString('base64');
    const body = bodyOf('refused', { length: 7, contentMd5: wrong });
    const [refused] = await Promise.all([
      kindOf(harness.store.put({ ...noAttributes, bucket: BUCKET, key: 'refused', body })),
      putMany(harness.store, 0, 20),
    ]);
    expect(refused).toBe('BadDigest');
    await readable(harness.store, 0, 20);
    expect(await kindOf(readText(harness.store, BUCKET, 'refused'))).toBe('NoSuchKey');
  });

  test('one condition that fails, even of the first, takes nobody along', async () => {
    const harness = await opened();
    await put(harness.store, 'taken', 'as it was');
    const only = { conditions: { ifNoneMatch: ['*'] } };
    const filler = [put(harness.store, 'filler-1', 'x'), put(harness.store, 'filler-2', 'x')];
    // Its condition held when its body was taken, and does not when it would be named.
    const late = ['late', 'late', 'late'].map((key) => kindOf(put(harness.store, key, 'late', only)));
    const taken = kindOf(put(harness.store, 'taken', 'again', only));
    const others = putMany(harness.store, 0, 30);
    const outcomes = await Promise.all(late);
    await Promise.all([...filler, others]);
    expect(outcomes.sort()).toEqual(['PreconditionFailed', 'PreconditionFailed', 'none']);
    expect(await taken).toBe('PreconditionFailed');
    await readable(harness.store, 0, 30);
    expect(await readText(harness.store, BUCKET, 'taken')).toBe('as it was');
  });

  test('providers that fail are felt by the bodies of one chunk, and nothing of it stays', async () => {
    const harness = await opened();
    harness.chunks.failFinish = new PlacementError('TooFewProviders', 'injected');
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, (_, number) => kindOf(put(harness.store, `key-${number}`, text(number)))),
    );
    expect(outcomes).toContain('Unavailable');
    for (const [number, outcome] of outcomes.entries()) {
      const seen = await kindOf(readText(harness.store, BUCKET, `key-${number}`));
      expect(seen).toBe(outcome === 'none' ? 'none' : 'NoSuchKey');
    }
    await putMany(harness.store, 0, 30);
    await readable(harness.store, 0, 30);
    await harness.engine.reclaim.runOnce();
    expect(await leftovers(harness)).toEqual([]);
  });

  test('a reader that began before its body was moved reads on', async () => {
    const harness = await opened();
    await putMany(harness.store, 0, 60);
    const reading = await harness.store.open({ bucket: BUCKET, key: 'key-59' });
    await remove(harness.store, 0, 59);
    for (let pass = 0; pass < 3; pass++) await harness.engine.reclaim.runOnce();
    const pieces = [];
    for await (const piece of reading.stream(0, reading.info.size)) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe(text(59));
    reading.close();
    for (let pass = 0; pass < 2; pass++) await harness.engine.reclaim.runOnce();
    await readable(harness.store, 59, 60);
    expect((await recordedChunks(harness.kv)).length).toBe(1);
    expect(await leftovers(harness)).toEqual([]);
  });

  test('older versions and those under customers’ keys move, too', async () => {
    const harness = await opened();
    await harness.store.setVersioning(BUCKET, 'Enabled');
    const key = randomBytes(32);
    const customerKey = { key, md5: createHash('md5').update(key).digest('base64') };
    const [first] = await Promise.all([
      put(harness.store, 'kept', 'the first', { customerKey }),
      put(harness.store, 'filler', 'x'),
      ...Array.from({ length: 40 }, (_, number) => put(harness.store, `key-${number}`, text(number))),
      put(harness.store, 'other', 'plain'),
    ]);
    await put(harness.store, 'other', 'plain and newer');
    await put(harness.store, 'kept', 'the second');
    const { versions } = await harness.store.listVersions({
      bucket: BUCKET,
      prefix: 'key-',
      delimiter: '',
      after: '',
      limit: 1000,
    });
    for (const { key: name, versionId } of versions) {
      await harness.store.delete({ bucket: BUCKET, key: name, versionId });
    }
    const olderIds = async (name: string): Promise<string[]> => {
      const request = { bucket: BUCKET, prefix: name, delimiter: '', after: '', limit: 10 };
      return (await harness.store.listVersions(request)).versions.map(({ versionId }) => versionId);
    };
    const known = await olderIds('other');
    for (let pass = 0; pass < 3; pass++) await harness.engine.reclaim.runOnce();
    const { versionId } = first.info;
    const old = await readAll(harness.store, { bucket: BUCKET, key: 'kept', versionId, customerKey });
    expect(old.toString()).toBe('the first');
    expect(await olderIds('other')).toEqual(known);
    expect(await readText(harness.store, BUCKET, 'other', known[1])).toBe('plain');
    expect(await leftovers(harness)).toEqual([]);
  });

  test('a pack is left alone while one of its bodies is still to be named', async () => {
    const kv = openMemoryStore({ partitions: 1 });
    const harness = await opened({ kv });
    // The first body is named, deleted and reclaimed while the others' commits are held up.
    const held = Promise.withResolvers<void>();
    const commit = kv.commit.bind(kv);
    let commits = 0;
    kv.commit = async (partition, work) => {
      const isNaming = work.puts?.some(([key]) => key[0] === KIND.current) ?? false;
      if (isNaming && ++commits > 3) await held.promise;
      return commit(partition, work);
    };
    const writing = Array.from({ length: 10 }, (_, number) =>
      put(harness.store, `key-${number}`, text(number)),
    );
    await writing[0];
    await writing[1];
    await writing[2];
    await remove(harness.store, 0, 3);
    await harness.engine.reclaim.runOnce();
    held.resolve();
    await Promise.all(writing);
    await readable(harness.store, 3, 10);
    for (let pass = 0; pass < 3; pass++) await harness.engine.reclaim.runOnce();
    await readable(harness.store, 3, 10);
    expect(await leftovers(harness)).toEqual([]);
  });
});

/** Writes, deletes and reclaims over a store that fails at one commit. */
async function cutRun(
  partitions: number,
  fault: ConstructorParameters<typeof FaultyKeyValueStore>[1],
): Promise<boolean> {
  const kv = openMemoryStore({ partitions });
  const harness = await createHarness({ kv, options: { reservedIds: 4 } });
  await harness.store.createBucket(BUCKET, OWNER);
  await putMany(harness.store, 0, 24);
  await remove(harness.store, 0, 12);
  await harness.engine.close();

  const faulty = new FaultyKeyValueStore(kv, fault);
  const acknowledged = new Set<number>();
  const work = async (engine: Engine): Promise<void> => {
    const puts = Array.from({ length: 12 }, async (_, at) => {
      await put(engine.store, `key-${24 + at}`, text(24 + at));
      acknowledged.add(24 + at);
    });
    // All of it is looked at: what follows the first failure counts, too.
    const outcomes = await Promise.allSettled(puts);
    await remove(engine.store, 12, 20);
    for (let pass = 0; pass < 3; pass++) await engine.reclaim.runOnce();
    const failed = outcomes.find(({ status }) => status === 'rejected');
    if (failed) throw (failed as PromiseRejectedResult).reason;
  };
  try {
    await work(await harness.restart(faulty));
  } catch (error) {
    expect(error).toMatchObject({ kind: 'Unavailable' });
  }
  await harness.restart(kv);
  for (let pass = 0; pass < 3; pass++) await harness.engine.reclaim.runOnce();
  await readable(harness.store, 20, 24);
  for (const number of acknowledged) await readable(harness.store, number, number + 1);
  expect(await leftovers(harness)).toEqual([]);
  expect((await harness.engine.check()).problems).toEqual([]);
  expect(await countOf(kv, 'garbage')).toBe(0);
  return faulty.struck;
}

describe.each([1, 2])('writing, compacting, %i partitions', (partitions) => {
  test.each(['crash', 'unknown'] as const)('%s at every commit', async (kind) => {
    for (const applied of [false, true]) {
      for (let at = 1; await cutRun(partitions, { at, applied, kind }); at++);
    }
  });
});

test('whatever is written and deleted in whatever order, what remains reads back and nothing else is kept', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('put' as const), keys: fc.array(fc.nat(30)) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), keys: fc.array(fc.nat(30)) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reclaim' as const), keys: fc.constant([]) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.boolean(), async (steps, isVersioned) => {
      const harness = await opened({ partitions: 2 });
      if (isVersioned) await harness.store.setVersioning(BUCKET, 'Enabled');
      const model = new Map<string, string>();
      for (const [turn, { kind, keys }] of steps.entries()) {
        const names = [...new Set(keys)].map((key) => `key-${key}`);
        if (kind === 'reclaim') await harness.engine.reclaim.runOnce();
        await Promise.all(
          names.map(async (name) => {
            const content = `${name} in turn ${turn}`;
            if (kind === 'put') await put(harness.store, name, content);
            else await harness.store.delete({ bucket: BUCKET, key: name });
            if (kind === 'put') model.set(name, content);
            else model.delete(name);
          }),
        );
      }
      for (let pass = 0; pass < 3; pass++) await harness.engine.reclaim.runOnce();
      for (const [name, content] of model) expect(await readText(harness.store, BUCKET, name)).toBe(content);
      expect(await leftovers(harness)).toEqual([]);
      expect((await harness.engine.check()).problems).toEqual([]);
    }),
    { numRuns: 40 },
  );
});
