import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigError } from '../../gateway/config.ts';
import { close, listen, listening, readTls, urlOf } from '../../gateway/listening.ts';

test('an address that is taken is named with its setting', async () => {
  const first = createServer();
  const { port } = await listen(first, { host: '127.0.0.1', port: 0 });
  const address = { host: '127.0.0.1', port };
  try {
    await expect(
      listening('adminListen', address, () => listen(createServer(), address)),
    ).rejects.toMatchObject({
      name: 'ConfigError',
      message: `SHARDWAY_ADMIN_LISTEN (--admin-listen) 127.0.0.1:${port} is in use by another program`,
    });
  } finally {
    await close(first);
  }
});

test('files that are no certificate and key are named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-tls-'));
  const file = join(folder, 'not.pem');
  await writeFile(file, 'hello');
  try {
    const wrong = readTls({ certFile: file, keyFile: file });
    await expect(wrong).rejects.toBeInstanceOf(ConfigError);
    await expect(wrong).rejects.toThrow(file);
    expect(await readTls(undefined)).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.for([
  ['0.0.0.0', 'http://127.0.0.1:9'],
  ['::', 'http://127.0.0.1:9'],
  ['::1', 'http://[::1]:9'],
  ['s3.example.org', 'http://s3.example.org:9'],
] as const)('%s is reached at %s', ([host, url]) => {
  expect(urlOf('http', { host, port: 9 }, { port: 9 } as AddressInfo)).toBe(url);
});
