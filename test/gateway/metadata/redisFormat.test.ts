import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openKeyValueStore } from '../../../gateway/metadata/open.ts';
import { openRedisStore } from '../../../gateway/metadata/redis.ts';
import type { KeyValueStore } from '../../../gateway/metadata/types.ts';
import { absent, makeCertificate } from '../../support/programs.ts';
import { DOCUMENTED_RIGHTS, freePort, startRedis } from '../../support/redis.ts';
import type { RedisServer } from '../../support/redis.ts';
import { bytes, text } from './keyValueStoreContract.ts';

describe.skipIf(absent('redis-server'))('redis and what it finds there', () => {
  let server: RedisServer;
  const opened: KeyValueStore[] = [];
  const open = async (options = '', path = ''): Promise<KeyValueStore> => {
    const store = await openRedisStore(`${server.url}${path}?${options}`, { patienceMs: 2_000 });
    opened.push(store);
    return store;
  };
  beforeAll(async () => {
    server = await startRedis();
  });
  beforeEach(() => server.command('flushall'));
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(async (store) => await store.close()));
  });
  afterAll(() => server.stop());

  test('the number of partitions is fixed at first use', async () => {
    expect((await open('partitions=3')).partitions).toBe(3);
    expect((await open()).partitions).toBe(3);
    await expect(open('partitions=4')).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('has 3 partitions') as string,
    });
  });

  test('several gateways that start at once agree', async () => {
    const stores = await Promise.all([4, 4, 4, 4].map(async (n) => await open(`partitions=${n}`)));
    await stores[0]!.commit(3, { puts: [[bytes('a'), bytes('1')]] });
    for (const store of stores) expect(text(await store.get(3, bytes('a')))).toBe('1');
  });

  test('stores of other prefixes and databases, and partitions, share nothing', async () => {
    const stores = [await open('prefix=a'), await open('prefix=b'), await open('prefix=a', '/1')];
    for (const [i, store] of stores.entries()) {
      expect(await store.get(0, bytes('k'))).toBeUndefined();
      await store.commit(0, { puts: [[bytes('k'), bytes(String(i))]] });
    }
    for (const [i, store] of stores.entries()) expect(text(await store.get(0, bytes('k')))).toBe(String(i));
    const parted = await open('prefix=c&partitions=2');
    await parted.commit(0, { puts: [[bytes('k'), bytes('0')]] });
    expect(await parted.get(1, bytes('k'))).toBeUndefined();
  });

  test.each([
    [['set', '{shardway:0}v', 'x'], 'that Shardway did not write'],
    [['hset', '{shardway:0}v', 'x', 'y'], 'that Shardway did not write'],
    [['zadd', '{shardway:0}i', '0', 'x'], 'that Shardway did not write'],
    [['hset', '{shardway:0}v', '', 'shardway 2 whatever comes'], 'written by a newer gateway'],
    [['hset', '{shardway:0}v', '', 'shardway 1 0 x'], 'damaged marker'],
  ])('%j is refused and left alone', async (command, reason) => {
    const [name, ...args] = command as [string, ...string[]];
    await server.command(name, ...args);
    await expect(open()).rejects.toMatchObject({
      kind: 'Corrupt',
      message: expect.stringContaining(reason) as string,
    });
    expect(await server.command('dbsize')).toBe(1);
  });

  test('a partition that has gone, or is another store’s, is noticed at the start', async () => {
    await (await open('partitions=3')).commit(0, { puts: [[bytes('a'), bytes('1')]] });
    await server.command('del', '{shardway:2}v');
    await expect(open()).rejects.toMatchObject({
      kind: 'Corrupt',
      message: expect.stringContaining(
        'partition 2 of the metadata under the prefix shardway is gone',
      ) as string,
    });
    await server.command('hset', '{shardway:2}v', '', 'shardway 1 3 00000000-0000-0000-0000-000000000000');
    await expect(open()).rejects.toMatchObject({
      message: expect.stringContaining('does not belong') as string,
    });
  });

  test('a first use that was cut short is finished by the next', async () => {
    await open('partitions=3');
    await server.command('del', '{shardway:0}ready', '{shardway:2}v');
    const store = await open();
    expect(await store.commit(2, { puts: [[bytes('a'), bytes('1')]] })).toBe(true);
  });

  test('a user with no more rights than documented is enough', async () => {
    await server.command('acl', 'setuser', 'gateway', 'on', '>s3cret', '~{shardway:*', ...DOCUMENTED_RIGHTS);
    const store = await openKeyValueStore(`redis://gateway@127.0.0.1:${server.port}`, '', {
      password: 's3cret',
    });
    opened.push(store);
    expect(await store.commit(0, { puts: [[bytes('a'), bytes('1')]], deletes: [bytes('b')] })).toBe(true);
    expect(await store.scan(0, { from: bytes('a'), to: bytes('b'), limit: 9, reverse: true })).toHaveLength(
      1,
    );
    expect(store.durability?.()).toMatchObject({ state: 'strong' });
  });
});

describe.skipIf(absent('redis-server', 'openssl'))('redis over TLS', () => {
  test('with its authority; not without', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shardway-redis-tls-'));
    const { cert, key } = makeCertificate(folder);
    const tlsPort = await freePort();
    let server: RedisServer | undefined;
    try {
      server = await startRedis({
        'tls-port': String(tlsPort),
        'tls-cert-file': cert,
        'tls-key-file': key,
        'tls-ca-cert-file': cert,
        'tls-auth-clients': 'no',
      });
      const store = await openRedisStore(`rediss://127.0.0.1:${tlsPort}?ca=${encodeURIComponent(cert)}`);
      expect(await store.commit(0, { puts: [[bytes('a'), bytes('1')]] })).toBe(true);
      await store.close();
      await expect(openRedisStore(`rediss://127.0.0.1:${tlsPort}`)).rejects.toMatchObject({
        kind: 'Unavailable',
        message: expect.stringContaining('self-signed certificate') as string,
      });
      await expect(openRedisStore(`rediss://127.0.0.1:${tlsPort}?ca=/nowhere`)).rejects.toMatchObject({
        message: expect.stringContaining('in /nowhere cannot be read (ENOENT)') as string,
      });
    } finally {
      await server?.stop();
      rmSync(folder, { recursive: true });
    }
  });
});
