import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { formatProfile } from '#erasure';
import {
  Maintenance,
  asRepair,
  chooseProviders,
  createChunkStore,
  systemClock,
  systemRandom,
  writeQuorum,
} from '#placement';
import type { ChunkCatalog, ProviderRegistry } from '#placement';
import { openAccount } from './account.ts';
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
import type { Config } from './config.ts';
import { createCatalog } from './engine/catalog.ts';
import { keyFilePath } from './engine/keyFile.ts';
import { openKeyring } from './engine/keyring.ts';
import type { Keyring } from './engine/keyring.ts';
import { openObjectStore } from './engine/store.ts';
import type { Engine } from './engine/store.ts';
import { Foreground } from './foreground.ts';
import { createHttpServer } from './http/server.ts';
import { createJobs } from './jobs.ts';
import { close, listen, listening, readTls, urlOf } from './listening.ts';
import { createLog } from './log.ts';
import type { Logger } from './log.ts';
import { brief, logMaintenance } from './maintenanceLog.ts';
import { openKeyValueStore } from './metadata/open.ts';
import { openNetwork } from './openNetwork.ts';
import type { OpenNetwork } from './openNetwork.ts';
import { openRegistry, providerStatus, watchProviders } from './providers.ts';
import { createS3Handler } from './s3/dispatch.ts';

export interface Gateway {
  readonly summary: Summary;
  /** Lets requests under way finish until the deadline, then closes everything in order. */
  stop(drainMs: number): Promise<void>;
}

/** An hour-long era leaves a leaving provider's shards where they are for a minute at most. */
const EVACUATE_EVERY_MS = 60_000;
/** An operator who asks is told figures no older, as long as there are so few chunks that looking at all takes a second. */
const DURABILITY_AGE_MS = 10_000;
const SURVEYED_AT_ONCE = 20_000;
const KEYS_NOTE = 'keys.first';
const OWNER_NOTE = 'account.owner';

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
  const tls = await readTls(config.tls);
  const kv = await openKeyValueStore(config.metadata, config.data);
  closers.push(() => kv.close());
  const catalog = createCatalog(kv);
  await checkOwner(config, catalog, account);
  const keyring = await openKeys(config, catalog);
  const credentials = await openCredentials(config, account, keyring);
  let metrics: Metrics | undefined;
  let network: OpenNetwork | undefined;
  const { providers, warnings } = await openRegistry(config, catalog, {
    metrics: () => metrics,
    onOutcome: (...outcome) => network?.service.noteOutcome(...outcome),
  });
  closers.push(() => providers.close());
  for (const warning of warnings) log.warn(warning);
  const chunks = createChunkStore({
    providers,
    catalog,
    clock: systemClock,
    random: systemRandom,
    survive: config.survive,
    onLateFailed: (chunk) => maintenance.repairSoon(chunk),
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
  const foreground = new Foreground(() => maintenance.evacuations().size > 0);
  const maintenance: Maintenance = new Maintenance(
    {
      catalog,
      providers,
      choose: chooseProviders,
      clock: systemClock,
      profile: config.profile,
      isPending: (chunk) => engine.isPending(chunk),
      heldShards: (id) => network?.service.heldShards(id),
      isUploading: (chunk) => chunks.isUploading(chunk),
      bucketOf: (chunk) => engine.bucketOf(chunk),
      foreground: () => foreground.latency(),
      onEvent: (event) => logMaintenance(log, event),
      onEvacuated: (report) => log.info({ report: brief(report) }, 'shards were moved off a provider'),
    },
    { evacuateIntervalMs: Math.min(EVACUATE_EVERY_MS, config.eraMs) },
  );
  const unfollow = providers.onState(() => maintenance.wake('evacuate'));
  closers.push(async () => unfollow());
  network = await openNetwork({
    config,
    catalog,
    registry: providers,
    log,
    shardsAt: (id) => maintenance.shardsAt(id),
    isEmptied: (id) => maintenance.isEmptied(id),
    durability: () => maintenance.durability(),
  });
  if (network) closers.push(() => network.close());

  metrics = createMetrics({
    awaitingRepair: () => awaitingRepair(catalog),
    providers: () => providerStatus(providers),
    network: () => network?.service,
    durability: () => maintenance.durability(),
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
    onRequest: (sample) => {
      metrics?.onRequest(sample);
      foreground.add(sample.seconds);
    },
    uploadMemory: config.uploadMemory,
    ...(tls && { tls }),
  });
  const s3Address = await listening('listen', config.listen, () =>
    server.listen(config.listen.port, config.listen.host),
  );
  const endpoint = urlOf(tls ? 'https' : 'http', config.listen, s3Address);
  closers.push(() => server.drain(0));

  let ready = true;
  const started = Date.now();
  const operator: Operator = {
    keys: credentials,
    network: () => network?.service,
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
        durability: await recentDurability(maintenance),
      }),
    jobs: createJobs(maintenance, engine),
  };
  const token = randomBytes(32).toString('hex');
  const admin = createAdminServer({ operator, registry: metrics.registry, token });
  const adminAddress = await listening('adminListen', config.adminListen, () =>
    listen(admin, config.adminListen),
  );
  const adminUrl = urlOf('http', config.adminListen, adminAddress);
  closers.push(() => close(admin));
  await publishAddress(config.data, { url: adminUrl, token, pid: process.pid });
  closers.push(() => withdrawAddress(config.data));
  const networkUrl = await network?.listen(() => [
    { host: config.listen.host, port: s3Address.port },
    { host: config.adminListen.host, port: adminAddress.port },
  ]);
  asRepair(() => maintenance.start());
  const unwatch = watchProviders(providers, log);
  closers.push(async () => unwatch());
  closers.push(() => maintenance.stop());
  log.info({ endpoint, adminUrl, version }, 'serving');

  return {
    summary: summaryOf(config, version, account, { endpoint, adminUrl, networkUrl }, warnings),
    async stop(drainMs) {
      ready = false;
      log.info('draining');
      if (!(await server.drain(drainMs))) log.warn('requests under way were cut at the deadline');
      await closeAll();
      log.info('stopped');
    },
  };
}

/** Buckets belong to their owner: under another one, as after the loss of its file, no key could reach them. @throws ConfigError */
async function checkOwner(config: Config, catalog: ChunkCatalog, { owner }: Account): Promise<void> {
  const expected = await catalog.getNote(OWNER_NOTE);
  if (expected === undefined) await catalog.setNote(OWNER_NOTE, owner);
  else if (expected !== owner) {
    throw new ConfigError(
      `${join(config.data, 'account.json')} does not belong to the data in ${config.data}: restore it from its backup, or set its owner to ${expected}`,
    );
  }
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

async function awaitingRepair(catalog: ChunkCatalog): Promise<number> {
  let count = 0;
  for (let after: string | undefined; ;) {
    const page = await catalog.repairQueue(after, 1000);
    count += page.length;
    after = page.at(-1);
    if (after === undefined) return count;
  }
}

/** The last report; made anew where that takes a moment only. */
async function recentDurability(maintenance: Maintenance): Promise<GatewayStatus['durability']> {
  const last = await maintenance.durability();
  if (last.ageMs < DURABILITY_AGE_MS || last.whole.chunks > SURVEYED_AT_ONCE) return last;
  return { ...(await maintenance.surveyDurability()), ageMs: 0 };
}

async function gatewayStatus(parts: {
  config: Config;
  version: string;
  endpoint: string;
  started: number;
  engine: Engine;
  providers: ProviderRegistry;
  awaiting: number;
  durability: GatewayStatus['durability'];
}): Promise<GatewayStatus> {
  const { config, providers } = parts;
  // What an operator asks about now, not what the last probe saw.
  await providers.probe();
  const status = providerStatus(providers);
  const quorum = writeQuorum(config.profile);
  return {
    version: parts.version,
    endpoint: parts.endpoint,
    uptimeSeconds: (Date.now() - parts.started) / 1000,
    region: config.region,
    profile: formatProfile(config.profile),
    metadata: config.metadata,
    buckets: (await parts.engine.store.listBuckets()).buckets.length,
    chunksAwaitingRepair: parts.awaiting,
    ...(parts.durability && { durability: parts.durability }),
    providers: status,
    writeQuorum: quorum,
    writable: status.filter(({ writable }) => writable).length >= quorum,
  };
}

function summaryOf(
  config: Config,
  version: string,
  account: Account,
  urls: Pick<Summary, 'endpoint' | 'adminUrl' | 'networkUrl'>,
  warnings: readonly string[],
): Summary {
  return {
    version,
    ...urls,
    region: config.region,
    data: config.data,
    profile: formatProfile(config.profile),
    accessKey: account.root.accessKey,
    newSecretKey: account.isNew ? account.root.secretKey : undefined,
    credentialsFile: account.credentialsFile,
    warnings,
  };
}
