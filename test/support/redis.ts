/** Real Redis servers for tests: on free loopback ports, in folders of their own, ended by process id. */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { run } from './programs.ts';

/** What Shardway asks for; see docs/redis.md. */
const DURABLE = { appendonly: 'yes', appendfsync: 'always', save: '', 'repl-diskless-sync-delay': '0' };
/** As docs/redis.md has them, but for WAITAOF, which Redis 7.0 does not know. */
export const DOCUMENTED_RIGHTS =
  '+evalsha +eval +hmget +hget +hexists +hset +hdel +hincrby +zadd +zrem +zrangebylex +zrevrangebylex +type +exists +get +set +info +config|get +wait +ping +select +cluster|nodes'.split(
    ' ',
  );
const START_TIMEOUT_MS = 30_000;
/** A cluster bus listens 10,000 above the port. */
const PORT_MAX = 55_000;

export type RedisSettings = Readonly<Record<string, string>>;

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  readonly folder: string;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  /** Starts again on the same data; resolves when it answers. */
  restart(settings?: RedisSettings): Promise<void>;
  /** SIGSTOP or SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Answer of a command on a connection of its own. */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** Ends the process and removes its folder. */
  stop(): Promise<void>;
}

/** Values may hold several words, as in a configuration file. */
export async function startRedis(settings: RedisSettings = {}): Promise<RedisServer> {
  const server = new LocalServer(await freePort(), settings, 'server');
  try {
    await server.restart();
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

export interface RedisCluster {
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];
  readonly url: string;
  stop(): Promise<void>;
}

/** Three masters, each with as many replicas. */
export async function startRedisCluster({ replicas = 0 } = {}): Promise<RedisCluster> {
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': '1000',
    // A replica that was away takes over all the same: tests cut connections on purpose.
    'cluster-replica-validity-factor': '0',
  };
  const servers: RedisServer[] = [];
  try {
    for (let i = 0; i < 3 * (1 + replicas); i++) servers.push(await startRedis(settings));
    const nodes = servers.map(({ port }) => `127.0.0.1:${port}`);
    const options = ['--cluster-replicas', String(replicas), '--cluster-yes'];
    await run('redis-cli', ['--cluster', 'create', ...nodes, ...options]);
    await until(async () => {
      const states = await Promise.all(
        servers.map(async (server) => String(await server.command('cluster', 'info'))),
      );
      return states.every((state) => state.includes('cluster_state:ok'));
    });
    const roles = await Promise.all(
      servers.map(async (server) => String(await server.command('info', 'replication'))),
    );
    const isMaster = (_: RedisServer, at: number): boolean => roles[at]?.includes('role:master') === true;
    return {
      masters: servers.filter(isMaster),
      replicas: servers.filter((server, at) => !isMaster(server, at)),
      url: `redis+cluster://${nodes.slice(0, 2).join(',')}`,
      stop: async () => void (await Promise.all(servers.map(async (server) => await server.stop()))),
    };
  } catch (error) {
    for (const server of servers) await server.stop();
    throw error;
  }
}

export interface RedisSentinel {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly url: string;
  stop(): Promise<void>;
}

/** One master with one replica, watched by one Sentinel under the name `shardway`. */
export async function startRedisSentinel(): Promise<RedisSentinel> {
  const master = await startRedis();
  const replica = await startRedis({ replicaof: `127.0.0.1 ${master.port}` });
  const sentinel = new LocalServer(await freePort(), {}, 'sentinel');
  const stop = async (): Promise<void> => {
    for (const server of [sentinel, replica, master]) await server.stop();
  };
  try {
    await until(async () =>
      String(await replica.command('info', 'replication')).includes('master_link_status:up'),
    );
    await sentinel.restart();
    await sentinel.command('sentinel', 'monitor', 'shardway', '127.0.0.1', String(master.port), '1');
    await sentinel.command('sentinel', 'set', 'shardway', 'down-after-milliseconds', '500');
    await sentinel.command('sentinel', 'set', 'shardway', 'failover-timeout', '2000');
    await until(async () =>
      String(await sentinel.command('sentinel', 'replicas', 'shardway')).includes(String(replica.port)),
    );
    return { master, replica, url: `redis+sentinel://127.0.0.1:${sentinel.port}/shardway`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Asks until it holds, also past errors; a bound for tests that would wait for ever, not an expectation. */
export async function until(holds: () => Promise<boolean>, timeoutMs = START_TIMEOUT_MS): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      if (await holds()) return;
    } catch (error) {
      cause = error;
    }
    await sleep(20);
  } while (Date.now() < deadline);
  throw new Error('what the test waits for did not come about', { cause });
}

class LocalServer implements RedisServer {
  readonly port: number;
  readonly folder = mkdtempSync(join(tmpdir(), 'shardway-redis-'));
  readonly #settings: RedisSettings;
  readonly #kind: 'server' | 'sentinel';
  #child: ChildProcess | undefined;

  constructor(port: number, settings: RedisSettings, kind: 'server' | 'sentinel') {
    this.port = port;
    this.#settings = settings;
    this.#kind = kind;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async restart(settings: RedisSettings = {}): Promise<void> {
    const all = {
      port: String(this.port),
      bind: '127.0.0.1',
      dir: this.folder,
      ...this.#settings,
      ...settings,
    };
    const child = this.#kind === 'sentinel' ? this.#spawnSentinel(all) : this.#spawn({ ...DURABLE, ...all });
    this.#child = child;
    await once(child, 'spawn');
    const password = settings['requirepass'] ?? this.#settings['requirepass'];
    await until(async () => child.exitCode !== null || (await answers(this.port, password)));
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  async command(name: string, ...args: string[]): Promise<unknown> {
    const client = new Redis({
      port: this.port,
      host: '127.0.0.1',
      protocol: 2,
      retryStrategy: () => null,
      ...(this.#settings['requirepass'] !== undefined && { password: this.#settings['requirepass'] }),
    });
    client.on('error', () => undefined);
    try {
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #spawn(settings: RedisSettings): ChildProcess {
    const args = Object.entries(settings).flatMap(([name, value]) => [
      `--${name}`,
      ...(value === '' ? [''] : value.split(' ')),
    ]);
    return spawn('redis-server', args, { stdio: 'ignore' });
  }

  #spawnSentinel(settings: RedisSettings): ChildProcess {
    // A Sentinel writes what it learns into its configuration file.
    const file = join(this.folder, 'sentinel.conf');
    const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`);
    writeFileSync(file, lines.join(''));
    return spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' });
  }
}

async function answers(port: number, password: string | undefined): Promise<boolean> {
  const client = new Redis({
    port,
    host: '127.0.0.1',
    protocol: 2,
    lazyConnect: true,
    retryStrategy: () => null,
    ...(password !== undefined && { password }),
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}

export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    server.close();
    await once(server, 'close');
    if (address !== null && typeof address === 'object' && address.port < PORT_MAX) return address.port;
  }
}
