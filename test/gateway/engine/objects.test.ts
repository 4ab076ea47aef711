import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { PlacementError } from '#placement';
import type { ObjectStore } from '../../../gateway/engine/types.ts';
import {
  bodyOf,
  countOf,
  createHarness,
  kindOf,
  leftovers,
  noAttributes,
  OWNER,
  putText,
  readAll,
  readText,
  recordedChunks,
  SMALL,
} from './harness.ts';
import type { Harness } from './harness.ts';

async function withBucket(partitions = 1, options = SMALL): Promise<Harness & { store: ObjectStore }> {
  const harness = await createHarness({ partitions, options });
  await harness.store.createBucket('b', OWNER);
  return harness;
}

const md5 = (bytes: Uint8Array | string): string => createHash('md5').update(bytes).digest('hex');
const customerKey = (fill: number): { key: Uint8Array; md5: string } => {
  const key = Buffer.alloc(32, fill);
  return { key, md5: createHash('md5').update(key).digest('base64') };
};

describe.each([1, 4])('objects, %i partitions', (partitions) => {
  test('put, open, overwrite, delete', async () => {
    const { store, engine, ...harness } = await withBucket(partitions);
    const { info } = await putText(store, 'b', 'a/b', 'hello', {
      headers: [['content-type', 'text/plain']],
      userMetadata: [['__proto__', 'x']],
      tags: [['t', '1']],
    });
    expect(info).toMatchObject({ versionId: 'null', versioned: false, etag: md5('hello'), size: 5 });
    expect(await readText(store, 'b', 'a/b')).toBe('hello');
    const { info: opened } = await store.open({ bucket: 'b', key: 'a/b' });
    expect(opened.headers).toEqual([['content-type', 'text/plain']]);
    expect(opened.userMetadata).toEqual([['__proto__', 'x']]);

    await putText(store, 'b', 'a/b', 'world!');
    expect(await readText(store, 'b', 'a/b')).toBe('world!');
    expect(await store.delete({ bucket: 'b', key: 'a/b' })).toEqual({ deleteMarker: false });
    expect(await kindOf(store.open({ bucket: 'b', key: 'a/b' }))).toBe('NoSuchKey');
    expect(await store.delete({ bucket: 'b', key: 'a/b' })).toEqual({ deleteMarker: false });
    await engine.reclaim.runOnce();
    // `opened` was never closed: its body is still needed.
    expect((await recordedChunks(harness.kv)).length).toBe(1);
  });

  test('bytes of many sizes survive in many chunks, and every range reads right', async () => {
    const { store } = await withBucket(partitions);
    for (const size of [0, 1, 65_535, 65_536, 65_537, 99_984, 100_000, 350_001]) {
      const bytes = randomBytes(size);
      const { info } = await putText(store, 'b', `k${size}`, bytes);
      expect(info.etag).toBe(md5(bytes));
      expect((await readAll(store, { bucket: 'b', key: `k${size}` })).equals(bytes)).toBe(true);
      for (const [start, end] of [
        [0, 1],
        [size - 1, size],
        [65_530, 65_540],
        [99_000, 101_000],
        [5, size - 5],
      ] as const) {
        if (start < 0 || end > size || start >= end) continue;
        const part = await readAll(store, { bucket: 'b', key: `k${size}` }, start, end);
        expect(part.equals(bytes.subarray(start, end))).toBe(true);
      }
    }
  });

  test('what is overwritten or deleted is freed by reclaim, and nothing else', async () => {
    const { store, engine, ...harness } = await withBucket(partitions);
    const kept = randomBytes(250_000);
    for (let i = 0; i < 20; i++) await putText(store, 'b', `k${i % 5}`, `text ${i}`);
    await putText(store, 'b', 'kept', kept);
    await store.delete({ bucket: 'b', key: 'k0' });
    expect((await recordedChunks(harness.kv)).length).toBe(23);
    await engine.reclaim.runOnce();
    expect((await recordedChunks(harness.kv)).length).toBe(4 + 3);
    expect(await leftovers({ store, engine, ...harness })).toEqual([]);
    expect((await readAll(store, { bucket: 'b', key: 'kept' })).equals(kept)).toBe(true);
    expect((await engine.check()).problems).toEqual([]);
  });

  test('an opened version is read to its end though it is overwritten and reclaimed meanwhile', async () => {
    const { store, engine, chunks } = await withBucket(partitions);
    const bytes = randomBytes(300_000);
    await putText(store, 'b', 'k', bytes);
    const opened = await store.open({ bucket: 'b', key: 'k' });
    const stream = opened.stream(0, bytes.length)[Symbol.asyncIterator]();
    const pieces = [(await stream.next()).value as Uint8Array];
    await putText(store, 'b', 'k', 'other');
    await engine.reclaim.runOnce();
    for (let next = await stream.next(); !next.done; next = await stream.next()) pieces.push(next.value);
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    opened.close();
    opened.close();
    await engine.reclaim.runOnce();
    expect(chunks.stored.size).toBe(1);
  });

  test('promises are checked before anything is visible, and nothing stays', async () => {
    const { store, engine, ...harness } = await withBucket(partitions);
    const put = (body: Parameters<typeof bodyOf>[1]): Promise<string> =>
      kindOf(store.put({ ...noAttributes, bucket: 'b', key: 'k', body: bodyOf('hello', body) }));
    expect(await put({ length: 4 })).toBe('IncompleteBody');
    expect(await put({ length: 6 })).toBe('IncompleteBody');
    expect(await put({ contentMd5: 'AAAA' })).toBe('BadDigest');
    expect(await put({ contentSha256: '00' })).toBe('ContentSha256Mismatch');
    expect(await put({ checksum: { algorithm: 'CRC32', expected: () => 'AAAAAA==' } })).toBe('BadDigest');
    expect(await kindOf(store.open({ bucket: 'b', key: 'k' }))).toBe('NoSuchKey');
    await engine.reclaim.runOnce();
    expect(await leftovers({ store, engine, ...harness })).toEqual([]);
    expect(harness.chunks.stored.size).toBe(0);

    const sha256 = createHash('sha256').update('hello');
    expect(
      await put({
        length: 5,
        contentMd5: createHash('md5').update('hello').digest('base64'),
        contentSha256: sha256.copy().digest('hex'),
        checksum: { algorithm: 'SHA256', expected: () => sha256.copy().digest('base64') },
      }),
    ).toBe('none');
    const { checksum } = await store.stat({ bucket: 'b', key: 'k' });
    expect(checksum).toEqual({
      algorithm: 'SHA256',
      type: 'FULL_OBJECT',
      value: sha256.copy().digest('base64'),
    });
  });

  test("a broken body's own error comes out, and its chunks go", async () => {
    const { store, engine, chunks } = await withBucket(partitions);
    const broken = new Error('the client went away');
    const bytes = (async function* fail() {
      yield randomBytes(250_000);
      throw broken;
    })();
    const put = store.put({ ...noAttributes, bucket: 'b', key: 'k', body: { bytes } });
    await expect(put).rejects.toBe(broken);
    chunks.failFinish = new PlacementError('TooFewProviders', 'two are down');
    expect(await kindOf(putText(store, 'b', 'k', 'x'))).toBe('Unavailable');
    chunks.failFinish = new PlacementError('NoSpace', 'full');
    expect(await kindOf(putText(store, 'b', 'k', 'x'))).toBe('StorageFull');
    await engine.reclaim.runOnce();
    expect(chunks.stored.size).toBe(0);
  });

  test('too long bodies and keys are refused', async () => {
    const { store } = await withBucket(partitions, { ...SMALL, bodyBytesMax: 10 });
    expect(await kindOf(putText(store, 'b', 'k', '12345678901'))).toBe('EntityTooLarge');
    expect(await kindOf(putText(store, 'b', 'k', '1234567890'))).toBe('none');
    expect(await kindOf(putText(store, 'b', 'ä'.repeat(512), 'x'))).toBe('none');
    expect(await kindOf(putText(store, 'b', 'ä'.repeat(512) + 'a', 'x'))).toBe('KeyTooLong');
    expect(await kindOf(putText(store, 'nowhere', 'k', 'x'))).toBe('NoSuchBucket');
  });

  test('SSE-C: the key is asked for, checked, and never stored', async () => {
    const { store } = await withBucket(partitions);
    const key = customerKey(1);
    await putText(store, 'b', 'k', 'secret', { customerKey: key });
    expect(await kindOf(store.open({ bucket: 'b', key: 'k' }))).toBe('InvalidRequest');
    expect(await kindOf(store.open({ bucket: 'b', key: 'k', customerKey: customerKey(2) }))).toBe(
      'AccessDenied',
    );
    const forged = { ...customerKey(2), md5: key.md5 };
    expect(await kindOf(readAll(store, { bucket: 'b', key: 'k', customerKey: forged }))).toBe('AccessDenied');
    expect((await readAll(store, { bucket: 'b', key: 'k', customerKey: key })).toString()).toBe('secret');
    await putText(store, 'b', 'plain', 'x');
    expect(await kindOf(store.open({ bucket: 'b', key: 'plain', customerKey: key }))).toBe('InvalidRequest');
    expect((await store.stat({ bucket: 'b', key: 'k' })).customerKeyMd5).toBe(key.md5);
  });

  test('100 writers with If-None-Match: * have one winner; chains of If-Match lose no update', async () => {
    const { store, engine, ...harness } = await withBucket(partitions);
    const kinds = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        kindOf(putText(store, 'b', 'k', `${i}`, { conditions: { ifNoneMatch: ['*'] } })),
      ),
    );
    expect(kinds.filter((kind) => kind === 'none').length).toBe(1);
    expect(kinds.filter((kind) => kind === 'PreconditionFailed').length).toBe(99);

    await putText(store, 'b', 'count', '0');
    const add = async (): Promise<void> => {
      for (;;) {
        const opened = await store.open({ bucket: 'b', key: 'count' });
        let text = '';
        for await (const piece of opened.stream(0, opened.info.size)) text += Buffer.from(piece).toString();
        opened.close();
        const conditions = { ifMatch: [opened.info.etag] };
        const kind = await kindOf(putText(store, 'b', 'count', `${Number(text) + 1}`, { conditions }));
        if (kind === 'none') return;
        expect(kind).toBe('PreconditionFailed');
      }
    };
    await Promise.all(Array.from({ length: 12 }, add));
    expect(await readText(store, 'b', 'count')).toBe('12');
    await engine.reclaim.runOnce();
    expect(await leftovers({ store, engine, ...harness })).toEqual([]);
  });

  test('conditions of writes, reads and deletes', async () => {
    const { store } = await withBucket(partitions);
    const etag = md5('one');
    expect(await kindOf(putText(store, 'b', 'k', 'x', { conditions: { ifMatch: [etag] } }))).toBe(
      'NoSuchKey',
    );
    await putText(store, 'b', 'k', 'one');
    expect(await kindOf(putText(store, 'b', 'k', 'x', { conditions: { ifMatch: ['00'] } }))).toBe(
      'PreconditionFailed',
    );
    const { lastModified } = await store.stat({ bucket: 'b', key: 'k' });
    const open = (conditions: object): Promise<string> =>
      kindOf(store.open({ bucket: 'b', key: 'k', conditions }).then((opened) => opened.close()));
    expect(await open({ ifMatch: [etag], ifUnmodifiedSince: lastModified - 9000 })).toBe('none');
    expect(await open({ ifUnmodifiedSince: lastModified - 9000 })).toBe('PreconditionFailed');
    expect(await open({ ifNoneMatch: [etag] })).toBe('NotModified');
    expect(await open({ ifMatch: ['00'], ifNoneMatch: [etag] })).toBe('PreconditionFailed');
    expect(await open({ ifNoneMatch: ['00'], ifModifiedSince: lastModified })).toBe('none');
    expect(await open({ ifModifiedSince: lastModified })).toBe('NotModified');
    const remove = (ifMatch: string): Promise<string> =>
      kindOf(store.delete({ bucket: 'b', key: 'k', conditions: { ifMatch: [ifMatch] } }));
    expect(await remove('00')).toBe('PreconditionFailed');
    expect(await remove(etag)).toBe('none');
    expect(await remove(etag)).toBe('NoSuchKey');
  });

  test('tags are replaced in place', async () => {
    const { store } = await withBucket(partitions);
    await putText(store, 'b', 'k', 'x', { tags: [['a', '1']] });
    const before = await store.stat({ bucket: 'b', key: 'k' });
    await store.setTags({ bucket: 'b', key: 'k' }, [['b', '2']]);
    const after = await store.stat({ bucket: 'b', key: 'k' });
    expect(after).toEqual({ ...before, tags: [['b', '2']] });
    expect(await readText(store, 'b', 'k')).toBe('x');
    expect(await kindOf(store.setTags({ bucket: 'b', key: 'none' }, []))).toBe('NoSuchKey');
  });

  test('chunks with missing shards are queued for repair with the commit that shows them', async () => {
    const { store, chunks, engine } = await withBucket(partitions);
    chunks.needsRepair = true;
    await putText(store, 'b', 'k', 'x');
    const queue = await engine.catalog.repairQueue(undefined, 10);
    expect(queue).toEqual([...chunks.stored.keys()]);
    await engine.catalog.dequeueRepair(queue[0]!);
    expect(await engine.catalog.repairQueue(undefined, 10)).toEqual([]);
  });

  test('a graceful end leaves no reservation; a crash leaves one, and the next start clears it', async () => {
    const harness = await withBucket(partitions);
    for (let i = 0; i < 30; i++) await putText(harness.store, 'b', `k${i}`, 'x');
    await harness.engine.close();
    expect(await countOf(harness.kv, 'reservation')).toBe(0);
    expect(await countOf(harness.kv, 'session')).toBe(0);

    await harness.restart();
    const bytes = (async function* hang() {
      yield randomBytes(250_000);
      await new Promise(() => undefined);
    })();
    void harness.store.put({ ...noAttributes, bucket: 'b', key: 'half', body: { bytes } });
    while (harness.chunks.stored.size < 32) await new Promise((resolve) => setImmediate(resolve));
    const { reclaim } = await harness.restart();
    const report = await reclaim.runOnce();
    expect(report.reservedIds).toBeGreaterThan(0);
    expect(harness.chunks.stored.size).toBe(30);
    expect(await leftovers(harness)).toEqual([]);
    expect(await countOf(harness.kv, 'reservation')).toBe(0);
  });
});
