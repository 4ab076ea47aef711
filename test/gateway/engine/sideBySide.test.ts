/** Digests of bodies that are written at the same time. */
import { createHash, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createDigests } from '../../../gateway/engine/checksums.ts';
import type { Digests } from '../../../gateway/engine/checksums.ts';
import { startMd5 } from '#erasure';
import { SLOTS } from '../../../erasure/digests/layout.ts';
import { bodyOf, createHarness, kindOf, noAttributes, OWNER } from './harness.ts';

const md5Of = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const ownMemory = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

test('of bodies side by side are what they are one by one, beyond the number of slots, too', () => {
  const bodies = Array.from({ length: SLOTS + 3 }, (_, index) => randomBytes(300_000 + index * 1_111));
  const under: Digests[] = bodies.map(() =>
    createDigests({ sideBySide: true, sha256Hex: true, algorithm: 'CRC64NVME' }),
  );
  for (let at = 0; at < 400_000; at += 65_536) {
    for (const [index, digests] of under.entries()) {
      digests.update(bodies[index]!.subarray(at, at + 65_536));
    }
  }
  for (const [index, digests] of under.entries()) {
    const one = createDigests({ sha256Hex: true, algorithm: 'CRC64NVME' });
    one.update(bodies[index]!);
    const expected = one.finish();
    expect(expected.md5).toBe(md5Of(bodies[index]!));
    expect(digests.finish()).toEqual(expected);
  }
});

test('bodies that are put at the same time have their MD5 as ETag, and pieces that were given away are freed', async () => {
  const { store } = await createHarness();
  await store.createBucket('bucket', OWNER);
  const given: ArrayBuffer[] = [];
  const put = async (key: string, bytes: Uint8Array): Promise<void> => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 65_536) {
        const piece = ownMemory(bytes.subarray(at, at + 65_536));
        given.push(piece.buffer);
        yield piece;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const body = { bytes: pieces(), isOwned: true };
    const { info } = await store.put({ ...noAttributes, bucket: 'bucket', key, body });
    expect(info.etag).toBe(md5Of(bytes));
  };
  const bodies = Array.from({ length: 9 }, () => randomBytes(20 * 65_536));
  await Promise.all(bodies.map((bytes, index) => put(`key ${index}`, bytes)));
  expect(given.length).toBe(9 * 20);
  expect(given.every(({ byteLength }) => byteLength === 0)).toBe(true);
});

test('bodies that fail give their slots back', async () => {
  const { store } = await createHarness();
  await store.createBucket('bucket', OWNER);
  const bytes = randomBytes(400_000);
  const put = (key: string, length: number, md5: string | undefined): Promise<string> =>
    kindOf(
      store.put({
        ...noAttributes,
        bucket: 'bucket',
        key,
        body: bodyOf(bytes, { length, ...(md5 === undefined ? {} : { contentMd5: md5 }) }),
      }),
    );
  for (let round = 0; round < SLOTS; round++) {
    const kinds = await Promise.all([
      put('short', bytes.length + 1, undefined),
      put('long', bytes.length - 1, undefined),
      put('other', bytes.length, 'AAAA'),
    ]);
    expect(kinds).toEqual(['IncompleteBody', 'IncompleteBody', 'BadDigest']);
  }
  const free = Array.from({ length: SLOTS }, () => startMd5(() => createHash('md5')));
  expect(free.every((md5) => md5 !== undefined)).toBe(true);
  for (const md5 of free) md5?.release();
});
