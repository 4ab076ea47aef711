import { expect, test } from 'vitest';
import { bodyOf, createHarness, noAttributes, OWNER, putText, recordedChunks } from './harness.ts';

test.each([1, 4])('a chunk names the bucket it was written to, %i partitions', async (partitions) => {
  const { store, engine, kv, clock } = await createHarness({ partitions });
  for (const bucket of ['first', 'second']) await store.createBucket(bucket, OWNER);
  await putText(store, 'first', 'k', 'a');
  const [plain] = await recordedChunks(kv);
  expect(await engine.bucketOf(plain!)).toBe('first');

  const upload = { ...noAttributes, bucket: 'second', key: 'k', initiator: OWNER };
  const { uploadId } = await store.createUpload(upload);
  await store.putPart({ bucket: 'second', key: 'k', uploadId, partNumber: 1, body: bodyOf('b') });
  const part = (await recordedChunks(kv)).find((id) => id !== plain);
  expect(await engine.bucketOf(part!)).toBe('second');

  expect(await engine.bucketOf(`${plain!.slice(0, -4)}ffff`)).toBeUndefined();
  // Names are kept for a while; a bucket that is new since then is found after it.
  await store.createBucket('third', OWNER);
  await putText(store, 'third', 'k', 'c');
  clock.time += 60_000;
  const buckets = await Promise.all((await recordedChunks(kv)).map((id) => engine.bucketOf(id)));
  expect(new Set(buckets)).toEqual(new Set(['first', 'second', 'third']));
});
