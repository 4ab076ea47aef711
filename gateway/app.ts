import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { formatProfile } from '#erasure';
import {
  Maintenance,
  asRepair,
  chooseProviders,
  createChunkStore,
  systemClock,
  systemRandom,
} from '#placement';
import { makeDataFolder, openAccount } from './account.ts';
import type { Account } from './account.ts';
import { publishAddress, withdrawAddress } from './admin/address.ts';
import { createMetrics } from './admin/metrics.ts';
import type { Metrics } from './admin/metrics.ts';
import { createAdminServer } from './admin/server.ts';
import { ownMetrics, registryOfAll } from './allMetrics.ts';
import type { MetricValues } from './allMetrics.ts';
import type { Operator } from './admin/types.ts';
import { accountAuthorizer } from './auth/authorizer.ts';
import { createAuthenticator } from './auth/sigv4.ts';
import { activityOf, heldProviders, watchChunks } from './background.ts';
import type { Summary } from './banner.ts';
import type { Config } from './config.ts';
import { createCatalog } from './engine/catalog.ts';
import type { Leadership } from './engine/lease.ts';
import { openObjectStore } from './engine/store.ts';
import { followNetwork, publishNetwork } from './followNetwork.ts';
import { Foreground } from './foreground.ts';
import { createHttpServer } from './http/server.ts';
import type { HttpServer } from './http/server.ts';
import { createJobs, heldJobs } from './jobs.ts';
import { close, listen, listening, readTls, urlOf } from './listening.ts';
import { createLog } from './log.ts';
import type { Logger } from './log.ts';
import { brief, logMaintenance } from './maintenanceLog.ts';
import { durabilityOf } from './metadata/durability.ts';
import { openLmdbStore } from './metadata/lmdb.ts';
import type { KeyValueStore, StoreDurability } from './metadata/types.ts';
import { openKeyValueStore } from './metadata/open.ts';
import { openNetwork } from './openNetwork.ts';
import type { OpenNetwork } from './openNetwork.ts';
import { checkOwner, isJoining, openCredentials, openKeys } from './ownership.ts';
import { isShared, openRegistry, providerStatus, watchProviders } from './providers.ts';
import { GivenRole } from './role.ts';
import type { Role } from './role.ts';
import { createS3Handler } from './s3/dispatch.ts';
import { awaitingReclaim, awaitingRepair, gatewayStatus } from './status.ts';

export interface Gateway {
  readonly summary: Summary;
  /** Names this process to others over the same store. */
  readonly session: string;
  /** Resolves when others have declared this process dead: it must be stopped, and may be started anew. */
  readonly lost: Promise<void>;
  readonly leadership: Leadership;
  /** Another process has ended for certain, whose session this was. */
  exited(session: string): void;
  /** Answers from now on that it is not ready. */
  unready(): void;
  metrics(): Promise<MetricValues>;
  /** Lets requests under way finish until the deadline, then closes everything in order. */
  stop(drainMs: number): Promise<void>;
}

/** An hour-long era leaves a leaving provider's shards where they are for a minute at most. */
const EVACUATE_EVERY_MS = 60_000;

/** One of several processes of a gateway. */
export interface WorkerPlace {
  /** Names the workers of one parent. */
  readonly group: string;
  /** Whether this one answers on the admin listener. */
  readonly admin: Role;
  /** Metrics of the other workers. */
  collect(): Promise<readonly MetricValues[]>;
}

/**
 * The composition root: the only place that sees every room.
 * @param worker where this process is one of several of a gateway
 * @throws ConfigError, MetadataError, PlacementError, CredentialError: nothing is left open
 */
export async function startGateway(config: Config, version: string, worker?: WorkerPlace): Promise<Gateway> {
  const log = createLog(config.logLevel, worker ? process.pid : undefined);
  const closers: (() => Promise<unknown>)[] = [];
  const closeAll = async (): Promise<void> => {
    const errors: unknown[] = [];
    // Each of them, as with the metadata store away: what stays open would keep the process alive.
    for (const close of closers.splice(0).toReversed()) await close().catch((error) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  };
  try {
    return await compose(config, version, worker, log, closers, closeAll);
  } catch (error) {
    await closeAll().catch(() => undefined);
    throw error;
  }
}

async function compose(
  config: Config,
  version: string,
  worker: WorkerPlace | undefined,
  log: Logger,
  closers: (() => Promise<unknown>)[],
  closeAll: () => Promise<void>,
): Promise<Gateway> {
  await makeDataFolder(config);
  const tls = await readTls(config.tls);
  const kv =
    worker && config.metadata === 'lmdb'
      ? openLmdbStore({ directory: join(config.data, 'metadata'), shared: true })
      : await openKeyValueStore(config.metadata, config.data, { password: config.metadataPassword });
  closers.push(() => kv.close());
  tellDurability(log, kv);
  const catalog = createCatalog(kv);
  // Made once the store is there: what a first start makes is told once.
  const account = await openAccount(config, await isJoining(config, catalog));
  await checkOwner(config, catalog, account);
  const keyring = await openKeys(config, catalog);
  const credentials = await openCredentials(config, account, keyring);
  let metrics: Metrics | undefined;
  let network: OpenNetwork | undefined;
  let s3: HttpServer | undefined;
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
  const hasPeers = worker !== undefined || isShared(config);
  const watched = watchChunks(chunks);
  const engine = await openObjectStore({
    kv,
    chunks: hasPeers ? watched.store : chunks,
    keyring,
    clock: systemClock,
    random: systemRandom,
    region: config.region,
    profile: config.profile,
    options: { readCacheBytes: config.readCache },
    ...(hasPeers && {
      peers: {
        group: worker?.group ?? randomBytes(8).toString('hex'),
        // Its directory is locked for this gateway.
        exclusive: config.metadata === 'lmdb',
        activity: () => activityOf(watched, providers),
        place: { host: hostname(), pid: process.pid, data: config.data },
        onError: unlessAway(kv, (error) => log.warn({ error }, 'a beat to the other processes failed')),
      },
    }),
  });
  closers.push(() => engine.close());
  const { leadership, peers } = engine;
  engine.reclaim.start(
    unlessAway(kv, (error) => log.error({ err: error, job: 'reclaim' }, 'a background job failed')),
  );
  const foreground = new Foreground(() => maintenance.evacuations().size > 0);
  const maintenance: Maintenance = new Maintenance(
    {
      catalog: engine.heldCatalog,
      providers: peers ? heldProviders(providers, leadership, (id) => peers.openPuts(id)) : providers,
      holdsLease: async () => leadership.isHeld(),
      choose: chooseProviders,
      clock: systemClock,
      profile: config.profile,
      isPending: (chunk) => engine.isPending(chunk),
      heldShards: (id) => network?.service.heldShards(id),
      isUploading: (chunk) => chunks.isUploading(chunk) || (peers?.isUploading(chunk) ?? false),
      bucketOf: (chunk) => engine.bucketOf(chunk),
      foreground: () => foreground.latency(),
      onEvent: (event) => logMaintenance(log, event),
      onEvacuated: (report) => log.info({ report: brief(report) }, 'shards were moved off a provider'),
    },
    { evacuateIntervalMs: Math.min(EVACUATE_EVERY_MS, config.eraMs) },
  );
  const unfollow = providers.onState(() => maintenance.wake('evacuate'));
  closers.push(async () => unfollow());
  const onNetworkError = unlessAway(kv, (error) => log.warn({ error }, 'the providers known to others'));
  const follower = peers && (await followNetwork(config, catalog, providers, onNetworkError));
  if (follower) closers.push(() => follower.stop());
  await leadership.whileHeld(async () => {
    await follower?.stop();
    const opened = await openNetwork({
      config,
      catalog: engine.heldCatalog,
      registry: {
        admit: (member) => providers.admit(member),
        stand: (...all) => providers.stand(...all),
        move: (...all) => providers.move(...all),
        dismiss: (id) => providers.dismiss(id),
        openPuts: (id) => providers.openPuts(id) + (peers?.openPuts(id) ?? 0),
      },
      log,
      shardsAt: (id) => maintenance.shardsAt(id),
      isEmptied: (id) => maintenance.isEmptied(id),
      durability: () => maintenance.durability(),
    });
    network = opened;
    const unpublish = peers && opened && publishNetwork(opened.service, engine.heldCatalog, onNetworkError);
    return async () => {
      network = undefined;
      await unpublish?.();
      await opened?.close();
      await follower?.start();
    };
  });

  metrics = createMetrics({
    metadata: () => durabilityOf(kv),
    role: () => ({
      background: leadership.isHeld(),
      processes: 1 + (peers?.members.others().size ?? 0),
    }),
    admission: () => s3?.admission(),
    awaitingRepair: () => awaitingRepair(catalog),
    awaitingReclaim: () => awaitingReclaim(engine),
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
    domain: config.domain,
    ...(tls && { tls }),
  });
  s3 = server;
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
    // Behind a load balancer, another gateway may reach the store.
    ready: () => ready && durabilityOf(kv).reachable,
    status: async () =>
      await gatewayStatus({
        config,
        kv,
        version,
        endpoint,
        started,
        engine,
        providers,
        maintenance,
      }),
    jobs: heldJobs(createJobs(maintenance, engine), leadership, async () => await peers?.processes()),
  };
  const { registry } = metrics;
  const all = worker ? registryOfAll(registry, () => worker.collect()) : registry;
  let [adminUrl, adminPort] = ['', config.adminListen.port];
  const adminRole = worker?.admin ?? new GivenRole(true, () => undefined);
  closers.push(() => adminRole.end());
  await adminRole.whileGiven(async () => {
    await credentials.refresh();
    const token = randomBytes(32).toString('hex');
    const admin = createAdminServer({ operator, registry: all, token });
    const bound = await listening('adminListen', config.adminListen, () => listen(admin, config.adminListen));
    adminPort = bound.port;
    adminUrl = urlOf('http', config.adminListen, bound);
    await publishAddress(config.data, { url: adminUrl, token, pid: process.pid });
    return async () => {
      await withdrawAddress(config.data);
      await close(admin);
    };
  });
  let networkUrl: string | undefined;
  await leadership.whileHeld(async () => {
    networkUrl = await network?.listen(() => [
      { host: config.listen.host, port: s3Address.port },
      { host: config.adminListen.host, port: adminPort },
    ]);
    asRepair(() => maintenance.start());
    return () => maintenance.stop();
  });
  if (peers) {
    await leadership.whileHeld(async () => {
      log.info('this process does the background work');
      return async () => log.info('this process does the background work no longer');
    });
  }
  closers.push(() => leadership.release());
  const unwatch = watchProviders(providers, log);
  closers.push(async () => unwatch());
  log.info({ endpoint, adminUrl, version }, 'serving');

  return {
    summary: summaryOf(config, version, account, { endpoint, adminUrl, networkUrl }, warnings),
    session: engine.session,
    lost: peers?.members.lost ?? new Promise(() => undefined),
    leadership,
    exited: (session) => peers?.members.exited(session),
    unready() {
      ready = false;
    },
    metrics: () => ownMetrics(registry),
    async stop(drainMs) {
      ready = false;
      log.info('draining');
      if (!(await server.drain(drainMs))) log.warn('requests under way were cut at the deadline');
      await closeAll().catch((error: unknown) => {
        if (durabilityOf(kv).reachable) throw error;
        log.warn({ error }, 'closed without the metadata store: the others find out by themselves');
      });
      log.info('stopped');
    },
  };
}

/** What fails while the store is away fails every second: that it is away is said once. */
function unlessAway(kv: KeyValueStore, tell: (error: unknown) => void): (error: unknown) => void {
  return (error) => {
    if (durabilityOf(kv).reachable) tell(error);
  };
}

function tellDurability(log: Logger, kv: KeyValueStore): void {
  let awaySince: number | undefined;
  const tell = ({ state, reasons, reachable }: StoreDurability): void => {
    if (reachable && awaySince !== undefined) {
      const seconds = Math.round((performance.now() - awaySince) / 1000);
      log.warn({ seconds }, 'the metadata store can be reached again');
    }
    awaySince = reachable ? undefined : (awaySince ?? performance.now());
    if (!reachable) log.warn('the metadata store cannot be reached');
    if (state === 'weak') {
      log.warn({ reasons }, 'the metadata store may lose acknowledged writes: durability=weak');
    } else if (reachable) {
      log.info('the metadata store keeps acknowledged writes');
    }
  };
  tell(durabilityOf(kv));
  kv.onDurability?.(tell);
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
    processes: config.workers,
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
