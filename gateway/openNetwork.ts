import { join } from 'node:path';
import {
  HttpProvider,
  LEDGER_DEFAULTS,
  NetworkService,
  ORACLE_DEFAULTS,
  isLoopbackHost,
  openIdentity,
  systemClock,
} from '#placement';
import type {
  ChunkCatalog,
  NetworkEvent,
  NetworkOperator,
  OracleParameters,
  ProviderId,
  ProviderRegistry,
} from '#placement';
import type { Address, Config } from './config.ts';
import { close, listen, listening, readTls, urlOf } from './listening.ts';
import type { Logger } from './log.ts';
import { createNetworkServer } from './network/listener.ts';

export interface NetworkParts {
  readonly config: Config;
  readonly catalog: ChunkCatalog;
  readonly registry: Pick<ProviderRegistry, 'admit' | 'stand' | 'move' | 'dismiss' | 'openPuts'>;
  readonly log: Logger;
  /** Shards that records place with a provider. */
  readonly shardsAt: (id: ProviderId) => Promise<number>;
  /** Its shards are moved, and no upload to it is under way. */
  readonly isEmptied: (id: ProviderId) => boolean;
  readonly durability: NetworkOperator['durability'];
}

export interface OpenNetwork {
  readonly service: NetworkService;
  /** Listens, and begins with the eras. The gateway's other listeners are never called at a provider's word. */
  listen(others: () => readonly Address[]): Promise<string>;
  close(): Promise<void>;
}

/**
 * The network service of this gateway; undefined where it is off. The providers that it knows are in the registry when this resolves.
 * @throws NetworkError 'Tampered' | 'BadIdentity', ConfigError
 */
export async function openNetwork(parts: NetworkParts): Promise<OpenNetwork | undefined> {
  const { config, catalog, registry, log } = parts;
  const address = config.networkListen;
  if (address === undefined) return undefined;
  const identity = await openIdentity(join(config.data, 'keys', 'network-identity.pem'));
  let listeners: () => readonly Address[] = () => [];
  const addresses = { allowPrivate: isLoopbackHost(address.host), listeners: () => listeners() };
  const service = await NetworkService.open({
    identity,
    folder: join(config.data, 'network'),
    catalog,
    registry,
    transportFor: ({ id, publicKey, description }) =>
      new HttpProvider({
        endpoint: description.endpoint,
        provider: { id, publicKey },
        gateway: identity,
        clock: systemClock,
        addresses,
      }),
    clock: systemClock,
    parameters: oracleParameters(config),
    ledger: LEDGER_DEFAULTS,
    addresses,
    shardsAt: parts.shardsAt,
    isEmptied: parts.isEmptied,
    durability: parts.durability,
    onEvent: (event) => logEvent(log, event),
  });
  const tls = await readTls(config.tls);
  const server = createNetworkServer(service, {
    ...(tls && { tls }),
    onError: (error) => log.error({ err: error }, 'a request of the network listener failed'),
  });
  return {
    service,
    async listen(others) {
      const bound = await listening('networkListen', address, () => listen(server, address));
      listeners = () => [...others(), { host: address.host, port: bound.port }];
      service.start();
      return urlOf(tls ? 'https' : 'http', address, bound);
    },
    async close() {
      if (server.listening) await close(server);
      await service.close();
    },
  };
}

/** Scores fade with eras: a demonstration with short ones has short half-lives. */
function oracleParameters({ eraMs, vetting, monitorGroups }: Config): OracleParameters {
  const scale = eraMs / ORACLE_DEFAULTS.eraMs;
  const { placement, settlement } = ORACLE_DEFAULTS.halfLifeMs;
  return {
    ...ORACLE_DEFAULTS,
    eraMs,
    vetting,
    groupsMin: monitorGroups,
    halfLifeMs: { placement: placement * scale, settlement: settlement * scale },
  };
}

function logEvent(log: Logger, event: NetworkEvent): void {
  switch (event.kind) {
    case 'warning':
      log.warn(event.error ? { err: event.error } : {}, event.message);
      return;
    case 'provider':
      log.info(
        { provider: event.provider, state: event.state, reason: event.reason },
        `provider is ${event.state}`,
      );
      return;
    case 'monitor':
      log.info(
        { hypernode: event.monitor, state: event.state, reason: event.reason },
        `HyperNode is ${event.state}`,
      );
      return;
    case 'moved':
      log.info({ provider: event.provider, endpoint: event.endpoint }, 'provider has another address');
      return;
    case 'era-opened':
      log.debug({ era: event.era, providers: event.providers, monitors: event.monitors }, 'era opened');
      return;
    case 'era-closed':
      log.debug({ era: event.era }, 'era closed');
  }
}
