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
  const start = async (
    listen: string,
    adminListen: string,
    networkListen = 'off',
    metadata = 'lmdb',
  ): Promise<Account> =>
    await openAccount(
      readConfig(
        {},
        {
          SHARDWAY_DATA: folder,
          SHARDWAY_LISTEN: listen,
          SHARDWAY_ADMIN_LISTEN: adminListen,
          SHARDWAY_NETWORK_LISTEN: networkListen,
          SHARDWAY_METADATA: metadata,
        },
      ),
    );
  const [free, used] = ['127.0.0.1:0', `127.0.0.1:${port}`] as const;
  try {
    await expect(start(used, free)).rejects.toThrow(/^SHARDWAY_LISTEN .* is in use by another program$/);
    await expect(start(free, used)).rejects.toThrow(/^SHARDWAY_ADMIN_LISTEN .* in use by another program$/);
    await expect(start(free, free, used)).rejects.toThrow(/^SHARDWAY_NETWORK_LISTEN .* in use by another/);
    await close(taken);
    await expect(start(used, used)).rejects.toThrow(/^SHARDWAY_ADMIN_LISTEN .* in use by another program$/);
    await listen(taken, { host: '127.0.0.1', port });
    expect(await readdir(folder)).toEqual([]);
    // Of several gateways over a store, one listens for the network.
    expect((await start(free, free, used, 'redis://127.0.0.1:1')).isNew).toBe(true);
    expect((await start(used, free)).isNew).toBe(false);
    await rm(join(folder, 'root-credentials.json'));
    await expect(start(used, free)).rejects.toThrow(/^SHARDWAY_LISTEN /);
    expect((await start(free, free)).isNew).toBe(true);
  } finally {
    await close(taken);
    await rm(folder, { recursive: true });
  }
});

test('a gateway that joins others makes no account and no key of its own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-joining-'));
  const listens = { listen: '127.0.0.1:0', adminListen: '127.0.0.1:0', networkListen: 'off' };
  const config = readConfig({ ...listens, data: folder, metadata: 'redis://127.0.0.1:1' }, {});
  try {
    await expect(openAccount(config, true)).rejects.toThrow(
      /account\.json is missing, .* copy account\.json/,
    );
    expect(await readdir(folder)).toEqual([]);
    await openAccount(config);
    await rm(join(folder, 'root-credentials.json'));
    await expect(openAccount(config, true)).rejects.toThrow(/root-credentials\.json is missing, and other/);
    expect(await readdir(folder)).toEqual(['account.json']);
    const root = { rootAccessKey: 'AKIAEXAMPLE', rootSecretKey: 'a-secret-that-is-long-enough' };
    const given = readConfig(
      { ...listens, data: folder, metadata: 'redis://127.0.0.1:1' },
      { SHARDWAY_ROOT_ACCESS_KEY: root.rootAccessKey, SHARDWAY_ROOT_SECRET_KEY: root.rootSecretKey },
    );
    expect((await openAccount(given, true)).root.accessKey).toBe(root.rootAccessKey);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('of two first starts at a time, one makes the account and both have it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-first-'));
  const free = { listen: '127.0.0.1:0', adminListen: '127.0.0.1:0', networkListen: 'off' };
  const config = readConfig({ ...free, data: folder }, {});
  try {
    const accounts = await Promise.all([1, 2, 3].map(async () => await openAccount(config)));
    const stored = await openAccount(config);
    for (const account of accounts) expect({ ...account, isNew: false }).toEqual(stored);
    expect(accounts.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect((await readdir(folder)).toSorted()).toEqual(['account.json', 'root-credentials.json']);
  } finally {
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
