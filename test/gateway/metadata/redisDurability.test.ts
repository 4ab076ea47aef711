import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { durabilityOf } from '../../../gateway/metadata/durability.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import { openRedisStore } from '../../../gateway/metadata/redis.ts';
import type { RedisStoreOptions } from '../../../gateway/metadata/redis.ts';
import { weaknesses } from '../../../gateway/metadata/redisServer.ts';
import type { KeyValueStore, StoreDurability } from '../../../gateway/metadata/types.ts';
import { absent } from '../../support/programs.ts';
import { startRedis, until } from '../../support/redis.ts';
import type { RedisServer, RedisSettings } from '../../support/redis.ts';
import { bytes, text } from './keyValueStoreContract.ts';

const RANGE = { from: bytes('a'), to: bytes('b'), limit: 10 };
const STRONG = {
  server: 'h:1',
  appendonly: 'yes',
  appendfsync: 'always',
  noAppendfsyncOnRewrite: 'no',
  maxmemory: 0,
  maxmemoryPolicy: 'allkeys-lru',
  replicas: 0,
} as const;

describe('what makes a server weak', () => {
  test.each([
    [{ appendonly: 'no' }, 0, /^h:1: appendonly is no: set it to yes$/],
    [{ appendfsync: 'everysec' }, 0, /appendfsync is everysec: set it to always/],
    [{ appendfsync: undefined }, 0, /appendfsync is not known: allow CONFIG GET/],
    [{ noAppendfsyncOnRewrite: 'yes' }, 0, /no-appendfsync-on-rewrite is yes: set it to no/],
    [{ maxmemory: 1 }, 0, /maxmemory-policy is allkeys-lru: set it to noeviction/],
    [{ maxmemory: undefined }, 0, /maxmemory-policy/],
    [{ replicas: 1 }, 0, /replicas=1/],
    [{ replicas: 2 }, 1, /replicas=2/],
  ])('%j with %i confirming replicas', (change, replicas, reason) => {
    const reasons = weaknesses({ ...STRONG, ...change }, replicas);
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toMatch(reason);
  });

  test('nothing, when all is as it should be', () => {
    expect(weaknesses(STRONG, 0)).toEqual([]);
    expect(weaknesses({ ...STRONG, replicas: 2 }, 2)).toEqual([]);
    expect(weaknesses({ ...STRONG, maxmemory: 1, maxmemoryPolicy: 'noeviction' }, 0)).toEqual([]);
  });

  test('memory is weak', () => {
    expect(durabilityOf(openMemoryStore())).toMatchObject({
      state: 'weak',
      reasons: ['nothing outlives the process'],
    });
  });
});

describe.skipIf(absent('redis-server'))('redis and durability', () => {
  const servers: RedisServer[] = [];
  const opened: KeyValueStore[] = [];
  const start = async (settings: RedisSettings = {}): Promise<RedisServer> => {
    const server = await startRedis(settings);
    servers.push(server);
    return server;
  };
  const open = async (spec: string, options: RedisStoreOptions = {}): Promise<KeyValueStore> => {
    const store = await openRedisStore(spec, { patienceMs: 2_000, ...options });
    opened.push(store);
    return store;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(async (store) => await store.close()));
    await Promise.all(servers.splice(0).map(async (server) => await server.stop()));
  });

  test.each([
    [{ appendfsync: 'everysec' }, 'appendfsync is everysec: set it to always'],
    [{ appendonly: 'no' }, 'appendonly is no: set it to yes'],
    [
      { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' },
      'maxmemory-policy is allkeys-lru: set it to noeviction',
    ],
    [{ 'no-appendfsync-on-rewrite': 'yes' }, 'no-appendfsync-on-rewrite is yes: set it to no'],
  ])('%j: refused by default, weak when asked for', async (settings, reason) => {
    const server = await start(settings);
    await expect(open(server.url)).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining(reason) as string,
    });
    const store = await open(`${server.url}?durability=weak`);
    expect(durabilityOf(store)).toMatchObject({ state: 'weak', reachable: true });
    expect(durabilityOf(store).reasons.join()).toContain(reason);
    expect(await store.commit(0, { puts: [[bytes('a'), bytes('1')]] })).toBe(true);
  });

  test('a change for the worse while running is noticed and told, and so is the way back', async () => {
    const server = await start();
    const store = await open(server.url, { checkEveryMs: 20 });
    expect(durabilityOf(store)).toEqual({ state: 'strong', reasons: [], reachable: true });
    const told: StoreDurability[] = [];
    store.onDurability?.((now) => told.push(now));
    await server.command('config', 'set', 'appendfsync', 'everysec');
    await until(async () => told.length === 1);
    await server.command('config', 'set', 'appendfsync', 'always');
    await until(async () => told.length === 2);
    await server.kill();
    await until(async () => told.length === 3);
    // Looked at again as soon as it is back.
    await server.restart({ appendfsync: 'no' });
    await until(async () => told.length === 4);
    expect(told.map(({ state, reachable }) => [state, reachable])).toEqual([
      ['weak', true],
      ['strong', true],
      ['strong', false],
      ['weak', true],
    ]);
    expect(told[0]?.reasons.join()).toContain('appendfsync is everysec');
  });

  test('a database that the server refuses is refused, and nothing lands in another', async () => {
    const server = await start();
    await expect(open(`${server.url}/9999`)).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('DB index is out of range') as string,
    });
    await server.command('acl', 'setuser', 'gateway', 'on', '>s3cret', '~*', '+@all', '-select');
    await expect(open(`redis://gateway:s3cret@127.0.0.1:${server.port}/3`)).rejects.toMatchObject({
      message: expect.stringContaining('NOPERM') as string,
    });
    await expect(open(`redis://gateway:wrong@127.0.0.1:${server.port}/3`)).rejects.toMatchObject({
      message: expect.stringContaining('refuses the user or the password') as string,
    });
    expect(await server.command('info', 'keyspace')).not.toContain('db0');
    await open(`${server.url}/3`);
    expect(await server.command('info', 'keyspace')).toMatch(/db3:keys=/);
    expect(await server.command('info', 'keyspace')).not.toContain('db0');
  });

  test('a server that goes is noticed at once, however seldom it is asked', async () => {
    const server = await start();
    const store = await open(server.url, { checkEveryMs: 3_600_000 });
    const told: StoreDurability[] = [];
    store.onDurability?.((now) => told.push(now));
    await server.kill();
    await until(async () => told.length === 1);
    expect(told[0]).toMatchObject({ state: 'strong', reachable: false });
    await server.restart({});
    await until(async () => told.length === 2);
    expect(told[1]).toMatchObject({ state: 'strong', reachable: true });
  });

  test('where CONFIG is not permitted, what is not known counts as weak', async () => {
    const server = await start();
    await server.command('acl', 'setuser', 'gateway', 'on', '>s3cret', '~*', '+@all', '-config');
    const spec = `redis://gateway:s3cret@127.0.0.1:${server.port}`;
    await expect(open(spec)).rejects.toMatchObject({
      message: expect.stringContaining('appendfsync is not known: allow CONFIG GET') as string,
    });
    const store = await open(`${spec}?durability=weak`);
    expect(durabilityOf(store).state).toBe('weak');
    // INFO tells these.
    expect(durabilityOf(store).reasons.join()).not.toContain('appendonly');
    expect(durabilityOf(store).reasons.join()).not.toContain('maxmemory');
  });

  test('passwords: asked for, wrong, given apart; never in a message', async () => {
    const server = await start({ requirepass: 's3cret' });
    const refused = await open(server.url).catch((error: Error) => error);
    expect(refused).toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('NOAUTH') as string,
    });
    const wrong = (await open(`redis://:wr0ng@127.0.0.1:${server.port}`).catch(
      (error: unknown) => error,
    )) as Error;
    expect(wrong).toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('WRONGPASS') as string,
    });
    expect(JSON.stringify([wrong, wrong.message, wrong.stack])).not.toContain('wr0ng');
    expect(wrong.cause).toBeUndefined();
    const store = await open(server.url, { password: 's3cret' });
    expect(await store.commit(0, {})).toBe(true);
  });

  describe('with a replica', () => {
    let master: RedisServer;
    let replica: RedisServer;
    beforeEach(async () => {
      master = await start();
      replica = await start({ replicaof: `127.0.0.1 ${master.port}` });
      await until(async () =>
        String(await replica.command('info', 'replication')).includes('master_link_status:up'),
      );
    });

    test('its taking over would lose commits: refused unless it confirms them', async () => {
      await expect(open(master.url)).rejects.toMatchObject({
        message: expect.stringContaining('add replicas=1 to the address') as string,
      });
      const store = await open(`${master.url}?replicas=1`);
      expect(durabilityOf(store).state).toBe('strong');
      expect(await store.commit(0, { puts: [[bytes('a'), bytes('1')]] })).toBe(true);
      // Confirmed, so there already; answered by the replica itself.
      expect(await replica.command('hget', '{shardway:0}v', 'a')).toBe('1');
    });

    test('a commit that it does not confirm is Unknown, and the next one goes through once it is back', async () => {
      const store = await open(`${master.url}?replicas=1`, { replicasTimeoutMs: 200 });
      replica.signal('SIGSTOP');
      const commits = ['a', 'b'].map(
        async (key) => await store.commit(0, { puts: [[bytes(key), bytes('1')]] }),
      );
      for (const commit of commits) {
        await expect(commit).rejects.toMatchObject({
          kind: 'Unknown',
          message: expect.stringContaining('0 of 1 replicas') as string,
        });
      }
      // What may yet be taken back is not read as if it were there.
      await expect(store.get(0, bytes('a'))).rejects.toMatchObject({ kind: 'Unavailable' });
      await expect(store.scan(0, RANGE)).rejects.toMatchObject({ kind: 'Unavailable' });
      // Checks that fail write nothing, and wait for nobody.
      expect(await store.commit(0, { checks: [{ key: bytes('a'), value: null }] })).toBe(false);
      replica.signal('SIGCONT');
      await until(async () => {
        try {
          return await store.commit(0, { puts: [[bytes('c'), bytes('1')]] });
        } catch {
          return false;
        }
      });
      expect(text(await store.get(0, bytes('a')))).toBe('1');
    });

    test('a replica that went away still counts', async () => {
      const store = await open(`${master.url}?durability=weak`, { checkEveryMs: 20 });
      await replica.kill();
      await until(async () =>
        String(await master.command('info', 'replication')).includes('connected_slaves:0'),
      );
      const before = String(await master.command('info', 'commandstats'));
      const checks = (stats: string): number => Number(/cmdstat_info:calls=(\d+)/.exec(stats)?.[1]);
      await until(
        async () => checks(String(await master.command('info', 'commandstats'))) > checks(before) + 10,
      );
      expect(durabilityOf(store).reasons.join()).toContain('replicas=1');
    });
  });
});
