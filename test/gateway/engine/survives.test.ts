/** What the answer to a write says of the failure domains that may be lost. */
import { PlacementError } from '#placement';
import type { DomainLevel } from '#placement';
import { expect, test } from 'vitest';
import type { PartInfo } from '../../../gateway/engine/types.ts';
import { bodyOf, createHarness, noAttributes, OWNER, putText, readText } from './harness.ts';
import type { Harness } from './harness.ts';

const TARGET = { bucket: 'b', key: 'k' };

async function withBucket(): Promise<Harness> {
  const harness = await createHarness({});
  await harness.store.createBucket('b', OWNER);
  return harness;
}

async function upload(
  { store, chunks }: Harness,
  levels: readonly (readonly DomainLevel[] | 'copied')[],
): Promise<readonly DomainLevel[] | undefined> {
  const { uploadId } = await store.createUpload({ ...TARGET, ...noAttributes, initiator: OWNER });
  const parts: PartInfo[] = [];
  for (const [index, survives] of levels.entries()) {
    const part = { ...TARGET, uploadId, partNumber: index + 1 };
    if (survives === 'copied') {
      parts.push(await store.copyPart({ ...part, source: { bucket: 'b', key: 'source' } }));
      continue;
    }
    chunks.survives = survives;
    parts.push(await store.putPart({ ...part, body: bodyOf('some text in a part') }));
  }
  const chosen = parts.map(({ number, etag }) => ({ number, etag }));
  const request = { ...TARGET, uploadId, parts: chosen };
  const { survives } = await store.completeUpload(request);
  expect((await store.completeUpload(request)).survives).toEqual(survives);
  return survives;
}

test('a body survives what all of its chunks do; one without chunks survives anything', async () => {
  const harness = await withBucket();
  const { store, chunks } = harness;
  const all = ['region', 'site', 'operator'];
  expect((await putText(store, 'b', 'empty', '')).survives).toEqual(all);
  chunks.survives = ['site'];
  expect((await putText(store, 'b', 'one', 'text')).survives).toEqual(['site']);
});

test('an upload survives what all of its parts do, and a retried Complete says the same', async () => {
  const harness = await withBucket();
  expect(
    await upload(harness, [
      ['region', 'site', 'operator'],
      ['operator', 'site'],
    ]),
  ).toEqual(['site', 'operator']);
  expect(await upload(harness, [['site'], ['operator']])).toEqual([]);
});

test('nothing is said of chunks that are taken over from another object', async () => {
  const harness = await withBucket();
  const { store } = harness;
  await putText(store, 'b', 'source', 'some text to copy');
  const copy = await store.copy({ ...TARGET, source: { bucket: 'b', key: 'source' } });
  expect(copy.survives).toBeUndefined();
  expect(await upload(harness, [['site'], 'copied'])).toBeUndefined();
});

test('a rule that cannot be kept is an error of its own, and the object stays as it was', async () => {
  const { store, chunks } = await withBucket();
  await putText(store, 'b', 'k', 'before');
  chunks.failFinish = new PlacementError('DomainRule', 'Objects have to survive the loss of any one site');
  await expect(putText(store, 'b', 'k', 'after')).rejects.toMatchObject({
    kind: 'DomainRule',
    retryable: true,
    message: 'Objects have to survive the loss of any one site',
  });
  expect(await readText(store, 'b', 'k')).toBe('before');
});
