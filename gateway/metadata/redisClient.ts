/** Clients of ioredis with the options that keep it from queueing and repeating commands. */

import { readFileSync } from 'node:fs';
import { Cluster, Redis } from 'ioredis';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { redisName } from './redisAddress.ts';
import type { RedisAddress } from './redisAddress.ts';
import { MetadataError } from './types.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_MS_MAX = 1_000;
/** How often the cluster is asked who serves what, besides whenever a node answers that it does not. */
const SLOTS_REFRESH_MS = 10_000;

export interface ClientOptions {
  readonly password: string | undefined;
  /** A connection that owes answers and brings no byte for so long is given up. */
  readonly timeoutMs: number;
}

type Options = RedisOptions & { readonly replyMapping: 'legacy' };

/** Connects in the background. @throws MetadataError 'Unavailable' when the file of authorities cannot be read */
export function connect(address: RedisAddress, { password, timeoutMs }: ClientOptions): Redis | Cluster {
  const tls = address.tls ? { tls: tlsOptions(address) } : {};
  const common: Options = {
    ...(address.username !== undefined && { username: address.username }),
    ...(password !== undefined && { password }),
    ...tls,
    protocol: 2,
    replyMapping: 'legacy',
    connectionName: 'shardway',
    disableClientInfo: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: timeoutMs,
    // What waits for an answer when a connection closes is rejected there and then.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  };
  if (address.mode === 'cluster') return new Cluster([...address.hosts], clusterOptions(common));
  const [first] = address.hosts;
  const single: Options = {
    ...common,
    ...(first && address.mode === 'single' && { host: first.host, port: first.port }),
    db: address.database,
    enableOfflineQueue: false,
    retryStrategy: (attempt) => Math.min(25 * attempt, RECONNECT_MS_MAX),
  };
  return new Redis(address.mode === 'sentinel' ? sentinelOptions(address, single) : single);
}

function sentinelOptions(address: RedisAddress, single: Options): Options {
  return {
    ...single,
    ...sentinelAccess(address, single),
    sentinels: [...address.hosts],
    name: address.masterName,
    role: 'master',
    failoverDetector: true,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    sentinelRetryStrategy: (attempt) => Math.min(50 * attempt, RECONNECT_MS_MAX),
  };
}

/** Replicas that the first Sentinel to answer lists, connected or not. @throws Error when none answers */
export async function replicasBySentinel(
  address: RedisAddress,
  { password }: ClientOptions,
): Promise<number> {
  let reason: unknown;
  for (const { host, port } of address.hosts) {
    const client = new Redis({
      host,
      port,
      protocol: 2,
      lazyConnect: true,
      disableClientInfo: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      commandTimeout: CONNECT_TIMEOUT_MS,
      enableReadyCheck: false,
      retryStrategy: () => null,
      ...(address.sentinelAuth && address.username !== undefined && { username: address.username }),
      ...(address.sentinelAuth && password !== undefined && { password }),
      ...(address.tls && { tls: tlsOptions(address) }),
    });
    client.on('error', (error) => (reason = error));
    try {
      await client.connect();
      const fields = (await client.call('sentinel', 'master', address.masterName)) as string[];
      return Number(fields[fields.indexOf('num-slaves') + 1]);
    } catch (error) {
      reason ??= error;
    } finally {
      client.disconnect();
    }
  }
  throw reason;
}

/** How to speak to the Sentinels themselves. */
function sentinelAccess(
  { tls, sentinelAuth }: RedisAddress,
  single: Options,
): Pick<Options, 'enableTLSForSentinelMode' | 'sentinelTLS' | 'sentinelUsername' | 'sentinelPassword'> {
  return {
    ...(tls && single.tls && { enableTLSForSentinelMode: true, sentinelTLS: single.tls }),
    ...(sentinelAuth && single.username !== undefined && { sentinelUsername: single.username }),
    ...(sentinelAuth && single.password !== undefined && { sentinelPassword: single.password }),
  };
}

function clusterOptions(redisOptions: Options): ClusterOptions & { redisOptions: Options } {
  return {
    redisOptions,
    enableOfflineQueue: false,
    scaleReads: 'master',
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    clusterRetryStrategy: (attempt) => Math.min(25 * attempt, RECONNECT_MS_MAX),
    ...(redisOptions.tls && { dnsLookup: (host, found) => found(null, host) }),
  };
}

/** Certificates are checked against the name in the address, not what it resolves to. */
function tlsOptions(address: RedisAddress): { ca?: Buffer } {
  if (address.caFile === undefined) return {};
  try {
    return { ca: readFileSync(address.caFile) };
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new MetadataError(
      'Unavailable',
      `the authorities of ${redisName(address)} in ${address.caFile} cannot be read (${why})`,
    );
  }
}
