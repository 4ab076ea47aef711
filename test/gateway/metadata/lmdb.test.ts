import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLmdbStore } from '../../../gateway/metadata/lmdb.ts';
import { bytes, describeKeyValueStore, text } from './keyValueStoreContract.ts';

const WRITER = fileURLToPath(new URL('./lmdbWriter.ts', import.meta.url));
const temporary = (): string => mkdtempSync(join(tmpdir(), 'shardway-lmdb-'));

describeKeyValueStore('lmdb', async () => {
  const directory = temporary();
  let store = openLmdbStore({ directory });
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await store.close();
      store = openLmdbStore({ directory });
    },
    dispose: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});

describe('lmdb', () => {
  let directory: string;
  beforeEach(() => {
    directory = temporary();
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('makes its directory, and nobody else may read what is in it', async () => {
    const nested = join(directory, 'a', 'b.c');
    const store = openLmdbStore({ directory: nested });
    await store.close();
    expect(statSync(nested).mode & 0o777).toBe(0o700);
    expect(statSync(join(nested, 'data.mdb')).mode & 0o077).toBe(0);
  });

  test('a second store on the directory is refused with the owner named, and admitted after the first closed', async () => {
    const first = openLmdbStore({ directory });
    expect(() => openLmdbStore({ directory })).toThrow(
      expect.objectContaining({
        kind: 'Unavailable',
        message: expect.stringContaining(`pid ${process.pid}`) as string,
      }),
    );
    expect(await first.commit(0, { puts: [[bytes('a'), bytes('1')]] })).toBe(true);
    await first.close();
    const second = openLmdbStore({ directory });
    expect(text(await second.get(0, bytes('a')))).toBe('1');
    await second.close();
  });

  test('a file that is not LMDB is Corrupt, and the directory is not left locked', () => {
    writeFileSync(join(directory, 'data.mdb'), Buffer.alloc(65_536, 7));
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(() => openLmdbStore({ directory })).toThrow(expect.objectContaining({ kind: 'Corrupt' }));
    }
  });

  test('a path that is a file is Unavailable', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(() => openLmdbStore({ directory: join(directory, 'file') })).toThrow(
      expect.objectContaining({ kind: 'Unavailable' }),
    );
  });

  test('a large commit with thousands of writes is one', async () => {
    const store = openLmdbStore({ directory });
    const puts = Array.from(
      { length: 30_000 },
      (_, index) => [bytes(`k${index}`), bytes('x'.repeat(50))] as const,
    );
    expect(await store.commit(0, { puts })).toBe(true);
    const range = { from: bytes('k'), to: bytes('l'), limit: 100_000 };
    expect(await store.scan(0, range)).toHaveLength(30_000);
    await store.close();
  });
});

interface Writer {
  readonly acknowledged: string[];
  kill(): Promise<void>;
}

/** Another process that commits as fast as it can and prints the number of each commit that resolved. */
async function startWriter(directory: string, round: number): Promise<Writer> {
  const child = spawn(process.execPath, ['--conditions=shardway-source', WRITER, directory, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (output += piece));
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  return {
    get acknowledged() {
      // The last line may be half written.
      return output.split('\n').slice(0, -1);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

describe('lmdb and other processes', () => {
  let directory: string;
  beforeEach(() => {
    directory = temporary();
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('a directory in use by another process is refused; its death frees it', async () => {
    const writer = await startWriter(directory, 0);
    try {
      expect(() => openLmdbStore({ directory })).toThrow(expect.objectContaining({ kind: 'Unavailable' }));
    } finally {
      await writer.kill();
    }
    await openLmdbStore({ directory }).close();
  });

  test('every commit acknowledged before kill -9 is there, and none is there in part', async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 5; round++) {
      const writer = await startWriter(directory, round);
      const enough = 20 + Math.floor(Math.random() * 400);
      while (writer.acknowledged.length < enough) await new Promise((wake) => setImmediate(wake));
      await writer.kill();
      acknowledged.push(...writer.acknowledged);
      const store = openLmdbStore({ directory });
      for (const name of acknowledged) {
        expect(text(await store.get(0, bytes(`a${name}`)))).toBe(name);
      }
      const range = { from: bytes('a'), to: bytes('b'), limit: 1_000_000 };
      const first = (await store.scan(0, range)).map(([key]) => text(key)?.slice(1));
      const second = (await store.scan(0, { ...range, from: bytes('b'), to: bytes('c') })).map(([key]) =>
        text(key)?.slice(1),
      );
      expect(second).toEqual(first);
      await store.close();
    }
    expect(acknowledged.length).toBeGreaterThan(100);
  });
});

/** A filesystem of 2 MiB; only root in a user namespace may mount one. */
const onSmallDisk = (...command: string[]): string[] => [
  '-rm',
  'sh',
  '-c',
  'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"',
  ...command,
];

async function run(command: string, args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (output += piece));
  try {
    const [code] = (await once(child, 'close')) as [number];
    return { code, output };
  } catch {
    return { code: -1, output };
  }
}

test('a full disk rejects with Full, loses nothing, keeps serving reads and recovers', async ({ skip }) => {
  const directory = temporary();
  mkdirSync(join(directory, 'disk'));
  const disk = join(directory, 'disk');
  try {
    if ((await run('unshare', onSmallDisk(disk, 'true'))).code !== 0) return skip('cannot mount here');
    const filler = [process.execPath, '--conditions=shardway-source', WRITER, join(disk, 'metadata'), 'fill'];
    const { output } = await run('unshare', onSmallDisk(disk, ...filler));
    expect(JSON.parse(output)).toEqual({
      error: 'Full',
      lost: 0,
      partial: false,
      readsWhileFull: true,
      smallWriteAfterDeletes: true,
      lostAfterReopen: 0,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
