import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRedisStore } from '../../../gateway/metadata/redis.ts';
import { absent } from '../../support/programs.ts';
import { DOCUMENTED_RIGHTS, startRedis, startRedisCluster } from '../../support/redis.ts';
import type { RedisCluster, RedisServer } from '../../support/redis.ts';
import { describeKeyValueStore } from './keyValueStoreContract.ts';
import type { StoreUnderTest } from './keyValueStoreContract.ts';

/** Each test has a store of its own on the server that all share. */
let stores = 0;
async function storeOn(url: string, options: string): Promise<StoreUnderTest> {
  const spec = `${url}?prefix=t${stores++}&${options}`;
  let store = await openRedisStore(spec);
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await store.close();
      store = await openRedisStore(spec);
    },
    dispose: () => store.close(),
  };
}

describe.skipIf(absent('redis-server'))('on one server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  describeKeyValueStore('redis', () => storeOn(server.url, ''));
  describeKeyValueStore('redis with 3 partitions', () => storeOn(server.url, 'partitions=3'));
});

describe.skipIf(absent('redis-server', 'redis-cli'))('on a cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  }, 60_000);
  afterAll(() => cluster.stop());
  describeKeyValueStore('redis cluster', () => storeOn(cluster.url, ''));

  test('a user with no more rights than documented is enough', async () => {
    const rights = [...DOCUMENTED_RIGHTS, '+cluster|slots', '+cluster|info'];
    for (const node of cluster.masters) {
      await node.command('acl', 'setuser', 'gateway', 'on', '>s3cret', '~{shardway:*', ...rights);
    }
    const store = await openRedisStore(cluster.url.replace('://', '://gateway:s3cret@'));
    expect(await store.commit(5, { puts: [[Buffer.from('k'), Buffer.from('v')]] })).toBe(true);
    expect(store.durability?.()).toMatchObject({ state: 'strong' });
    await store.close();
  });

  test('partitions lie on all masters', async () => {
    const store = await openRedisStore(`${cluster.url}?prefix=spread`);
    for (let partition = 0; partition < store.partitions; partition++) {
      expect(await store.commit(partition, { puts: [[Buffer.from('k'), Buffer.from('v')]] })).toBe(true);
    }
    const sizes = await Promise.all(
      cluster.masters.map(async (node) => await node.command('keys', '{spread:*}v')),
    );
    expect(sizes.every((keys) => (keys as string[]).length > 0)).toBe(true);
    await store.close();
  });
});
