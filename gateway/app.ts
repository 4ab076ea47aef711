import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createHasher, formatProfile } from '#erasure';
import {
  Maintenance,
  chooseProviders,
  createChunkStore,
  defaultProviderList,
  measured,
  openProviders,
  parseProviderList,
  systemClock,
  systemRandom,
} from '#placement';
import type { ChunkCatalog, ProviderRegistry } from '#placement';
import { openAccount, readPem } from './account.ts';
import type { Account } from './account.ts';
import { publishAddress, withdrawAddress } from './admin/address.ts';
import { createMetrics } from './admin/metrics.ts';
import type { Metrics } from './admin/metrics.ts';
import { createAdminServer } from './admin/server.ts';
import type { GatewayStatus, Operator } from './admin/types.ts';
import { accountAuthorizer } from './auth/authorizer.ts';
import { openCredentialStore } from './auth/credentials.ts';
import type { ManagedCredentialStore } from './auth/credentials.ts';
import { createAuthenticator } from './auth/sigv4.ts';
import type { Summary } from './banner.ts';
import { ConfigError } from './config.ts';
import type { Address, Config } from './config.ts';
import { createCatalog } from './engine/catalog.ts';
import { keyFilePath } from './engine/keyFile.ts';
import { openKeyring } from './engine/keyring.ts';
import type { Keyring } from './engine/keyring.ts';
import { openObjectStore } from './engine/store.ts';
import type { Engine } from './engine/store.ts';
import { createHttpServer } from './http/server.ts';
import { createJobs } from './jobs.ts';
import { createLog } from './log.ts';
import type { Logger } from './log.ts';
import { openKeyValueStore } from './metadata/open.ts';
import { createS3Handler } from './s3/dispatch.ts';

export interface Gateway {
  readonly summary: Summary;
  /** Lets requests under way finish until the deadline, then closes everything in order. */
  stop(drainMs: number): Promise<void>;
}

const PROVIDERS_NOTE = 'providers.known';
const KEYS_NOTE = 'keys.first';

/**
 * The composition root: the only place that sees every room.
 * @throws ConfigError, MetadataError, PlacementError, CredentialError: nothing is left open
 */
export async function startGateway(config: Config, version: string): Promise<Gateway> {
  const log = createLog(config.logLevel);
  const closers: (() => Promise<unknown>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.reverse()) await close();
  };
  try {
    return await compose(config, version, log, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function compose(
  config: Config,
  version: string,
  log: Logger,
  closers: (() => Promise<unknown>)[],
  closeAll: () => Promise<void>,
): Promise<Gateway> {
  const account = await openAccount(config);
  const tls = config.tls && {
    cert: await readPem(config.tls.certFile),
    key: await readPem(config.tls.keyFile),
  };
  const kv = await openKeyValueStore(config.metadata, config.data);
  closers.push(() => kv.close());
  const catalog = createCatalog(kv);
  const keyring = await openKeys(config, catalog);
  const credentials = await openCredentials(config, account, keyring);
  let metrics: Metrics | undefined;
  const providers = await openRegistry(config, catalog, () => metrics);
  closers.push(() => providers.close());
  for (const warning of providers.warnings) log.warn(warning);
  const chunks = createChunkStore({
    providers,
    catalog,
    clock: systemClock,
    random: systemRandom,
    hasher: createHasher(),
  });
  closers.push(() => chunks.close());
  const engine = await openObjectStore({
    kv,
    chunks,
    keyring,
    clock: systemClock,
    random: systemRandom,
    region: config.region,
    profile: config.profile,
  });
  closers.push(() => engine.close());
  engine.reclaim.start((error) => log.error({ err: error, job: 'reclaim' }, 'a background job failed'));
  const maintenance = new Maintenance({
    catalog,
    providers,
    choose: chooseProviders,
    clock: systemClock,
    isPending: (chunk) => engine.isPending(chunk),
    onEvent: (event) => {
      if (event.kind === 'failed') log.error({ err: event.error, job: event.job }, 'a background job failed');
      else log.info({ event: event.kind, report: event.report }, `background ${event.kind}`);
    },
  });

  metrics = createMetrics({
    awaitingRepair: async () => await awaitingRepair(catalog),
    providers: () => providerStatus(providers).map((provider) => ({ ...provider })),
  });
  const server = createHttpServer({
    handle: createS3Handler({
      store: engine.store,
      authenticator: createAuthenticator({
        credentials,
        region: config.region,
        clock: systemClock,
        service: 's3',
      }),
      authorizer: accountAuthorizer(account.owner),
      region: config.region,
      domain: config.domain,
      log,
    }),
    log,
    onRequest: metrics.onRequest,
    uploadMemory: config.uploadMemory,
    ...(tls && { tls }),
  });
  const s3Address = await server.listen(config.listen.port, config.listen.host);
  const endpoint = urlOf(tls ? 'https' : 'http', config.listen, s3Address);
  closers.push(() => server.drain(0));

  let ready = true;
  const started = Date.now();
  const operator: Operator = {
    keys: credentials,
    ready: () => ready,
    status: async () =>
      await gatewayStatus({
        config,
        version,
        endpoint,
        started,
        engine,
        providers,
        awaiting: await awaitingRepair(catalog),
      }),
    jobs: createJobs(maintenance, engine),
  };
  const token = randomBytes(32).toString('hex');
  const admin = createAdminServer({ operator, registry: metrics.registry, token });
  const adminUrl = urlOf('http', config.adminListen, await listen(admin, config.adminListen));
  closers.push(() => close(admin));
  await publishAddress(config.data, { url: adminUrl, token, pid: process.pid });
  closers.push(() => withdrawAddress(config.data));
  maintenance.start();
  closers.push(() => maintenance.stop());
  log.info({ endpoint, adminUrl, version }, 'serving');

  return {
    summary: summaryOf(config, version, account, endpoint, adminUrl, providers.warnings),
    async stop(drainMs) {
      ready = false;
      log.info('draining');
      if (!(await server.drain(drainMs))) log.warn('requests under way were cut at the deadline');
      await closeAll();
      log.info('stopped');
    },
  };
}

/**
 * Opens the key-encryption keys. A new one beside metadata that was written under another would make every body unreadable without a word.
 * @throws ConfigError
 */
async function openKeys(config: Config, catalog: ChunkCatalog): Promise<Keyring> {
  const expected = await catalog.getNote(KEYS_NOTE);
  const keyFile = keyFilePath(config.data);
  if (expected !== undefined && !existsSync(keyFile)) {
    throw new ConfigError(
      `${keyFile} is missing, and the data in ${config.data} is encrypted under it: restore it from its backup`,
    );
  }
  const keyring = await openKeyring(config.data);
  if (expected !== undefined && !keyring.keyIds.includes(expected)) {
    throw new ConfigError(
      `${keyFile} does not belong to the data in ${config.data}: the key ${expected} is not in it`,
    );
  }
  if (expected === undefined) await catalog.setNote(KEYS_NOTE, keyring.currentKeyId);
  return keyring;
}

async function openCredentials(
  config: Config,
  account: Account,
  keyring: Keyring,
): Promise<ManagedCredentialStore> {
  return await openCredentialStore({
    root: account.root,
    account: { owner: account.owner, displayName: 'root' },
    path: join(config.data, 'credentials.json'),
    sealer: {
      seal: (text, context) => keyring.seal(Buffer.from(text), context).toString('base64'),
      open: (sealed, context) => keyring.open(Buffer.from(sealed, 'base64'), context).toString(),
    },
    clock: systemClock,
  });
}

/** Opens the providers under the identities of the last run, and keeps them for the next. */
async function openRegistry(
  config: Config,
  catalog: ChunkCatalog,
  metrics: () => Metrics | undefined,
): Promise<ProviderRegistry> {
  const known = await catalog.getNote(PROVIDERS_NOTE);
  const shards = config.profile.data + config.profile.parity;
  const providers = await openProviders({
    entries:
      config.providers === undefined
        ? defaultProviderList(join(config.data, 'providers'), shards)
        : parseProviderList(config.providers.join(',')),
    known: known === undefined ? [] : (JSON.parse(known) as ReturnType<ProviderRegistry['identities']>),
    clock: systemClock,
    decorate: (transport, info) =>
      measured(transport, systemClock, ({ kind, latencyMs, failure }) =>
        metrics()?.onProviderCall({
          provider: info.id,
          kind,
          outcome: failure ?? 'ok',
          seconds: latencyMs / 1000,
        }),
      ),
  });
  const identities = JSON.stringify(providers.identities());
  if (identities !== known) await catalog.setNote(PROVIDERS_NOTE, identities);
  return providers;
}

async function awaitingRepair(catalog: ChunkCatalog): Promise<number> {
  let count = 0;
  for (let after: string | undefined; ;) {
    const page = await catalog.repairQueue(after, 1000);
    count += page.length;
    after = page.at(-1);
    if (after === undefined) return count;
  }
}

function providerStatus(providers: ProviderRegistry): GatewayStatus['providers'] {
  const writable = new Set(
    providers
      .candidates()
      .filter(({ weight }) => weight > 0)
      .map(({ info }) => info.id),
  );
  return providers.all().map(({ info }) => ({
    id: info.id,
    endpoint: info.endpoint,
    state: info.state,
    writable: writable.has(info.id),
    capacityBytes: info.capacity,
    freeBytes: info.free,
  }));
}

async function gatewayStatus(parts: {
  config: Config;
  version: string;
  endpoint: string;
  started: number;
  engine: Engine;
  providers: ProviderRegistry;
  awaiting: number;
}): Promise<GatewayStatus> {
  const { config, providers } = parts;
  const status = providerStatus(providers);
  const writeQuorum = config.profile.data + Math.ceil(config.profile.parity / 2);
  return {
    version: parts.version,
    endpoint: parts.endpoint,
    uptimeSeconds: (Date.now() - parts.started) / 1000,
    region: config.region,
    profile: formatProfile(config.profile),
    metadata: config.metadata,
    buckets: (await parts.engine.store.listBuckets()).buckets.length,
    chunksAwaitingRepair: parts.awaiting,
    providers: status,
    writeQuorum,
    writable: status.filter(({ writable }) => writable).length >= writeQuorum,
  };
}

function summaryOf(
  config: Config,
  version: string,
  account: Account,
  endpoint: string,
  adminUrl: string,
  warnings: readonly string[],
): Summary {
  return {
    version,
    endpoint,
    adminUrl,
    region: config.region,
    data: config.data,
    profile: formatProfile(config.profile),
    accessKey: account.root.accessKey,
    newSecretKey: account.isNew ? account.root.secretKey : undefined,
    credentialsFile: account.credentialsFile,
    warnings,
  };
}

async function listen(server: Server, address: Address): Promise<AddressInfo> {
  return await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => resolve(server.address() as AddressInfo));
  });
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}

/** A URL that works from this machine, whatever the address listened on. */
function urlOf(scheme: string, { host }: Address, { port }: AddressInfo): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
