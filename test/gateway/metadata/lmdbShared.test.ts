/** LMDB as the workers of one gateway use it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockDirectory } from '../../../gateway/metadata/directoryLock.ts';
import { openLmdbStore } from '../../../gateway/metadata/lmdb.ts';
import { bytes, describeKeyValueStore, text } from './keyValueStoreContract.ts';

const SHARER = fileURLToPath(new URL('./lmdbSharer.ts', import.meta.url));
const temporary = (): string => mkdtempSync(join(tmpdir(), 'shardway-lmdb-shared-'));

describeKeyValueStore('shared lmdb', async () => {
  const directory = temporary();
  let store = openLmdbStore({ directory, shared: true });
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await store.close();
      store = openLmdbStore({ directory, shared: true });
    },
    dispose: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});

class Sharer {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown>;
  #heard = Promise.withResolvers<void>();

  constructor(directory: string, name: string, mode: string) {
    const args = ['--conditions=shardway-source', SHARER, directory, name, mode];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ended = once(this.#child, 'close');
    createInterface(this.#child.stdout!).on('line', (line) => {
      this.lines.push(line);
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    });
  }

  /** Waits for so many lines. */
  async heard(count: number): Promise<void> {
    while (this.lines.length < count) await Promise.race([this.#heard.promise, this.ended]);
  }

  say(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

describe('lmdb shared by several processes', () => {
  let directory: string;
  const sharers: Sharer[] = [];
  const start = (name: string, mode: string): Sharer => {
    const sharer = new Sharer(directory, name, mode);
    sharers.push(sharer);
    return sharer;
  };
  beforeEach(() => {
    directory = temporary();
  });
  afterEach(async () => {
    for (const sharer of sharers.splice(0)) await sharer.kill();
    rmSync(directory, { recursive: true });
  });

  test('of racing conditional commits exactly one wins, and no increment is lost', async () => {
    const names = ['one', 'two', 'three', 'four'];
    const racers = names.map((name) => start(name, 'race'));
    await Promise.all(racers.map((racer) => racer.heard(1)));
    const store = openLmdbStore({ directory, shared: true });
    await store.commit(0, { puts: [[bytes('go'), bytes('1')]] });
    await Promise.all(racers.map((racer) => racer.ended));
    const won = racers.map((racer) => JSON.parse(racer.lines[1]!) as number[]);
    expect(won.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, index) => index));
    for (const [racer, indexes] of won.entries()) {
      for (const index of indexes)
        expect(text(await store.get(0, bytes(`claim${index}`)))).toBe(names[racer]);
    }
    expect(text(await store.get(0, bytes('count')))).toBe('400');
    await store.close();
  });

  test('what one process has acknowledged every other sees at once', async () => {
    const follower = start('follower', 'follow');
    await follower.heard(1);
    const store = openLmdbStore({ directory, shared: true });
    for (let round = 0; round < 500; round++) {
      await store.commit(0, { puts: [[bytes(`k${round}`), bytes('1')]] });
      follower.say(`k${round}`);
      // Some answers are waited for, others come while the follower still reads for the ones before.
      if (round % 3 === 0) await follower.heard(round + 2);
    }
    await follower.heard(501);
    expect(new Set(follower.lines.slice(1))).toEqual(new Set(['seen']));
    await store.close();
  });

  test('a writer killed in mid-commit holds up nobody, and what it had acknowledged is there', async () => {
    const survivor = start('survivor', 'write');
    for (let round = 0; round < 4; round++) {
      const victim = start(`victim${round}`, 'write');
      await victim.heard(30 + Math.floor(Math.random() * 100));
      await victim.kill();
      const after = survivor.lines.length;
      await survivor.heard(after + 200);
    }
    await survivor.kill();
    const store = openLmdbStore({ directory });
    const range = { from: bytes('a'), to: bytes('b'), limit: 1_000_000 };
    const first = (await store.scan(0, range)).map(([key]) => text(key)!.slice(1));
    const second = await store.scan(0, { ...range, from: bytes('b'), to: bytes('c') });
    expect(second.map(([key]) => text(key)!.slice(1))).toEqual(first);
    const stored = new Set(first);
    const acknowledged = sharers.flatMap(({ lines }) => lines);
    expect(acknowledged.filter((pair) => !stored.has(pair))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(900);
    await store.close();
  });

  test('a gateway is kept out while a worker of a former one lives', async () => {
    const worker = start('worker', 'follow');
    await worker.heard(1);
    expect(() => openLmdbStore({ directory })).toThrow(expect.objectContaining({ kind: 'Unavailable' }));
    await worker.kill();
    const owner = lockDirectory(directory);
    // The parent has its lock, and workers share the other.
    const again = start('again', 'follow');
    await again.heard(1);
    await again.kill();
    owner.release();
    await openLmdbStore({ directory }).close();
  });
});
