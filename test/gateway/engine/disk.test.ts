/** The engine over what a gateway runs on: LMDB, and six directories of erasure-coded shards. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createChunkStore, defaultProviderList, openProviders, systemClock, systemRandom } from '#placement';
import { createCatalog } from '../../../gateway/engine/catalog.ts';
import { openKeyring } from '../../../gateway/engine/keyring.ts';
import { openObjectStore } from '../../../gateway/engine/store.ts';
import type { Engine } from '../../../gateway/engine/store.ts';
import { openKeyValueStore } from '../../../gateway/metadata/open.ts';
import { bodyOf, noAttributes, OWNER, putText, readAll, readText } from './harness.ts';

const root = await mkdtemp(join(tmpdir(), 'engine-'));
afterAll(() => rm(root, { recursive: true, force: true }));

interface Gateway {
  readonly engine: Engine;
  /** Why chunks were queued for repair. */
  readonly reported: readonly string[];
  close(): Promise<void>;
}

async function start(
  known: Parameters<typeof openProviders>[0]['known'] = [],
): Promise<Gateway & { known: typeof known }> {
  const entries = defaultProviderList(join(root, 'providers'), 6);
  const providers = await openProviders({ entries, known, clock: systemClock });
  const kv = await openKeyValueStore('lmdb', root);
  const catalog = createCatalog(kv);
  const reported: string[] = [];
  const chunks = createChunkStore({
    providers,
    clock: systemClock,
    random: systemRandom,
    catalog: {
      enqueueRepair: async (id, reason) => {
        reported.push(reason);
        await catalog.enqueueRepair(id, reason);
      },
    },
  });
  const keyring = await openKeyring(root);
  const engine = await openObjectStore({
    kv,
    chunks,
    keyring,
    clock: systemClock,
    random: systemRandom,
    region: 'us-east-1',
    profile: { data: 4, parity: 2 },
    options: { chunkBytes: 2_000_000, partBytesMin: 10 },
  });
  return {
    engine,
    reported,
    known: providers.identities(),
    close: async () => {
      await engine.close();
      await chunks.close();
      await providers.close();
      await kv.close();
    },
  };
}

async function shardPaths(): Promise<string[]> {
  const names = await readdir(join(root, 'providers'), { recursive: true });
  return names.filter((name) => /[0-9a-f]{32}\.\d+$/.test(name)).map((name) => join(root, 'providers', name));
}

const shardFiles = async (): Promise<number> => (await shardPaths()).length;

test('objects survive a restart, and what is deleted frees its shards', async () => {
  let gateway = await start();
  let { store } = gateway.engine;
  await store.createBucket('b', OWNER);
  const large = randomBytes(5_000_000);
  await putText(store, 'b', 'large', large);
  await putText(store, 'b', 'small', 'hello');
  await putText(store, 'b', 'empty', '');
  await Promise.all(Array.from({ length: 40 }, (_, i) => putText(store, 'b', `many/${i}`, `text ${i}`)));
  const { uploadId } = await store.createUpload({
    ...noAttributes,
    bucket: 'b',
    key: 'parts',
    initiator: OWNER,
  });
  const ref = { bucket: 'b', key: 'parts', uploadId };
  const one = await store.putPart({ ...ref, partNumber: 1, body: bodyOf(large.subarray(0, 1_000_001)) });
  const two = await store.copyPart({
    ...ref,
    partNumber: 2,
    source: { bucket: 'b', key: 'large' },
    range: { start: 1_000_001, end: large.length },
  });
  await store.completeUpload({ ...ref, parts: [one, two].map(({ number, etag }) => ({ number, etag })) });

  const { known } = gateway;
  await gateway.close();
  gateway = await start(known);
  ({ store } = gateway.engine);
  expect((await readAll(store, { bucket: 'b', key: 'parts' })).equals(large)).toBe(true);
  const range = await readAll(store, { bucket: 'b', key: 'large' }, 1_999_990, 4_000_010);
  expect(range.equals(large.subarray(1_999_990, 4_000_010))).toBe(true);
  expect(await readText(store, 'b', 'many/7')).toBe('text 7');
  expect(await readText(store, 'b', 'empty')).toBe('');
  const { problems, versions } = await gateway.engine.check();
  expect([versions, problems]).toEqual([44, []]);

  for (const { key } of (await store.list({ bucket: 'b', prefix: '', delimiter: '', after: '', limit: 1000 }))
    .objects) {
    if (key !== 'parts') await store.delete({ bucket: 'b', key });
  }
  await gateway.engine.reclaim.runOnce();
  expect((await readAll(store, { bucket: 'b', key: 'parts' })).equals(large)).toBe(true);
  // One chunk of the first part; three of the large object, whose tail is the second part.
  expect(await shardFiles()).toBe(4 * 6);
  await store.delete({ bucket: 'b', key: 'parts' });
  await gateway.engine.reclaim.runOnce();
  expect(await shardFiles()).toBe(0);
  await gateway.close();
});

async function flipBit(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test('wrong bytes that leaves were not hashed for are found by decryption, decoded around and reported', async () => {
  const gateway = await start();
  const { store } = gateway.engine;
  await store.createBucket('wrong', OWNER);
  const large = randomBytes(5_000_000);
  await putText(store, 'wrong', 'large', large);
  const read = async (from: number, to: number): Promise<void> => {
    const bytes = await readAll(store, { bucket: 'wrong', key: 'large' }, from, to);
    expect(bytes.equals(large.subarray(from, to))).toBe(true);
  };
  await read(0, large.length);
  expect(gateway.reported).toEqual([]);
  // Two shards of every chunk, beyond the first part of it where there is more.
  const damage = async (path: string): Promise<void> =>
    flipBit(path, (await stat(path)).size > 460_000 ? 450_000 : 150_000);
  for (const path of await shardPaths()) if (/\.[13]$/.test(path)) await damage(path);
  await read(0, large.length);
  const chunks = new Set(
    await shardPaths().then((paths) => paths.map((path) => path.split('/').at(-1)!.split('.')[0])),
  );
  expect(chunks.size).toBe(3);
  expect(gateway.reported).toEqual(
    Array.from(chunks, () => expect.stringMatching(/^shard [13]: WrongBytes$/)),
  );
  await read(1_000_000, 4_999_999);
  for (const path of await shardPaths()) if (path.endsWith('.2')) await damage(path);
  await expect(read(0, large.length)).rejects.toThrow(/3 verify/);
  await gateway.close();
});
