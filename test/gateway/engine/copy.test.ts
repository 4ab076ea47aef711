/* oxlint-disable vitest/no-conditional-expect -- a race has more than one right outcome, and each is checked in full */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { ObjectStore } from '../../../gateway/engine/types.ts';
import {
  createHarness,
  kindOf,
  leftovers,
  noAttributes,
  OWNER,
  putText,
  readAll,
  readText,
  SMALL,
} from './harness.ts';
import type { Harness } from './harness.ts';

async function withBucket(partitions: number, options = SMALL): Promise<Harness> {
  const harness = await createHarness({ partitions, options });
  await harness.store.createBucket('b', OWNER);
  await harness.store.createBucket('c', OWNER);
  return harness;
}

const md5 = (bytes: Uint8Array | string): string => createHash('md5').update(bytes).digest('hex');
const customerKey = (fill: number): { key: Uint8Array; md5: string } => {
  const key = Buffer.alloc(32, fill);
  return { key, md5: createHash('md5').update(key).digest('base64') };
};
const copyText = (
  store: ObjectStore,
  from: string,
  to: string,
  rest: object = {},
): ReturnType<ObjectStore['copy']> =>
  store.copy({ source: { bucket: 'b', key: from }, bucket: 'c', key: to, ...rest });

describe.each([1, 4])('copies, %i partitions', (partitions) => {
  test('no data moves; source and copies live and die apart', async () => {
    const harness = await withBucket(partitions);
    const { store, engine, chunks } = harness;
    const bytes = randomBytes(350_000);
    await putText(store, 'b', 'source', bytes, { userMetadata: [['a', '1']], tags: [['t', '1']] });
    for (let i = 0; i < 8; i++) await copyText(store, 'source', `copy${i}`);
    expect(chunks.stored.size).toBe(4);
    expect(chunks.reads).toEqual([]);
    const info = await store.stat({ bucket: 'c', key: 'copy3' });
    expect(info).toMatchObject({ etag: md5(bytes), userMetadata: [['a', '1']], tags: [['t', '1']] });
    await store.delete({ bucket: 'b', key: 'source' });
    await engine.reclaim.runOnce();
    for (let i = 0; i < 8; i++) {
      expect((await readAll(store, { bucket: 'c', key: `copy${i}` })).equals(bytes)).toBe(true);
    }
    expect(await leftovers(harness)).toEqual([]);
    for (let i = 0; i < 8; i++) await store.delete({ bucket: 'c', key: `copy${i}` });
    await engine.reclaim.runOnce();
    expect(chunks.stored.size).toBe(0);
    expect(await leftovers(harness)).toEqual([]);
  });

  test('onto itself with other metadata, and attributes replaced or kept', async () => {
    const harness = await withBucket(partitions);
    const { store, engine } = harness;
    await putText(store, 'b', 'k', 'text', { userMetadata: [['mtime', '1']] });
    const source = { bucket: 'b', key: 'k' };
    for (let i = 0; i < 3; i++) {
      await store.copy({ source, bucket: 'b', key: 'k', userMetadata: [['mtime', `${i}`]] });
    }
    await engine.reclaim.runOnce();
    expect(await readText(store, 'b', 'k')).toBe('text');
    expect((await store.stat(source)).userMetadata).toEqual([['mtime', '2']]);
    expect(harness.chunks.stored.size).toBe(1);
    expect(await leftovers(harness)).toEqual([]);
  });

  test('an old version onto the same key', async () => {
    const { store } = await withBucket(partitions);
    await store.setVersioning('b', 'Enabled');
    const { info } = await putText(store, 'b', 'k', 'old');
    await putText(store, 'b', 'k', 'new');
    await store.copy({ source: { bucket: 'b', key: 'k', versionId: info.versionId }, bucket: 'b', key: 'k' });
    expect(await readText(store, 'b', 'k')).toBe('old');
  });

  test('SSE-C to and fro: only the data key is wrapped anew', async () => {
    const { store, chunks } = await withBucket(partitions);
    await putText(store, 'b', 'plain', 'secret');
    await copyText(store, 'plain', 'sealed', { customerKey: customerKey(1) });
    expect(await kindOf(store.open({ bucket: 'c', key: 'sealed' }))).toBe('InvalidRequest');
    const request = { bucket: 'c', key: 'sealed', customerKey: customerKey(1) };
    expect((await readAll(store, request)).toString()).toBe('secret');
    expect(await kindOf(store.copy({ source: { bucket: 'c', key: 'sealed' }, bucket: 'b', key: 'x' }))).toBe(
      'InvalidRequest',
    );
    await store.copy({ source: request, bucket: 'b', key: 'other', customerKey: customerKey(2) });
    await store.copy({ source: request, bucket: 'b', key: 'open' });
    expect(
      (await readAll(store, { bucket: 'b', key: 'other', customerKey: customerKey(2) })).toString(),
    ).toBe('secret');
    expect(await readText(store, 'b', 'open')).toBe('secret');
    expect(chunks.stored.size).toBe(1);
  });

  test('conditions on source and target; another checksum is computed from the data', async () => {
    const { store } = await withBucket(partitions);
    await putText(store, 'b', 'k', 'text');
    const source = (conditions: object): Promise<string> =>
      kindOf(store.copy({ source: { bucket: 'b', key: 'k', conditions }, bucket: 'c', key: 'k' }));
    expect(await source({ ifMatch: ['x'] })).toBe('PreconditionFailed');
    expect(await source({ ifNoneMatch: [md5('text')] })).toBe('PreconditionFailed');
    expect(await source({ ifMatch: [md5('text')] })).toBe('none');
    expect(await kindOf(copyText(store, 'k', 'k', { conditions: { ifNoneMatch: ['*'] } }))).toBe(
      'PreconditionFailed',
    );
    const { info } = await copyText(store, 'k', 'k', { checksumAlgorithm: 'SHA256' });
    const value = createHash('sha256').update('text').digest('base64');
    expect(info.checksum).toEqual({ algorithm: 'SHA256', type: 'FULL_OBJECT', value });
    expect((await copyText(store, 'none', 'k').catch((error: unknown) => error)) as object).toMatchObject({
      kind: 'NoSuchKey',
    });
  });

  test('100 copies of one object at once', async () => {
    const harness = await withBucket(partitions);
    const { store, engine } = harness;
    await putText(store, 'b', 'k', 'text');
    await Promise.all(Array.from({ length: 100 }, (_, i) => copyText(store, 'k', `k${i}`)));
    await store.delete({ bucket: 'b', key: 'k' });
    await engine.reclaim.runOnce();
    for (let i = 0; i < 100; i++) expect(await readText(store, 'c', `k${i}`)).toBe('text');
    expect(await leftovers(harness)).toEqual([]);
  });

  test('copies against deletion and reclaim of their source: whole or not at all', async () => {
    const harness = await withBucket(partitions);
    const { store, engine } = harness;
    for (let round = 0; round < 40; round++) {
      await putText(store, 'b', 'k', `round ${round}`);
      const copying = kindOf(copyText(store, 'k', `copy${round}`));
      for (let turn = 0; turn < round; turn++) await Promise.resolve();
      await store.delete({ bucket: 'b', key: 'k' });
      await engine.reclaim.runOnce();
      const kind = await copying;
      if (kind === 'none') expect(await readText(store, 'c', `copy${round}`)).toBe(`round ${round}`);
      else expect(kind).toBe('NoSuchKey');
    }
    await engine.reclaim.runOnce();
    expect(await leftovers(harness)).toEqual([]);
    expect((await engine.check()).problems).toEqual([]);
  });

  test('parts copied from ranges of objects, also of copies of copies', async () => {
    const harness = await withBucket(partitions, { ...SMALL, inlineChunks: 2 });
    const { store, engine, chunks } = harness;
    let bytes: Buffer = randomBytes(420_000);
    await putText(store, 'b', 'k', bytes);
    for (let round = 0; round < 4; round++) {
      const { uploadId } = await store.createUpload({
        ...noAttributes,
        bucket: 'b',
        key: 'k',
        initiator: OWNER,
      });
      const cuts = [0, 65_536, 65_537, 130_001, 131_072, bytes.length - 7, bytes.length];
      const parts = [];
      const pieces: Buffer[] = [];
      // Backwards, so that what is copied is not just the same again.
      for (let i = cuts.length - 1; i > 0; i--) {
        const range = { start: cuts[i - 1]!, end: cuts[i]! };
        const partNumber = cuts.length - i;
        const source = { bucket: 'b', key: 'k' };
        const part = await store.copyPart({ bucket: 'b', key: 'k', uploadId, partNumber, source, range });
        const piece = bytes.subarray(range.start, range.end);
        expect(part.etag).toBe(md5(piece));
        parts.push({ number: part.number, etag: part.etag });
        pieces.push(piece);
      }
      // Small parts are for the last place only, so this checks that they are refused before it shows the way round.
      const request = { bucket: 'b', key: 'k', uploadId, parts };
      expect(await kindOf(store.completeUpload(request))).toBe('EntityTooSmall');
      const large = parts.filter((_, i) => pieces[i]!.length >= 10);
      await store.completeUpload({ ...request, parts: large });
      bytes = Buffer.concat(pieces.filter((piece) => piece.length >= 10));
      await engine.reclaim.runOnce();
      expect((await readAll(store, { bucket: 'b', key: 'k' })).equals(bytes)).toBe(true);
      expect(chunks.stored.size).toBe(5);
    }
    expect((await engine.check()).problems).toEqual([]);
    expect(await leftovers(harness)).toEqual([]);
  });

  test('a part of a whole object takes its MD5 over without reading; ranges are checked', async () => {
    const { store, chunks } = await withBucket(partitions);
    await putText(store, 'b', 'k', 'some text');
    const { uploadId } = await store.createUpload({
      ...noAttributes,
      bucket: 'b',
      key: 'n',
      initiator: OWNER,
    });
    const copyPart = (range?: { start: number; end: number }): ReturnType<ObjectStore['copyPart']> =>
      store.copyPart({
        bucket: 'b',
        key: 'n',
        uploadId,
        partNumber: 1,
        source: { bucket: 'b', key: 'k' },
        ...(range ? { range } : {}),
      });
    expect((await copyPart()).etag).toBe(md5('some text'));
    expect(chunks.reads).toEqual([]);
    expect((await copyPart({ start: 5, end: 9 })).etag).toBe(md5('text'));
    expect(await kindOf(copyPart({ start: 5, end: 10 }))).toBe('InvalidRange');
    expect(await kindOf(copyPart({ start: 5, end: 5 }))).toBe('InvalidRange');
  });
});
