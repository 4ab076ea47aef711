import { copyFile, mkdir, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHasher, LEAF_BYTES } from '#erasure';
import { LocalDirectory, TransportError, type ShardName } from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { filesIn, newLocalDirectory, scratch, SOME_PROVIDER } from './directories.ts';
import { cellsOf, newChunkId, sampleBytes, sealOf, wholeOf } from './shards.ts';
import { shardTransportContract } from './shardTransportContract.ts';

shardTransportContract('a local directory', async () => {
  const { path, remove } = await scratch();
  const transport = await newLocalDirectory(path);
  return {
    transport,
    dispose: async () => {
      await transport.close();
      await remove();
    },
  };
});

let root: string;
let remove: () => Promise<void>;
let directory: LocalDirectory;

beforeEach(async () => {
  ({ path: root, remove } = await scratch());
  directory = await newLocalDirectory(root);
});
afterEach(async () => {
  await directory.close();
  await remove();
});

function pathOf({ chunk, index }: ShardName): string {
  return join(root, 'shards', chunk.slice(0, 2), `${chunk}.${index}`);
}

async function stored(bytes: Uint8Array): Promise<ShardName> {
  const name = { chunk: newChunkId(), index: 1 };
  await directory.put(name, wholeOf(bytes));
  return name;
}

async function failure(work: Promise<unknown>): Promise<TransportError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TransportError);
  return error as TransportError;
}

describe('damaged files', () => {
  const bytes = sampleBytes(3 * LEAF_BYTES + 7);

  test.each([0, 1, 47, 48, 100, LEAF_BYTES, 3 * LEAF_BYTES + 7 + 4 * 32 + 47])(
    'a file cut to %i bytes is Corrupt',
    async (size) => {
      const name = await stored(bytes);
      await truncate(pathOf(name), size);
      expect((await failure(directory.get(name, 0, 1))).kind).toBe('Corrupt');
      expect((await failure(directory.prove(name, 0))).kind).toBe('Corrupt');
      expect((await directory.list(undefined, 10)).map(({ chunk }) => chunk)).toEqual([name.chunk]);
    },
  );

  test.each([1, 48, LEAF_BYTES + 32])('a file with %i bytes more is Corrupt', async (more) => {
    const name = await stored(bytes);
    await writeFile(pathOf(name), new Uint8Array(more), { flag: 'a' });
    expect((await failure(directory.get(name, 0, 4))).kind).toBe('Corrupt');
  });

  test('a file with wrong leaf hashes is Corrupt, but its bytes can be had', async () => {
    const name = await stored(bytes);
    const content = await readFile(pathOf(name));
    content.fill(0, content.length - 100, content.length - 48);
    await writeFile(pathOf(name), content);
    for (const count of [1, 4]) expect((await failure(directory.get(name, 0, count))).kind).toBe('Corrupt');
    const slice = await directory.get(name, 0, 4, undefined, bytes.length);
    expect(Buffer.compare(slice.bytes, bytes)).toBe(0);
  });

  test('a file of the right size without a trailer is Corrupt', async () => {
    const name = await stored(bytes);
    const size = (await readFile(pathOf(name))).length;
    await writeFile(pathOf(name), new Uint8Array(size));
    expect((await failure(directory.get(name, 0, 4))).kind).toBe('Corrupt');
  });

  test('wrong bytes and another shard of the same length do not verify', async () => {
    const hasher = createHasher();
    const name = await stored(bytes);
    const { root: shardRoot } = sealOf(bytes);
    const content = await readFile(pathOf(name));
    content[LEAF_BYTES]! ^= 1;
    await writeFile(pathOf(name), content);
    const whole = await directory.get(name, 0, 4);
    expect(hasher.verify(shardRoot, bytes.length, 0, whole.bytes, whole.proof)).toBe(false);
    const untouched = await directory.get(name, 0, 1);
    expect(hasher.verify(shardRoot, bytes.length, 0, untouched.bytes, untouched.proof)).toBe(true);

    const other = await stored(sampleBytes(bytes.length, 9));
    await copyFile(pathOf(other), pathOf(name));
    const swapped = await directory.get(name, 0, 4);
    expect(hasher.verify(shardRoot, bytes.length, 0, swapped.bytes, swapped.proof)).toBe(false);
  });

  test('the same shard put again replaces a torn or rotten file', async () => {
    for (const damage of [
      (path: string) => truncate(path, 1000),
      async (path: string) => writeFile(path, (await readFile(path)).fill(1, 0, 5)),
    ]) {
      const name = await stored(bytes);
      await damage(pathOf(name));
      await directory.put(name, cellsOf(bytes));
      expect(Buffer.compare((await directory.get(name, 0, 4)).bytes, bytes)).toBe(0);
    }
  });
});

describe('a directory that goes away', () => {
  test('fails Unavailable until it is revived under its identity', async () => {
    const name = await stored(sampleBytes(100));
    await rm(root, { recursive: true });
    expect((await failure(directory.get(name, 0, 1))).kind).toBe('Unavailable');
    expect((await failure(directory.put(name, cellsOf(sampleBytes(100))))).kind).toBe('Unavailable');
    expect((await failure(directory.delete(name))).kind).toBe('Unavailable');
    expect((await failure(directory.list(undefined, 10))).kind).toBe('Unavailable');
    expect((await failure(directory.space())).kind).toBe('Unavailable');

    expect(await directory.revive()).toBe(true);
    expect(JSON.parse(await readFile(join(root, 'provider.json'), 'utf8'))).toMatchObject({
      id: SOME_PROVIDER,
    });
    expect((await failure(directory.get(name, 0, 1))).kind).toBe('NotFound');
    await directory.put(name, cellsOf(sampleBytes(100)));
    expect((await directory.get(name, 0, 1)).bytes).toHaveLength(100);
  });

  test('an empty directory in its place, like a disk that is not mounted, takes nothing', async () => {
    const name = await stored(sampleBytes(100));
    await rm(root, { recursive: true });
    await mkdir(root);
    expect((await failure(directory.put(name, cellsOf(sampleBytes(100))))).kind).toBe('Unavailable');
    expect((await failure(directory.get(name, 0, 1))).kind).toBe('Unavailable');
    expect(await readdir(root)).toEqual([]);
  });

  test('a lost marker is made again and the shards stay', async () => {
    const name = await stored(sampleBytes(100));
    await rm(join(root, 'provider.json'));
    expect((await failure(directory.space())).kind).toBe('Unavailable');
    expect(await directory.revive()).toBe(false);
    expect((await directory.get(name, 0, 1)).bytes).toHaveLength(100);
  });

  test('is not revived over files of others or another provider', async () => {
    await rm(root, { recursive: true });
    await mkdir(root);
    await writeFile(join(root, 'thesis.tex'), 'mine');
    expect((await failure(directory.revive())).kind).toBe('Unavailable');
    await rm(join(root, 'thesis.tex'));
    const other = await newLocalDirectory(root, 'f'.repeat(32));
    expect((await failure(directory.revive())).kind).toBe('Unavailable');
    await other.close();
  });
});

describe('what is left on the disk', () => {
  test('no temporary file after success, failure and conflict', async () => {
    const name = await stored(sampleBytes(100));
    await failure(directory.put(name, cellsOf(sampleBytes(101))));
    await failure(directory.put(name, wholeOf(sampleBytes(101))));
    const wrong = { bytes: sampleBytes(100), seal: sealOf(sampleBytes(99)) };
    const source = { ...wholeOf(sampleBytes(100)), whole: wrong };
    await failure(directory.put({ chunk: newChunkId(), index: 0 }, source));
    const aborted = new AbortController();
    const put = directory.put({ chunk: newChunkId(), index: 0 }, wholeOf(sampleBytes(100)), aborted.signal);
    aborted.abort();
    expect((await failure(put)).kind).toBe('Aborted');
    await failure(
      directory.put(
        { chunk: newChunkId(), index: 0 },
        { ...cellsOf(sampleBytes(100)), seal: () => sealOf(sampleBytes(99)) },
      ),
    );
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
    expect(await filesIn(root)).toHaveLength(2);
  });

  test('a put whose folder has gone leaves nothing, and the next one makes it anew', async () => {
    const { chunk } = await stored(sampleBytes(100));
    await rm(join(root, 'shards', chunk.slice(0, 2)), { recursive: true });
    const put = (): Promise<void> => directory.put({ chunk, index: 0 }, cellsOf(sampleBytes(100)));
    expect((await failure(put())).kind).toBe('Unavailable');
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
    await put();
    expect((await directory.list(undefined, 10)).map(({ index }) => index)).toEqual([0]);
  });

  test('leftovers of dead processes are cleared on opening, those of live ones only when they are old', async () => {
    const name = (text: string): string => join(root, 'tmp', text);
    await writeFile(name(`${process.pid}.000000000000.1`), 'an earlier life of this process');
    await writeFile(name('4194999.000000000000.1'), 'no process has this number');
    await writeFile(name(`${process.ppid}.000000000000.1`), 'a live one');
    await writeFile(name(`${process.ppid}.000000000000.2`), 'a live one, long ago');
    await utimes(name(`${process.ppid}.000000000000.2`), 1, 1);
    await writeFile(name('whatever'), '');
    await LocalDirectory.prepare(root);
    expect(await readdir(join(root, 'tmp'))).toEqual([`${process.ppid}.000000000000.1`]);
  });

  test('descriptors are closed again, whatever happened', async () => {
    const open = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const long = await stored(sampleBytes(600_000));
    const folder = long.chunk.slice(0, 2);
    const fresh = (): ShardName => ({ chunk: newChunkId(folder), index: 0 });
    const before = await open();
    for (let round = 0; round < 20; round++) {
      const name = fresh();
      await directory.put(name, wholeOf(sampleBytes(100)));
      await failure(directory.put(name, cellsOf(sampleBytes(101))));
      await failure(directory.put(fresh(), cellsOf(sampleBytes(100)), AbortSignal.abort()));
      await failure(directory.get(fresh(), 0, 1));
      await failure(directory.get(name, 1, 1));
      await truncate(pathOf(name), 10);
      await failure(directory.get(name, 0, 1));
      await Promise.all([0, 1, 2].map((first) => directory.get(long, first * 16, 4)));
      await directory.prove(long, 3);
    }
    await directory.delete(long);
    expect(await open()).toBeLessThanOrEqual(before);
  });
});
