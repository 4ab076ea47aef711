import { expect, test } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectGarbage, ownMemory } from '../../../gateway/http/memory.ts';
import { openLmdbStore } from '../../../gateway/metadata/lmdb.ts';

const MIB = 2 ** 20;

test.skipIf(process.platform !== 'linux')(
  'of the metadata store’s mapped pages only some are a process’s own memory',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'shardway-memory-'));
    const kv = openLmdbStore({ directory });
    const keys = Array.from({ length: 2_000 }, (_, n) => Buffer.from(`key ${n}`));
    for (let at = 0; at < keys.length; at += 50) {
      await kv.commit(0, { puts: keys.slice(at, at + 50).map((key) => [key, Buffer.alloc(100_000, 7)]) });
    }
    for (const key of keys) await kv.get(0, key);
    // 200 MB of the store's file are resident, and 60 of the program's.
    expect(ownMemory()).toBeLessThan(process.memoryUsage.rss() - 100 * MIB);
    expect(ownMemory()).toBeGreaterThan(process.memoryUsage().heapUsed);
    await kv.close();
    await rm(directory, { recursive: true });
  },
);

test('garbage is collected when it is asked for', async () => {
  let memory: WebAssembly.Memory | undefined = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const reference = new WeakRef(memory);
  memory = undefined;
  await new Promise((resolve) => setImmediate(resolve));
  await collectGarbage();
  expect(reference.deref()).toBeUndefined();
});
