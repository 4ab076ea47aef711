/**
 * KeyValueStore on servers that speak the Redis protocol: one, one behind Sentinels, or a cluster. Reads go to masters only. Commits have a
 * connection of their own, so that reads do not wait behind them.
 */

import { assertCommit, assertKey, assertPartition, assertRange } from './limits.ts';
import { parseRedisAddress, redisName } from './redisAddress.ts';
import type { RedisAddress } from './redisAddress.ts';
import { RedisCalls } from './redisCalls.ts';
import { RedisCommits } from './redisCommits.ts';
import { RedisDurability } from './redisDurability.ts';
import { openFormat } from './redisFormat.ts';
import type { RedisFormat } from './redisFormat.ts';
import { RedisLink, SentCommand } from './redisLink.ts';
import { RedisPartition } from './redisPartition.ts';
import { RedisReads } from './redisReads.ts';
import { ReplicaAcks } from './redisReplicas.ts';
import { MetadataError } from './types.ts';
import type { Bytes, Commit, Entry, KeyValueStore, Range, StoreDurability } from './types.ts';

/** A disk that syncs takes seconds at times; longer means stuck. */
const TIMEOUT_MS = 15_000;
/** Long enough to reconnect, or to find the new master of a failover that has been decided. */
const PATIENCE_MS = 5_000;
const REPLICAS_TIMEOUT_MS = 5_000;
const CHECK_EVERY_MS = 60_000;

export interface RedisStoreOptions {
  /** Where the address has none. */
  readonly password?: string | undefined;
  /** A connection that owes answers and brings no byte for so long is given up; its commits are 'Unknown'. */
  readonly timeoutMs?: number;
  /** How long calls wait for a connection before they are 'Unavailable'. */
  readonly patienceMs?: number;
  /** How long replicas may take to confirm a commit before it is 'Unknown'. */
  readonly replicasTimeoutMs?: number;
  /** Between two looks at whether the servers keep what they acknowledge. */
  readonly checkEveryMs?: number;
}

/**
 * @throws MetadataError 'Unavailable' when the server cannot be reached, refuses, or would lose acknowledged commits (unless the address
 * says durability=weak); 'Corrupt' when it holds foreign, newer or incomplete data
 */
export async function openRedisStore(spec: string, options: RedisStoreOptions = {}): Promise<KeyValueStore> {
  const address = parseRedisAddress(spec);
  const { timeoutMs = TIMEOUT_MS, patienceMs = PATIENCE_MS, checkEveryMs = CHECK_EVERY_MS } = options;
  const linkOptions = { password: address.password ?? options.password, timeoutMs };
  const reading = new RedisLink(address, linkOptions);
  const writing = new RedisLink(address, linkOptions);
  const durability = new RedisDurability(reading, { replicas: address.replicas, everyMs: checkEveryMs });
  const links = {
    reading,
    writing,
    readCalls: new RedisCalls(reading, patienceMs),
    writeCalls: new RedisCalls(writing, patienceMs),
  };
  try {
    for (const calls of [links.writeCalls, links.readCalls]) await selectDatabase(calls, address);
    const format = await openFormat(links.writeCalls, address);
    await durability.first(patienceMs);
    assertDurable(durability.state, address);
    const acks = new ReplicaAcks(address.replicas, options.replicasTimeoutMs ?? REPLICAS_TIMEOUT_MS);
    durability.start();
    return new RedisStore(links, format, acks, durability);
  } catch (error) {
    reading.close();
    writing.close();
    throw named(error, address);
  }
}

interface Links {
  readonly reading: RedisLink;
  readonly writing: RedisLink;
  readonly readCalls: RedisCalls;
  readonly writeCalls: RedisCalls;
}

class RedisStore implements KeyValueStore {
  readonly partitions: number;
  readonly #links: Links;
  readonly #durability: RedisDurability;
  readonly #reads: readonly RedisReads[];
  readonly #commits: readonly RedisCommits[];
  #closing: Promise<void> | undefined;

  constructor(
    links: Links,
    { marker, partitions }: RedisFormat,
    acks: ReplicaAcks,
    durability: RedisDurability,
  ) {
    this.partitions = partitions.length;
    this.#links = links;
    this.#durability = durability;
    this.#reads = partitions.map((partition) => new RedisReads(links.readCalls, partition, marker, acks));
    this.#commits = partitions.map(
      (partition) => new RedisCommits(links.writeCalls, partition, marker, acks),
    );
  }

  async get(partition: number, key: Bytes): Promise<Bytes | undefined> {
    this.#assertOpen(partition);
    assertKey(key);
    return await this.#reads[partition]!.get(key);
  }

  async scan(partition: number, range: Range): Promise<Entry[]> {
    this.#assertOpen(partition);
    assertRange(range);
    return await this.#reads[partition]!.scan(range);
  }

  async commit(partition: number, commit: Commit): Promise<boolean> {
    this.#assertOpen(partition);
    assertCommit(commit);
    return await this.#commits[partition]!.submit(commit);
  }

  durability(): StoreDurability {
    return this.#durability.state;
  }

  onDurability(listener: (now: StoreDurability) => void): () => void {
    return this.#durability.onChange(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#durability.stop();
    const { reading, writing, readCalls, writeCalls } = this.#links;
    readCalls.close();
    await Promise.all(this.#commits.map(async (commits) => await commits.settled()));
    writeCalls.close();
    reading.close();
    writing.close();
  }

  #assertOpen(partition: number): void {
    if (this.#closing) throw new MetadataError('Unavailable', 'the metadata store is closed');
    assertPartition(partition, this.partitions);
  }
}

function assertDurable({ state, reasons, reachable }: StoreDurability, { durability }: RedisAddress): void {
  if (!reachable) throw new MetadataError('Unavailable', 'the metadata store cannot be reached');
  if (state === 'strong' || durability === 'weak') return;
  throw new MetadataError(
    'Unavailable',
    `the metadata store would lose acknowledged writes: ${reasons.join('; ')}. Or accept that with durability=weak in the address`,
  );
}

/** The client goes on in database 0 where the server refuses another. @throws MetadataError */
async function selectDatabase(calls: RedisCalls, { mode, database, prefix }: RedisAddress): Promise<void> {
  if (mode === 'cluster' || database === 0) return;
  const command = (): SentCommand => new SentCommand('select', [String(database)]);
  await calls.run(new RedisPartition(prefix, 0), { command, kind: 'read' });
}

function named(error: unknown, address: RedisAddress): unknown {
  if (!(error instanceof MetadataError)) return error;
  return new MetadataError(error.kind, `${redisName(address)}: ${error.message}`);
}
