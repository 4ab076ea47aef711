import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openRedisStore } from '../../../gateway/metadata/redis.ts';
import { MetadataError } from '../../../gateway/metadata/types.ts';
import type { KeyValueStore } from '../../../gateway/metadata/types.ts';
import { absent, run } from '../../support/programs.ts';
import { startRedisCluster, startRedisSentinel, until } from '../../support/redis.ts';
import { bytes, text } from './keyValueStoreContract.ts';

/** Increments a counter of its own in each partition, and reads back what it has written. */
class Counters {
  readonly #store: KeyValueStore;
  readonly #values: number[];
  readonly #running: Promise<void>[];
  #stopped = false;
  /** Commits that resolved, by partition. */
  readonly done: number[];

  constructor(store: KeyValueStore) {
    this.#store = store;
    this.#values = Array.from({ length: store.partitions }, () => 0);
    this.done = Array.from({ length: store.partitions }, () => 0);
    this.#running = this.#values.map(async (_, partition) => await this.#count(partition));
  }

  /** Until each has got some further; on the way nothing may be lost. */
  async advance(): Promise<void> {
    const goal = this.done.map((done) => done + 20);
    const arrived = until(async () => goal.every((wanted, at) => this.done[at]! >= wanted), 60_000);
    // These end early only when something was lost.
    await Promise.race([arrived, ...this.#running]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #count(partition: number): Promise<void> {
    const key = bytes('n');
    while (!this.#stopped) {
      try {
        const found = Number(text(await this.#store.get(partition, key)) ?? 0);
        // What was acknowledged is there; one commit of unknown outcome may be on top of it.
        const known = this.#values[partition]!;
        if (found !== known && found !== known + 1) throw new Error(`${found} instead of ${known}`);
        this.#values[partition] = found;
        const value = found === 0 ? null : bytes(String(found));
        const applied = await this.#store.commit(partition, {
          checks: [{ key, value }],
          puts: [[key, bytes(String(found + 1))]],
        });
        if (!applied) throw new Error(`${found} was read, and is not there`);
        this.#values[partition] = found + 1;
        this.done[partition]!++;
      } catch (error) {
        if (!(error instanceof MetadataError)) throw error;
        await sleep(20);
      }
    }
  }
}

const OPTIONS = { timeoutMs: 2_000, patienceMs: 1_000, replicasTimeoutMs: 500 };

describe.skipIf(absent('redis-server', 'redis-cli'))('failover', () => {
  test(
    'Sentinel: refused without confirming replicas; the new master is found and has everything',
    { timeout: 120_000 },
    async () => {
      const sentinel = await startRedisSentinel();
      try {
        await expect(openRedisStore(sentinel.url, OPTIONS)).rejects.toMatchObject({
          message: expect.stringContaining('add replicas=1') as string,
        });
        const store = await openRedisStore(`${sentinel.url}?replicas=1`, OPTIONS);
        expect(store.durability?.().state).toBe('strong');
        const counters = new Counters(store);
        await counters.advance();
        await sentinel.master.kill();
        await until(async () =>
          String(await sentinel.replica.command('info', 'replication')).includes('role:master'),
        );
        // The old master comes back as its replica: until then no commit is confirmed.
        await sentinel.master.restart();
        await counters.advance();
        await counters.stop();
        expect(await sentinel.replica.command('hget', '{shardway:0}v', 'n')).not.toBeNull();
        await store.close();
      } finally {
        await sentinel.stop();
      }
    },
  );

  test(
    'Cluster: a master that dies is replaced, and slots that move are followed, with nothing lost',
    { timeout: 180_000 },
    async () => {
      const cluster = await startRedisCluster({ replicas: 1 });
      try {
        await expect(openRedisStore(cluster.url, OPTIONS)).rejects.toMatchObject({
          message: expect.stringContaining('add replicas=1') as string,
        });
        const store = await openRedisStore(`${cluster.url}?replicas=1`, OPTIONS);
        const counters = new Counters(store);
        await counters.advance();
        const [victim, other] = cluster.masters;
        await victim!.kill();
        await until(async () => {
          const nodes = String(await other!.command('cluster', 'nodes'));
          return nodes.split('\n').filter((line) => /master - /.test(line)).length === 3;
        });
        await victim!.restart();
        await counters.advance();
        const ids = await Promise.all(
          cluster.masters.slice(1).map(async (node) => String(await node.command('cluster', 'myid'))),
        );
        const moves = [
          '--cluster-from',
          ids[0]!,
          '--cluster-to',
          ids[1]!,
          '--cluster-slots',
          '4000',
          '--cluster-yes',
        ];
        await run('redis-cli', ['--cluster', 'reshard', `127.0.0.1:${other!.port}`, ...moves]);
        await counters.advance();
        await counters.stop();
        await store.close();
      } finally {
        await cluster.stop();
      }
    },
  );
});
