/**
 * Addresses of Redis protocol stores:
 *
 *     redis://user:password@host:6379/0?prefix=…                one server
 *     redis+sentinel://h1:26379,h2:26379/master-name/0          the master that Sentinels name
 *     redis+cluster://h1:7000,h2:7001                           Redis Cluster
 *
 * `rediss` speaks TLS, `valkey` and `valkeys` mean the same.
 */

import { MetadataError } from './types.ts';

interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly mode: 'single' | 'sentinel' | 'cluster';
  /** The server, the Sentinels, or some nodes of the cluster. */
  readonly hosts: readonly HostPort[];
  /** What Sentinels call the master; '' in other modes. */
  readonly masterName: string;
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
  /** File of the authorities to trust instead of the system's. */
  readonly caFile: string | undefined;
  /** Sentinels ask for the same user and password. */
  readonly sentinelAuth: boolean;
  /** Start of every key, so that several stores may share a server. */
  readonly prefix: string;
  /** Undefined: what the data has, or the mode's default for new data. */
  readonly partitions: number | undefined;
  readonly durability: 'strict' | 'weak';
  /** Replicas that must have each commit before it resolves. */
  readonly replicas: number;
}

const SCHEME = /^(redis|valkey)(s?)(?:\+(sentinel|cluster))?:\/\//;
const ADDRESS = /^[a-z]+(?:\+[a-z]+)?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/;
const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/;
const PORTS = { single: 6_379, sentinel: 26_379, cluster: 6_379 } as const;
const OPTIONS = ['prefix', 'partitions', 'durability', 'replicas', 'ca', 'sentinel-auth'] as const;
type Options = Partial<Record<(typeof OPTIONS)[number], string>>;
/** A chunk's id names its partition in four hex digits; a list reads every partition. */
const PARTITIONS_MAX = 1_024;
const DEFAULT_PREFIX = 'shardway';

export const isRedisAddress = (text: string): boolean => SCHEME.test(text);

/** @throws MetadataError 'Unavailable' that says what is wrong and repeats neither user nor password */
export function parseRedisAddress(text: string): RedisAddress {
  const scheme = SCHEME.exec(text);
  const match = ADDRESS.exec(text);
  if (!scheme || !match) {
    wrong(
      'takes scheme://user:password@host:port/…; in user and password, @ / ? # % are written %40 %2F %3F %23 %25',
    );
  }
  const [, user, hosts = '', path = '', query = ''] = match;
  const mode = (scheme[3] ?? 'single') as RedisAddress['mode'];
  const options = readOptions(query);
  const list = hosts.split(',').map((host) => readHost(host, PORTS[mode]));
  if (mode === 'single' && list.length > 1)
    wrong('names several servers: use redis+sentinel:// or redis+cluster://');
  return {
    mode,
    hosts: list,
    ...readPath(mode, path),
    ...readUser(user),
    tls: scheme[2] === 's',
    caFile: options.ca,
    sentinelAuth: yesNo('sentinel-auth', options['sentinel-auth']),
    prefix: readPrefix(options.prefix),
    partitions:
      options.partitions === undefined
        ? undefined
        : count('partitions', options.partitions, 1, PARTITIONS_MAX),
    durability: readDurability(options.durability),
    replicas: options.replicas === undefined ? 0 : count('replicas', options.replicas, 0, 16),
  };
}

/** The address for people: without user, password and options. */
export function redisName({ mode, hosts, tls, masterName, database }: RedisAddress): string {
  const scheme = `redis${tls ? 's' : ''}${mode === 'single' ? '' : `+${mode}`}`;
  const places = hosts
    .map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
    .join(',');
  const name = masterName === '' ? '' : `/${masterName}`;
  return `${scheme}://${places}${name}${database === 0 ? '' : `/${database}`}`;
}

function readHost(text: string, fallback: number): HostPort {
  const match = HOST.exec(text);
  const port = match?.[3] === undefined ? fallback : Number(match[3]);
  if (!match || port < 1 || port > 65_535) wrong('takes hosts as host:port, [::1]:port, several with commas');
  return { host: match[1] ?? match[2] ?? '', port };
}

function readPath(mode: RedisAddress['mode'], path: string): Pick<RedisAddress, 'masterName' | 'database'> {
  const parts = path.split('/').filter((part) => part !== '');
  const masterName = mode === 'sentinel' ? decode(parts.shift() ?? '') : '';
  if (mode === 'sentinel' && masterName === '')
    wrong('lacks the name of the master: redis+sentinel://host:26379/name');
  if (parts.length > 1) wrong('has too long a path');
  const database = parts[0] === undefined ? 0 : count('the database', parts[0], 0, 1_000_000);
  if (mode === 'cluster' && database !== 0) wrong('names a database: Redis Cluster has only database 0');
  return { masterName, database };
}

function readUser(text: string | undefined): Pick<RedisAddress, 'username' | 'password'> {
  if (text === undefined || text === '') return { username: undefined, password: undefined };
  const at = text.indexOf(':');
  const username = decode(at === -1 ? text : text.slice(0, at));
  const password = at === -1 ? undefined : decode(text.slice(at + 1));
  return {
    username: username === '' ? undefined : username,
    password: password === '' ? undefined : password,
  };
}

function readOptions(query: string): Options {
  const options: Options = {};
  for (const [name, value] of new URLSearchParams(query)) {
    const known = OPTIONS.find((option) => option === name);
    if (!known) wrong(`has an unknown option; it takes ${OPTIONS.join(', ')}`);
    options[known] = value;
  }
  return options;
}

function readPrefix(prefix = DEFAULT_PREFIX): string {
  // Braces would move the hash tag, and patterns of access rules need plain characters.
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(prefix)) {
    wrong('takes as prefix 1 to 64 letters, digits, dots, dashes and underscores');
  }
  return prefix;
}

function readDurability(text = 'strict'): RedisAddress['durability'] {
  if (text !== 'strict' && text !== 'weak') wrong('takes durability=strict or durability=weak');
  return text;
}

function yesNo(name: string, text = 'no'): boolean {
  if (text !== 'yes' && text !== 'no') wrong(`takes ${name}=yes or ${name}=no`);
  return text === 'yes';
}

function count(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) wrong(`takes for ${name} a whole number from ${min} to ${max}`);
  return value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return wrong('has a % that is not followed by two hex digits');
  }
}

function wrong(why: string): never {
  throw new MetadataError('Unavailable', `the address of the metadata store ${why}`);
}
