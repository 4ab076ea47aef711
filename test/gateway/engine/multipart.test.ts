/* oxlint-disable vitest/no-conditional-expect -- a race has more than one right outcome, and each is checked in full */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createDigests } from '../../../gateway/engine/checksums.ts';
import type { CompletePart, ObjectStore, PartInfo } from '../../../gateway/engine/types.ts';
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
  SMALL,
} from './harness.ts';
import type { Harness } from './harness.ts';

async function withBucket(partitions = 1, options = SMALL): Promise<Harness> {
  const harness = await createHarness({ partitions, options });
  await harness.store.createBucket('b', OWNER);
  return harness;
}

const start = async (store: ObjectStore, rest: object = {}, key = 'k'): Promise<string> =>
  (await store.createUpload({ ...noAttributes, bucket: 'b', key, initiator: OWNER, ...rest })).uploadId;

const part = (
  store: ObjectStore,
  uploadId: string,
  partNumber: number,
  bytes: Uint8Array | string,
  rest: object = {},
): Promise<PartInfo> =>
  store.putPart({ bucket: 'b', key: 'k', uploadId, partNumber, body: bodyOf(bytes), ...rest });

const chosen = (parts: readonly PartInfo[]): CompletePart[] =>
  parts.map(({ number, etag }) => ({ number, etag }));
const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();

describe.each([1, 4])('multipart uploads, %i partitions', (partitions) => {
  test('parts in any order make one object; parts left out are freed', async () => {
    const harness = await withBucket(partitions);
    const { store, engine, chunks } = harness;
    const uploadId = await start(store, { userMetadata: [['m', '1']], tags: [['t', '2']] });
    const [a, b, c] = [randomBytes(150_000), randomBytes(70_001), randomBytes(3)];
    const third = await part(store, uploadId, 9, c);
    const first = await part(store, uploadId, 2, a);
    await part(store, uploadId, 5, 'overwritten before completion');
    const second = await part(store, uploadId, 5, b);
    await part(store, uploadId, 7, 'never chosen');
    expect(await kindOf(store.open({ bucket: 'b', key: 'k' }))).toBe('NoSuchKey');
    const request = { bucket: 'b', key: 'k', uploadId, parts: chosen([first, second, third]) };
    const { info } = await store.completeUpload(request);
    const etag = createHash('md5')
      .update(Buffer.concat([md5(a), md5(b), md5(c)]))
      .digest('hex');
    expect(info).toMatchObject({
      etag: `${etag}-3`,
      size: 220_004,
      userMetadata: [['m', '1']],
      tags: [['t', '2']],
    });

    const opened = await store.open({ bucket: 'b', key: 'k' });
    expect(opened.info.parts?.map(({ number, size }) => [number, size])).toEqual([
      [2, 150_000],
      [5, 70_001],
      [9, 3],
    ]);
    expect(opened.partRange(2)).toEqual({ start: 150_000, end: 220_001, count: 3 });
    expect(() => opened.partRange(4)).toThrow(expect.objectContaining({ kind: 'InvalidPartNumber' }));
    opened.close();
    const whole = Buffer.concat([a, b, c]);
    expect((await readAll(store, { bucket: 'b', key: 'k' })).equals(whole)).toBe(true);
    const range = await readAll(store, { bucket: 'b', key: 'k' }, 149_990, 220_003);
    expect(range.equals(whole.subarray(149_990, 220_003))).toBe(true);

    expect(await store.completeUpload(request)).toEqual({ info, survives: ['site', 'operator'] });
    expect(await kindOf(store.upload({ bucket: 'b', key: 'k', uploadId }))).toBe('NoSuchUpload');
    expect(await kindOf(store.abortUpload({ bucket: 'b', key: 'k', uploadId }))).toBe('NoSuchUpload');
    await engine.reclaim.runOnce();
    expect(chunks.stored.size).toBe(2 + 1 + 1);
    expect(await leftovers(harness)).toEqual([]);
    expect((await engine.check()).problems).toEqual([]);
    await store.delete({ bucket: 'b', key: 'k' });
    await engine.reclaim.runOnce();
    expect(chunks.stored.size).toBe(0);
  });

  test('an answer is remembered for some days', async () => {
    const harness = await withBucket(partitions);
    const { store, engine, clock } = harness;
    const uploadId = await start(store);
    const request = { bucket: 'b', key: 'k', uploadId, parts: chosen([await part(store, uploadId, 1, 'x')]) };
    await store.completeUpload(request);
    await store.delete({ bucket: 'b', key: 'k' });
    await engine.reclaim.runOnce();
    expect((await store.completeUpload(request)).info.size).toBe(1);
    expect(await kindOf(store.completeUpload({ ...request, key: 'other' }))).toBe('NoSuchUpload');
    clock.time += 8 * 24 * 3_600_000;
    expect((await engine.reclaim.runOnce()).expired).toBe(1);
    expect(await kindOf(store.completeUpload(request))).toBe('NoSuchUpload');
    for (const kind of ['completed', 'expiry'] as const) expect(await countOf(harness.kv, kind)).toBe(0);
  });

  test('what Complete refuses', async () => {
    const { store } = await withBucket(partitions);
    const uploadId = await start(store);
    const one = await part(store, uploadId, 1, 'short');
    const two = await part(store, uploadId, 2, 'long enough to be first');
    const complete = (parts: CompletePart[], rest: object = {}): Promise<string> =>
      kindOf(store.completeUpload({ bucket: 'b', key: 'k', uploadId, parts, ...rest }));
    expect(await complete([])).toBe('InvalidRequest');
    expect(await complete(chosen([two, one]))).toBe('InvalidPartOrder');
    expect(await complete(chosen([one, one]))).toBe('InvalidPartOrder');
    expect(await complete(chosen([one, two]))).toBe('EntityTooSmall');
    expect(await complete([{ number: 1, etag: two.etag }])).toBe('InvalidPart');
    expect(await complete([{ number: 3, etag: two.etag }])).toBe('InvalidPart');
    const wrong = { algorithm: 'CRC32', value: 'AAAAAA==' } as const;
    expect(await complete([{ ...chosen([two])[0]!, checksum: wrong }])).toBe('InvalidPart');
    expect(await complete(chosen([two]), { objectSize: 1 })).toBe('InvalidRequest');
    expect(await complete(chosen([two]), { checksum: wrong })).toBe('InvalidRequest');
    expect(await complete(chosen([two]), { conditions: { ifMatch: ['x'] } })).toBe('NoSuchKey');
    await putText(store, 'b', 'k', 'there');
    expect(await complete(chosen([two]), { conditions: { ifNoneMatch: ['*'] } })).toBe('PreconditionFailed');
    expect(await complete(chosen([two]))).toBe('none');
    const unknown = { bucket: 'b', key: 'k', uploadId: 'nonsense', parts: chosen([two]) };
    expect(await kindOf(store.completeUpload(unknown))).toBe('NoSuchUpload');
    expect(await kindOf(part(store, uploadId, 0, 'x'))).toBe('InvalidArgument');
    expect(await kindOf(part(store, uploadId, 10_001, 'x'))).toBe('InvalidArgument');
    expect(await kindOf(part(store, uploadId, 1, 'x'))).toBe('NoSuchUpload');
  });

  test('checksums: computed where a part brings none, of the whole or of the parts', async () => {
    const { store } = await withBucket(partitions);
    const [a, b] = [randomBytes(100_001), randomBytes(5)];
    const crc = (bytes: Uint8Array): string => {
      const digests = createDigests({ algorithm: 'CRC32' });
      digests.update(bytes);
      return digests.finish().checksum!;
    };
    const value = crc(Buffer.concat([a, b]));
    for (const [checksumType, expected] of [
      ['FULL_OBJECT', value],
      ['COMPOSITE', `${crc(Buffer.concat([a, b].map((bytes) => Buffer.from(crc(bytes), 'base64'))))}-2`],
    ] as const) {
      const uploadId = await start(store, { checksumAlgorithm: 'CRC32', checksumType });
      const other = { body: { ...bodyOf(a), checksum: { algorithm: 'SHA1', expected: () => undefined } } };
      expect(await kindOf(part(store, uploadId, 1, a, other))).toBe('InvalidRequest');
      const parts = [await part(store, uploadId, 1, a), await part(store, uploadId, 2, b)];
      expect(parts[0]!.checksum).toEqual({ algorithm: 'CRC32', type: 'FULL_OBJECT', value: crc(a) });
      const request = { bucket: 'b', key: 'k', uploadId, parts: chosen(parts) };
      const asked = (text: string): object => ({ checksum: { algorithm: 'CRC32', value: text } });
      expect(await kindOf(store.completeUpload({ ...request, ...asked('AAAAAA==') }))).toBe('BadDigest');
      const { info } = await store.completeUpload({ ...request, ...asked(expected) });
      expect(info.checksum).toEqual({ algorithm: 'CRC32', type: checksumType, value: expected });
    }
    expect(await kindOf(start(store, { checksumAlgorithm: 'SHA256', checksumType: 'FULL_OBJECT' }))).toBe(
      'InvalidRequest',
    );
    expect(await kindOf(start(store, { checksumType: 'FULL_OBJECT' }))).toBe('InvalidRequest');
  });

  test('SSE-C: every part comes with the key of the upload', async () => {
    const { store } = await withBucket(partitions);
    const customerKey = (fill: number): { key: Uint8Array; md5: string } => {
      const key = Buffer.alloc(32, fill);
      return { key, md5: md5(key).toString('base64') };
    };
    const uploadId = await start(store, { customerKey: customerKey(1) });
    expect(await kindOf(part(store, uploadId, 1, 'x'))).toBe('InvalidRequest');
    expect(await kindOf(part(store, uploadId, 1, 'x', { customerKey: customerKey(2) }))).toBe(
      'InvalidRequest',
    );
    const parts = [
      await part(store, uploadId, 1, 'hello hello', { customerKey: customerKey(1) }),
      await part(store, uploadId, 2, '!', { customerKey: customerKey(1) }),
    ];
    const request = { bucket: 'b', key: 'k', uploadId, parts: chosen(parts) };
    expect(await kindOf(store.completeUpload({ ...request, customerKey: customerKey(2) }))).toBe(
      'InvalidRequest',
    );
    await store.completeUpload(request);
    expect(await kindOf(store.open({ bucket: 'b', key: 'k' }))).toBe('InvalidRequest');
    const bytes = await readAll(store, { bucket: 'b', key: 'k', customerKey: customerKey(1) });
    expect(bytes.toString()).toBe('hello hello!');
  });

  test('SSE-C with a checksum: completing takes the key too', async () => {
    const { store } = await withBucket(partitions);
    const key = Buffer.alloc(32, 1);
    const customerKey = { key, md5: md5(key).toString('base64') };
    const uploadId = await start(store, { customerKey, checksumAlgorithm: 'CRC32' });
    const parts = [await part(store, uploadId, 1, 'x', { customerKey })];
    const request = { bucket: 'b', key: 'k', uploadId, parts: chosen(parts) };
    expect(await kindOf(store.completeUpload(request))).toBe('InvalidRequest');
    const { info } = await store.completeUpload({ ...request, customerKey });
    expect(info.customerKeyMd5).toBe(customerKey.md5);
    const open = await start(store, {});
    expect(await kindOf(part(store, open, 1, 'x', { customerKey }))).toBe('InvalidRequest');
  });

  test('a body too long for its version record lies in pages, and leaves none behind', async () => {
    const harness = await withBucket(partitions, { ...SMALL, inlineBodyBytes: 1000, pageBytes: 2000 });
    const { store, engine, kv, chunks } = harness;
    const uploadId = await start(store);
    const texts = Array.from({ length: 120 }, (_, i) => `part number ${i} `.padEnd(20));
    const parts = [];
    for (const [i, text] of texts.entries()) parts.push(await part(store, uploadId, i + 1, text));
    const wrong = { bucket: 'b', key: 'k', uploadId, parts: chosen(parts), conditions: { ifMatch: ['x'] } };
    expect(await kindOf(store.completeUpload(wrong))).toBe('NoSuchKey');
    await store.completeUpload({ bucket: 'b', key: 'k', uploadId, parts: chosen(parts) });
    expect((await readAll(store, { bucket: 'b', key: 'k' })).toString()).toBe(texts.join(''));
    const opened = await store.open({ bucket: 'b', key: 'k' });
    expect(opened.info.parts?.length).toBe(120);
    opened.close();
    await engine.reclaim.runOnce();
    const pages = await countOf(kv, 'page');
    expect(pages).toBeGreaterThan(5);
    await store.copy({ source: { bucket: 'b', key: 'k' }, bucket: 'b', key: 'copy' });
    expect(await countOf(kv, 'page')).toBe(2 * pages);
    await store.delete({ bucket: 'b', key: 'k' });
    await engine.reclaim.runOnce();
    expect(await countOf(kv, 'page')).toBe(pages);
    expect((await readAll(store, { bucket: 'b', key: 'copy' })).toString()).toBe(texts.join(''));
    expect(await leftovers(harness)).toEqual([]);
    await store.delete({ bucket: 'b', key: 'copy' });
    await engine.reclaim.runOnce();
    expect(await countOf(kv, 'page')).toBe(0);
    expect(chunks.stored.size).toBe(0);
  });

  test('parts and uploads are listed in pages', async () => {
    const { store } = await withBucket(partitions);
    const uploadId = await start(store);
    for (const number of [1, 3, 4, 10_000]) await part(store, uploadId, number, `${number}`);
    const page = await store.listParts({ bucket: 'b', key: 'k', uploadId, after: 1, limit: 2 });
    expect([page.parts.map(({ number }) => number), page.truncated]).toEqual([[3, 4], true]);
    const rest = await store.listParts({ bucket: 'b', key: 'k', uploadId, after: 4, limit: 2 });
    expect([rest.parts.map(({ number }) => number), rest.truncated]).toEqual([[10_000], false]);

    const ids = [uploadId];
    for (const key of ['k', 'd/1', 'd/2', 'e', 'k']) ids.push(await start(store, {}, key));
    const expected = ['d/…', `e ${ids[4]}`, `k ${ids[0]}`, `k ${ids[1]}`, `k ${ids[5]}`];
    for (const limit of [1, 2, 1000]) {
      const rows = [];
      let markers = { keyMarker: '', uploadIdMarker: '' };
      for (;;) {
        const { uploads, commonPrefixes, ...more } = await store.listUploads({
          bucket: 'b',
          prefix: '',
          delimiter: '/',
          limit,
          ...markers,
        });
        rows.push(...commonPrefixes.map((prefix) => `${prefix}…`));
        rows.push(...uploads.map(({ key, uploadId }) => `${key} ${uploadId}`));
        if (!more.truncated) break;
        markers = { keyMarker: more.nextKeyMarker!, uploadIdMarker: more.nextUploadIdMarker ?? '' };
      }
      expect(rows).toEqual(expected);
    }
  });

  test('races of Complete, Abort and UploadPart leave one outcome and no orphan', async () => {
    const harness = await withBucket(partitions);
    const { store, engine } = harness;
    for (let round = 0; round < 25; round++) {
      const uploadId = await start(store);
      const parts = [
        await part(store, uploadId, 1, 'a first part'),
        await part(store, uploadId, 2, 'second'),
      ];
      const ref = { bucket: 'b', key: 'k', uploadId };
      const request = { ...ref, parts: chosen(parts) };
      const turns = async (count: number): Promise<void> => {
        for (let turn = 0; turn < count; turn++) await Promise.resolve();
      };
      const [one, two, aborted, late, again] = await Promise.all([
        kindOf(turns(round).then(() => store.completeUpload(request))),
        kindOf(store.completeUpload(request)),
        round % 2 === 0 ? kindOf(turns(30 - round).then(() => store.abortUpload(ref))) : 'NoSuchUpload',
        kindOf(turns(round * 2).then(() => part(store, uploadId, 3, 'late'))),
        kindOf(turns(round).then(() => part(store, uploadId, 1, 'another first part'))),
      ]);
      expect(['none', 'NoSuchUpload']).toContain(late);
      expect(['none', 'NoSuchUpload']).toContain(again);
      const text = await readAll(store, { bucket: 'b', key: 'k' }).then(String, () => undefined);
      if (one === 'none' || two === 'none') {
        expect(text).toBe('a first partsecond');
        expect(aborted).toBe('NoSuchUpload');
      } else if (aborted === 'none') {
        expect([one, two]).toEqual(['NoSuchUpload', 'NoSuchUpload']);
        expect(text).toBeUndefined();
      } else {
        // The first part was written anew before either looked.
        expect([one, two]).toEqual(['InvalidPart', 'InvalidPart']);
        await store.abortUpload(ref);
      }
      await store.delete({ bucket: 'b', key: 'k' });
      await engine.reclaim.runOnce();
      expect(await leftovers(harness)).toEqual([]);
      expect(harness.chunks.stored.size).toBe(0);
    }
  });
});
