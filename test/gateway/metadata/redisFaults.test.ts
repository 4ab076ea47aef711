import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRedisStore } from '../../../gateway/metadata/redis.ts';
import type { RedisStoreOptions } from '../../../gateway/metadata/redis.ts';
import { MetadataError } from '../../../gateway/metadata/types.ts';
import type { KeyValueStore } from '../../../gateway/metadata/types.ts';
import { CuttingProxy } from '../../support/cuttingProxy.ts';
import { absent } from '../../support/programs.ts';
import { startRedis } from '../../support/redis.ts';
import type { RedisServer } from '../../support/redis.ts';
import { bytes, text } from './keyValueStoreContract.ts';

const EVERYTHING = { from: bytes(''), to: bytes('\xff'.repeat(4)), limit: 1_000_000 };
const hasKind = (kind: string): object => ({ name: 'MetadataError', kind });

/** What each writer knows of each of its commits, by key. */
type Known = Map<string, 'applied' | 'unknown' | 'not applied'>;

/** Commits pairs of keys, one after the other, until told to stop; a pair is there as a whole or not at all. */
async function writeUntil(
  store: KeyValueStore,
  partition: number,
  name: string,
  stopped: () => boolean,
): Promise<Known> {
  const known: Known = new Map();
  for (let i = 0; !stopped(); i++) {
    const key = `${name}-${i}`;
    try {
      const applied = await store.commit(partition, {
        checks: [{ key: bytes(`a${key}`), value: null }],
        puts: [
          [bytes(`a${key}`), bytes(key)],
          [bytes(`b${key}`), bytes(key)],
        ],
      });
      // Nobody else writes the key: the check fails only if the commit ran twice.
      known.set(key, applied ? 'applied' : 'not applied');
      if (!applied) throw new Error(`${key} was there before it was written`);
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error;
      known.set(key, error.kind === 'Unknown' ? 'unknown' : 'not applied');
      await sleep(1);
    }
  }
  return known;
}

/** The value of 'a', as soon as the store is no longer unavailable. */
async function firstAnswer(store: KeyValueStore): Promise<string | undefined> {
  for (;;) {
    try {
      return text(await store.get(0, bytes('a')));
    } catch (error) {
      if (!(error instanceof MetadataError) || error.kind !== 'Unavailable') throw error;
      await sleep(20);
    }
  }
}

async function keysIn(store: KeyValueStore, partition: number): Promise<string[]> {
  return (await store.scan(partition, EVERYTHING)).map(([key]) => text(key) as string);
}

/** Everything acknowledged is there, everything refused is not, and every pair is whole. */
function expectKept(found: readonly string[], known: Known): void {
  const there = new Set(found);
  const keys = [...known.keys()];
  const of = (outcome: string): string[] => keys.filter((key) => known.get(key) === outcome);
  expect(of('applied').filter((key) => !there.has(`a${key}`))).toEqual([]);
  expect(of('not applied').filter((key) => there.has(`a${key}`))).toEqual([]);
  expect(keys.filter((key) => there.has(`a${key}`) !== there.has(`b${key}`))).toEqual([]);
  expect([...there].filter((key) => !known.has(key.slice(1)))).toEqual([]);
}

describe.skipIf(absent('redis-server'))('redis and faults', () => {
  let server: RedisServer;
  const opened: KeyValueStore[] = [];
  const proxies: CuttingProxy[] = [];
  const open = async (options: RedisStoreOptions = {}, spec = server.url): Promise<KeyValueStore> => {
    const store = await openRedisStore(spec, options);
    opened.push(store);
    return store;
  };
  const proxied = async (): Promise<CuttingProxy> => {
    const proxy = await CuttingProxy.start(server.port);
    proxies.push(proxy);
    return proxy;
  };
  beforeEach(async () => {
    server = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(async (store) => await store.close()));
    await Promise.all(proxies.splice(0).map(async (proxy) => await proxy.stop()));
    await server.stop();
  });

  test('kill -9 and restart under concurrent commits: what was acknowledged is there, once and whole', async () => {
    const store = await open({}, `${server.url}?partitions=2`);
    let stopped = false;
    const names = Array.from({ length: 12 }, (_, i) => `w${i}`);
    const writers = names.map(async (name, i) => await writeUntil(store, i % 2, name, () => stopped));
    for (let round = 0; round < 4; round++) {
      await sleep(100 + Math.random() * 150);
      await server.kill();
      await server.restart();
    }
    await sleep(100);
    stopped = true;
    const known = await Promise.all(writers);
    const found = [await keysIn(store, 0), await keysIn(store, 1)].flat();
    const all: Known = new Map(known.flatMap((one) => [...one]));
    expectKept(found, all);
    expect([...all.values()].filter((outcome) => outcome === 'applied').length).toBeGreaterThan(50);
    expect([...all.values()]).toContain('unknown');
  });

  test('a connection cut between a commit and its answer: Unknown, applied, and not sent again', async () => {
    const proxy = await proxied();
    const store = await open({}, `redis://127.0.0.1:${proxy.port}`);
    // From here on the server knows the script.
    await store.commit(0, { puts: [[bytes('k'), bytes('precious-0')]] });
    for (let round = 1; round <= 5; round++) {
      const value = `precious-${round}`;
      const expected = bytes(`precious-${round - 1}`);
      proxy.cutAfter(value);
      const commit = store.commit(0, {
        checks: [{ key: bytes('k'), value: expected }],
        puts: [[bytes('k'), bytes(value)]],
      });
      // Sent again, its check would fail and it would resolve to false.
      await expect(commit).rejects.toMatchObject(hasKind('Unknown'));
      expect(text(await store.get(0, bytes('k')))).toBe(value);
    }
    expect(proxy.cuts).toBe(5);
    const calls = String(await server.command('info', 'commandstats'));
    // The marker, the first commit and those that were cut.
    expect(/cmdstat_hset:calls=(\d+)/.exec(calls)?.[1]).toBe('7');
  });

  test('a read whose connection is cut is read again', async () => {
    const proxy = await proxied();
    const store = await open({}, `redis://127.0.0.1:${proxy.port}`);
    await store.commit(0, { puts: [[bytes('precious'), bytes('1')]] });
    proxy.cutAfter('precious');
    expect(text(await store.get(0, bytes('precious')))).toBe('1');
    proxy.cutAfter('precious');
    expect(await store.scan(0, { from: bytes('precious'), to: bytes('q'), limit: 5 })).toHaveLength(1);
    expect(proxy.cuts).toBe(2);
  });

  test('a server that is down: Unavailable, nothing applied, and all goes on when it is back', async () => {
    const store = await open({ patienceMs: 100 });
    await server.kill();
    for (let attempt = 0; attempt < 3; attempt++) {
      const commit = store.commit(0, { puts: [[bytes('a'), bytes('1')]] });
      const kind = await commit.then(
        () => 'applied',
        (error: MetadataError) => error.kind,
      );
      // The first may have been sent before the connection was seen to be gone.
      expect(attempt === 0 ? ['Unknown', 'Unavailable'] : ['Unavailable']).toContain(kind);
      await expect(store.get(0, bytes('a'))).rejects.toMatchObject(hasKind('Unavailable'));
    }
    await server.restart();
    expect(await firstAnswer(store)).toBeUndefined();
    expect(await store.commit(0, { puts: [[bytes('a'), bytes('2')]] })).toBe(true);
  });

  test('a commit made while the connection is lost waits for it and is applied', async () => {
    const store = await open();
    await server.kill();
    // The loss has been noticed once nothing can be sent.
    await expect(open({ patienceMs: 50 })).rejects.toMatchObject(hasKind('Unavailable'));
    const commit = store.commit(0, { puts: [[bytes('a'), bytes('1')]] });
    await server.restart();
    expect(await commit).toBe(true);
  });

  test('a stuck server: commits are Unknown, reads Unavailable, nobody hangs, and all goes on afterwards', async () => {
    const store = await open({ timeoutMs: 400, patienceMs: 200 });
    await store.commit(0, { puts: [[bytes('a'), bytes('1')]] });
    server.signal('SIGSTOP');
    try {
      const commit = store.commit(0, {
        checks: [{ key: bytes('a'), value: bytes('1') }],
        puts: [[bytes('a'), bytes('2')]],
      });
      await Promise.all([
        expect(commit).rejects.toMatchObject(hasKind('Unknown')),
        expect(store.get(0, bytes('a'))).rejects.toMatchObject(hasKind('Unavailable')),
      ]);
      await expect(store.commit(0, {})).rejects.toBeInstanceOf(MetadataError);
    } finally {
      server.signal('SIGCONT');
    }
    expect(['1', '2']).toContain(await firstAnswer(store));
    expect(await store.commit(0, { puts: [[bytes('b'), bytes('1')]] })).toBe(true);
  });

  test('scripts that are forgotten under load are sent again', async () => {
    const store = await open();
    let stopped = false;
    const writers = ['x', 'y', 'z'].map(async (name) => await writeUntil(store, 0, name, () => stopped));
    for (let round = 0; round < 30; round++) await server.command('script', 'flush');
    stopped = true;
    const all: Known = new Map((await Promise.all(writers)).flatMap((one) => [...one]));
    expect(new Set(all.values())).toEqual(new Set(['applied']));
    expectKept(await keysIn(store, 0), all);
  });

  test('out of memory: puts are Full and not applied, deletes go through and make room again', async () => {
    await server.command('config', 'set', 'maxmemory', '8mb');
    await server.command('config', 'set', 'maxmemory-policy', 'noeviction');
    const store = await open();
    const value = new Uint8Array(200_000).fill(1);
    const kept: string[] = [];
    const putNext = async (): Promise<unknown> => {
      const key = `k${kept.length}`;
      const puts = [
        [bytes(key), value],
        [bytes(`l${kept.length}`), bytes('')],
      ] as const;
      const outcome = await store.commit(0, { puts }).catch((error: unknown) => error);
      if (outcome === true) kept.push(key);
      return outcome;
    };
    let outcome: unknown = true;
    while (outcome === true) outcome = await putNext();
    expect(outcome).toMatchObject(hasKind('Full'));
    const keys = (await keysIn(store, 0)).filter((key) => key.startsWith('k'));
    expect(keys.sort()).toEqual([...kept].sort());
    // In one batch: the deletes are not held up by the put that does not fit.
    const [refused, checked, freed] = await Promise.allSettled([
      store.commit(0, { puts: [[bytes('m'), value]] }),
      store.commit(0, { checks: [{ key: bytes('m'), value: null }] }),
      store.commit(0, { deletes: kept.map(bytes) }),
    ]);
    expect(refused).toMatchObject({ status: 'rejected', reason: hasKind('Full') });
    expect([checked, freed].map((one) => one?.status === 'fulfilled' && one.value)).toEqual([true, true]);
    expect(await store.commit(0, { puts: [[bytes('m'), value]] })).toBe(true);
  });

  test('two stores race for conditional writes: exactly one wins each', async () => {
    const stores = [await open(), await open()];
    for (let round = 0; round < 100; round++) {
      const claims = stores.map(async (store, i) =>
        store.commit(0, {
          checks: [{ key: bytes(`lock${round}`), value: null }],
          puts: [[bytes(`lock${round}`), bytes(String(i))]],
        }),
      );
      const won = await Promise.all(claims);
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(text(await stores[0]!.get(0, bytes(`lock${round}`)))).toBe(String(won.indexOf(true)));
    }
  });

  test('data that was flushed is Corrupt to reads and commits, not empty', async () => {
    const store = await open();
    await store.commit(0, { puts: [[bytes('a'), bytes('1')]] });
    await server.command('flushall');
    await expect(store.get(0, bytes('a'))).rejects.toMatchObject(hasKind('Corrupt'));
    await expect(store.scan(0, EVERYTHING)).rejects.toMatchObject(hasKind('Corrupt'));
    await expect(store.commit(0, { puts: [[bytes('a'), bytes('2')]] })).rejects.toMatchObject(
      hasKind('Corrupt'),
    );
    expect(await server.command('dbsize')).toBe(0);
  });
});
