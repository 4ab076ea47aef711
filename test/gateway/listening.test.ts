import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openAccount } from '../../gateway/account.ts';
import type { Account } from '../../gateway/account.ts';
import { ConfigError, readConfig } from '../../gateway/config.ts';
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

test('a first start that cannot serve makes no key, so that the one that can shows it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-first-'));
  const taken = createServer();
  const { port } = await listen(taken, { host: '127.0.0.1', port: 0 });
  const start = async (listen: string, adminListen: string): Promise<Account> =>
    await openAccount(
      readConfig({}, { SHARDWAY_DATA: folder, SHARDWAY_LISTEN: listen, SHARDWAY_ADMIN_LISTEN: adminListen }),
    );
  const [free, used] = ['127.0.0.1:0', `127.0.0.1:${port}`] as const;
  try {
    await expect(start(used, free)).rejects.toThrow(/^SHARDWAY_LISTEN .* is in use by another program$/);
    await expect(start(free, used)).rejects.toThrow(/^SHARDWAY_ADMIN_LISTEN .* in use by another program$/);
    expect(await readdir(folder)).toEqual([]);
    expect((await start(free, free)).isNew).toBe(true);
    expect((await start(used, free)).isNew).toBe(false);
  } finally {
    await close(taken);
    await rm(folder, { recursive: true });
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
