import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Profile } from '#erasure';
import { parseProfile } from '#erasure';
import type { DomainLevel } from '#placement';
import { metadataName } from './metadata/name.ts';

/** Everything the program can be told, read once at start and frozen. The only file that reads the environment. */
export interface Config {
  readonly listen: Address;
  readonly adminListen: Address;
  /** Where providers and HyperNodes come; undefined: nobody registers. */
  readonly networkListen: Address | undefined;
  /** Absolute path of the data folder. */
  readonly data: string;
  readonly region: string;
  /** 'lmdb', 'memory' or an address that may hold a password: metadata/name.ts gives what may be shown. */
  readonly metadata: string;
  readonly metadataPassword: string | undefined;
  readonly profile: Profile;
  /** Provider specifications, or undefined for the default directories under the data folder. */
  readonly providers: readonly string[] | undefined;
  /** Levels of the failure-domain tree of which the loss of any one domain must leave every new chunk readable. */
  readonly survive: readonly DomainLevel[];
  /** Milliseconds of an era. */
  readonly eraMs: number;
  /** Audits passed and days after which a provider is vetted. */
  readonly vetting: { readonly audits: number; readonly days: number };
  /** Independent groups of HyperNodes without which nothing is decided. */
  readonly monitorGroups: number;
  /** Credentials of S3 buckets that serve as providers, by the name in the provider list. */
  readonly bucketCredentials: ReadonlyMap<string, { readonly accessKey: string; readonly secretKey: string }>;
  /** Suffix of the Host header for virtual-host style requests. */
  readonly domain: string | undefined;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly root: { readonly accessKey: string; readonly secretKey: string } | undefined;
  readonly logLevel: LogLevel;
  /** Bytes that request bodies under way may hold together. */
  readonly uploadMemory: number;
  /** Bytes. */
  readonly readCache: number;
  /** Processes that share the port and the store. */
  readonly workers: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

const DOMAIN_LEVELS = ['region', 'site', 'operator'] as const satisfies readonly DomainLevel[];
/** Credentials of a bucket called NAME in the provider list, as accessKey:secretKey. */
const BUCKET_CREDENTIALS = 'SHARDWAY_S3_CREDENTIALS_';
const JOIN_TOKEN = 'SHARDWAY_TOKEN';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface Setting {
  readonly env: string;
  /** Long option of `shardway serve`; absent where a value on the command line would leak (other users can read it). */
  readonly flag?: string;
  readonly placeholder: string;
  readonly fallback?: string;
  readonly help: string;
}

/** One row per setting; the command line's help and the README's table come from here. */
export const SETTINGS = {
  listen: {
    env: 'SHARDWAY_LISTEN',
    flag: 'listen',
    placeholder: 'host:port',
    fallback: '127.0.0.1:9000',
    help: 'address of the S3 listener',
  },
  adminListen: {
    env: 'SHARDWAY_ADMIN_LISTEN',
    flag: 'admin-listen',
    placeholder: 'host:port',
    fallback: '127.0.0.1:9001',
    help: 'address of the admin listener: health, metrics, operators’ commands',
  },
  networkListen: {
    env: 'SHARDWAY_NETWORK_LISTEN',
    flag: 'network-listen',
    placeholder: 'host:port',
    fallback: '127.0.0.1:9002',
    help: 'address at which providers and HyperNodes register and report; off for none',
  },
  data: {
    env: 'SHARDWAY_DATA',
    flag: 'data',
    placeholder: 'folder',
    fallback: './data',
    help: 'folder of metadata, keys and the default providers',
  },
  rootAccessKey: {
    env: 'SHARDWAY_ROOT_ACCESS_KEY',
    placeholder: 'key',
    help: 'access key of the account; made at the first start when absent',
  },
  rootSecretKey: {
    env: 'SHARDWAY_ROOT_SECRET_KEY',
    placeholder: 'secret',
    help: 'its secret; made at the first start when absent',
  },
  region: {
    env: 'SHARDWAY_REGION',
    flag: 'region',
    placeholder: 'name',
    fallback: 'us-east-1',
    help: 'region that clients sign for',
  },
  metadata: {
    env: 'SHARDWAY_METADATA',
    flag: 'metadata',
    placeholder: 'store',
    fallback: 'lmdb',
    help: 'metadata store: lmdb, memory (lost at exit), or redis://…, redis+sentinel://…, redis+cluster://…',
  },
  profile: {
    env: 'SHARDWAY_PROFILE',
    flag: 'profile',
    placeholder: 'k+m',
    fallback: '4+2',
    help: 'data and parity shards of new chunks',
  },
  providers: {
    env: 'SHARDWAY_PROVIDERS',
    flag: 'providers',
    placeholder: 'list',
    help: 'comma-separated providers of this gateway’s own: folders or s3://bucket?endpoint=…, each may be region/site/operator=…; none for registered ones alone; default: k+m folders under the data folder',
  },
  survive: {
    env: 'SHARDWAY_SURVIVE',
    flag: 'survive',
    placeholder: 'levels',
    help: 'comma-separated region, site, operator: a write is refused unless the loss of any one of these leaves it readable; default: as far as the providers allow',
  },
  era: {
    env: 'SHARDWAY_ERA',
    flag: 'era',
    placeholder: 'seconds',
    fallback: '3600',
    help: 'seconds of an era, after which HyperNodes report and scores are computed; their half-lives scale with it',
  },
  vetting: {
    env: 'SHARDWAY_VETTING',
    flag: 'vetting',
    placeholder: 'audits/days',
    fallback: '100/21',
    help: 'audits a new provider must pass, and days it must serve, until it takes its full share',
  },
  monitorGroups: {
    env: 'SHARDWAY_MONITOR_GROUPS',
    flag: 'monitor-groups',
    placeholder: 'n',
    fallback: '7',
    help: 'independent groups of HyperNodes without which nothing is decided about a provider',
  },
  domain: {
    env: 'SHARDWAY_DOMAIN',
    flag: 'domain',
    placeholder: 'name',
    help: 'domain for virtual-host style requests (bucket.domain)',
  },
  tlsCert: {
    env: 'SHARDWAY_TLS_CERT',
    flag: 'tls-cert',
    placeholder: 'file',
    help: 'PEM certificate chain; with the key, the S3 listener speaks TLS',
  },
  tlsKey: { env: 'SHARDWAY_TLS_KEY', flag: 'tls-key', placeholder: 'file', help: 'PEM private key' },
  logLevel: {
    env: 'SHARDWAY_LOG_LEVEL',
    flag: 'log-level',
    placeholder: 'level',
    fallback: 'info',
    help: LOG_LEVELS.join(', '),
  },
  uploadMemory: {
    env: 'SHARDWAY_UPLOAD_MEMORY',
    flag: 'upload-memory',
    placeholder: 'MiB',
    fallback: '192',
    help: 'MiB that all uploads under way may hold, in all workers together; beyond it sockets are not read',
  },
  readCache: {
    env: 'SHARDWAY_READ_CACHE',
    flag: 'read-cache',
    placeholder: 'MiB',
    fallback: '32',
    help: 'MiB for the ciphertext of small objects that were read lately, in all workers together; 0 for none',
  },
  metadataPassword: {
    env: 'SHARDWAY_METADATA_PASSWORD',
    placeholder: 'secret',
    help: 'password of the metadata store, when its address has none',
  },
  workers: {
    env: 'SHARDWAY_WORKERS',
    flag: 'workers',
    placeholder: 'n',
    fallback: '1',
    help: 'processes that share the port and the store, or auto for one for each core',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;
export type Flags = Partial<Record<SettingName, string>>;

/**
 * Flags win over the environment, the environment over the defaults.
 * @throws ConfigError naming the setting and what it takes
 */
export function readConfig(
  flags: Flags = {},
  environment: Record<string, string | undefined> = process.env,
): Config {
  const text = (name: SettingName): string | undefined => {
    const setting: Setting = SETTINGS[name];
    const value = flags[name] ?? environment[setting.env];
    return value === undefined || value === '' ? setting.fallback : value;
  };
  const required = (name: SettingName): string => text(name) ?? fail(name, 'is required');

  const certFile = text('tlsCert');
  const keyFile = text('tlsKey');
  if ((certFile === undefined) !== (keyFile === undefined)) {
    fail(certFile === undefined ? 'tlsCert' : 'tlsKey', 'must be given too: TLS needs certificate and key');
  }
  const accessKey = text('rootAccessKey');
  const secretKey = text('rootSecretKey');
  if ((accessKey === undefined) !== (secretKey === undefined)) {
    fail(
      accessKey === undefined ? 'rootAccessKey' : 'rootSecretKey',
      'must be given too: keys come in pairs',
    );
  }
  if (accessKey !== undefined && !/^[A-Za-z0-9._-]{3,128}$/.test(accessKey)) {
    fail('rootAccessKey', 'takes 3 to 128 letters, digits, dots, dashes and underscores');
  }
  const region = required('region');
  if (!/^[a-z0-9-]{1,64}$/.test(region)) fail('region', 'takes lower-case letters, digits and dashes');
  const domain = text('domain')?.toLowerCase();
  if (domain !== undefined && (!/^[a-z0-9.-]{1,253}$/.test(domain) || isIP(domain) !== 0)) {
    fail('domain', 'takes a DNS name without port');
  }
  const metadata = metadataStore(required('metadata'));
  const logLevel =
    LOG_LEVELS.find((level) => level === required('logLevel')) ??
    fail('logLevel', `takes one of ${LOG_LEVELS.join(', ')}`);
  const uploadMemoryMiB = wholeNumber('uploadMemory', required('uploadMemory'), 16);

  const networkListen = required('networkListen');
  return Object.freeze({
    listen: address('listen', required('listen')),
    adminListen: address('adminListen', required('adminListen')),
    networkListen: networkListen === 'off' ? undefined : address('networkListen', networkListen),
    survive: domainLevels(text('survive')),
    eraMs: wholeNumber('era', required('era'), 1) * 1000,
    vetting: vetting(required('vetting')),
    monitorGroups: wholeNumber('monitorGroups', required('monitorGroups'), 1),
    bucketCredentials: bucketCredentials(environment),
    data: resolve(required('data')),
    region,
    metadata,
    metadataPassword: text('metadataPassword'),
    profile: profile(required('profile')),
    providers: providers(text('providers')),
    domain,
    tls: certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined,
    root: accessKey !== undefined && secretKey !== undefined ? { accessKey, secretKey } : undefined,
    logLevel,
    uploadMemory: uploadMemoryMiB * 1024 * 1024,
    readCache: wholeNumber('readCache', required('readCache'), 0) * 1024 * 1024,
    workers: workers(required('workers'), metadata),
  });
}

/** The data folder alone: what commands need that talk to a running gateway. */
export function dataFolder(
  flags: Flags = {},
  environment: Record<string, string | undefined> = process.env,
): string {
  const value = flags.data ?? environment[SETTINGS.data.env];
  return resolve(value === undefined || value === '' ? SETTINGS.data.fallback : value);
}

/**
 * Variables that look like settings and are none: a misspelt one would otherwise pass for its default. Not those that Kubernetes gives every container of a
 * namespace with a service of this name, such as SHARDWAY_SERVICE_HOST and SHARDWAY_PORT_9000_TCP.
 */
export function unknownSettings(
  environment: Record<string, string | undefined> = process.env,
): readonly string[] {
  const known = new Set<string>([...Object.values(SETTINGS).map(({ env }) => env), JOIN_TOKEN]);
  return Object.keys(environment).filter(
    (name) =>
      name.startsWith('SHARDWAY_') &&
      !name.startsWith(BUCKET_CREDENTIALS) &&
      !known.has(name) &&
      !/^SHARDWAY_(?:\w+_)?(?:SERVICE_(?:HOST|PORT)|PORT)(?:_|$)/.test(name),
  );
}

/** What is wrong with a setting, under the names that the operator knows it by. */
export function settingError(name: SettingName, why: string, cause?: unknown): ConfigError {
  const setting: Setting = SETTINGS[name];
  const flag = setting.flag === undefined ? '' : ` (--${setting.flag})`;
  return new ConfigError(`${setting.env}${flag} ${why}`, { cause });
}

function fail(name: SettingName, why: string): never {
  throw settingError(name, why);
}

function address(name: SettingName, text: string): Address {
  return (
    parseAddress(text) ?? fail(name, `takes host:port, like 127.0.0.1:9000 or [::1]:9000; got '${text}'`)
  );
}

/** Undefined for what is not host:port. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) return undefined;
  return { host: match[1] ?? (match[2] === undefined || match[2] === '' ? '0.0.0.0' : match[2]), port };
}

/** @param orElse what the setting takes besides */
function wholeNumber(name: SettingName, text: string, min: number, orElse = ''): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min)
    fail(name, `takes a whole number, at least ${min}${orElse}; got '${text}'`);
  return value;
}

/** More would only wait for each other. */
const WORKERS_MAX = 256;

function workers(text: string, metadata: string): number {
  const count = text === 'auto' ? availableParallelism() : wholeNumber('workers', text, 1, ', or auto');
  if (count > WORKERS_MAX) fail('workers', `takes at most ${WORKERS_MAX}`);
  if (count > 1 && metadata === 'memory') {
    fail('workers', 'takes 1 with metadata in memory, which processes cannot share');
  }
  return count;
}

function domainLevels(text: string | undefined): readonly DomainLevel[] {
  if (text === undefined) return [];
  return text.split(',').map((part) => {
    const level = DOMAIN_LEVELS.find((one) => one === part.trim());
    return level ?? fail('survive', `takes ${DOMAIN_LEVELS.join(', ')}; got '${part}'`);
  });
}

function vetting(text: string): Config['vetting'] {
  const match = /^(\d+)\/(\d+(?:\.\d+)?)$/.exec(text);
  if (!match) fail('vetting', `takes audits/days, like 100/21; got '${text}'`);
  return { audits: Number(match[1]), days: Number(match[2]) };
}

function bucketCredentials(environment: Record<string, string | undefined>): Config['bucketCredentials'] {
  const found = new Map<string, { accessKey: string; secretKey: string }>();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(BUCKET_CREDENTIALS) || value === undefined || value === '') continue;
    const at = value.indexOf(':');
    if (at < 1) throw new ConfigError(`${variable} takes accessKey:secretKey`);
    found.set(variable.slice(BUCKET_CREDENTIALS.length), {
      accessKey: value.slice(0, at),
      secretKey: value.slice(at + 1),
    });
  }
  return found;
}

/** A party's join token, which other users could read on its command line. */
export function joinToken(environment: Record<string, string | undefined> = process.env): string | undefined {
  const token = environment[JOIN_TOKEN];
  return token === '' ? undefined : token;
}

/** What it may hold besides a name is a password: an error says what is wrong, not what was given. */
function metadataStore(text: string): string {
  try {
    metadataName(text);
    return text;
  } catch (error) {
    fail('metadata', `is wrong: ${(error as Error).message}`);
  }
}

function profile(text: string): Profile {
  try {
    return parseProfile(text);
  } catch (error) {
    fail('profile', `is wrong: ${(error as Error).message}`);
  }
}

function providers(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return [];
  const list = text.split(',').map((entry) => entry.trim());
  if (list.some((entry) => entry === '')) fail('providers', 'has an empty entry');
  return list;
}
