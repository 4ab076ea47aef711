import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openKeyValueStore } from '../../../gateway/metadata/open.ts';
import { bytes, text } from './keyValueStoreContract.ts';

test('lmdb lives in the data directory, memory leaves nothing there', async () => {
  const data = mkdtempSync(join(tmpdir(), 'shardway-open-'));
  try {
    for (const [spec, kept] of [
      ['memory', false],
      ['lmdb', true],
    ] as const) {
      const store = await openKeyValueStore(spec, data);
      await store.commit(0, { puts: [[bytes('a'), bytes(spec)]] });
      expect(text(await store.get(0, bytes('a')))).toBe(spec);
      await store.close();
      expect(existsSync(join(data, 'metadata'))).toBe(kept);
    }
  } finally {
    rmSync(data, { recursive: true });
  }
});

test('unknown stores are refused in clear words, without repeating a password', async () => {
  await expect(openKeyValueStore('postgres://u:secret@h', '/nowhere')).rejects.toMatchObject({
    name: 'MetadataError',
    message: expect.stringMatching(/^unknown metadata store; use lmdb, memory, redis:[^@]*$/) as string,
  });
});
