import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { GatewayClient } from '../network/gatewayClient.ts';
import type { NetworkError } from '../network/errors.ts';
import { openIdentity, type Identity, type PartyId } from '../network/identity.ts';
import { gatewayOfToken } from '../network/joinProof.ts';
import { providerDescriptionSchema, type ProviderDescription, type Standing } from '../network/messages.ts';
import { parseMessage } from '../network/signed.ts';
import { systemRandom } from '../time.ts';
import { LocalDirectory } from '../transports/localDirectory.ts';
import { contents, formatDirectory, readMarker } from '../transports/providerDirectory.ts';
import { PlacementError, type Clock, type Random, type ShardTransport } from '../types.ts';
import { lockFolder } from './folderLock.ts';
import { GatewayPin } from './gatewayPin.ts';
import { GrantChecker } from './grantCheck.ts';
import { Handlers, type StorageFailure } from './handlers.ts';
import { DAEMON_LIMITS, type DaemonLimits } from './limits.ts';
import { Listener } from './listener.ts';
import { Membership } from './membership.ts';
import { ShardStore } from './shardStore.ts';
import { keepStated, type Stated } from './stated.ts';

/** Things that a provider's operator may want in a log. None holds a secret. */
export type ProviderEvent =
  | { readonly kind: 'listening'; readonly endpoint: string; readonly shards: number; readonly bytes: number }
  /** How the gateway stands to the provider, when that has changed. */
  | { readonly kind: 'standing'; readonly standing: Standing }
  /** The gateway could not be told, or did not accept what it was told. */
  | { readonly kind: 'heartbeat-failed'; readonly error: unknown; readonly retryMs: number }
  /** The gateway, which has never taken the provider in, refuses it for good: nothing more is tried. */
  | { readonly kind: 'refused'; readonly error: NetworkError }
  | ({ readonly kind: 'storage-failed' } & StorageFailure);

export interface ProviderOptions extends Omit<ProviderDescription, 'endpoint'> {
  /** Folder of the identity (identity.pem), the gateway (gateway.json), what is stated (stated.json) and the shards (shards/), of one daemon at a time (owner.lock). */
  readonly data: string;
  /** Port 0: any that is free. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Origin at which others reach this daemon, asked anew for every heartbeat when it is a function; by default where it listens. */
  readonly advertise?: string | (() => string);
  /** The gateway's network listener, like https://host:port. */
  readonly gateway: string;
  /** Without one, an operator of the gateway has to approve. */
  readonly token?: string;
  /** Bytes offered for shards with their trees; 0: what is free on the disk when it starts. */
  readonly capacity: number;
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly clock: Clock;
  readonly random?: Random;
  /** Wraps the storage. */
  readonly decorate?: (transport: ShardTransport) => ShardTransport;
  /** Default 10 s, ± 10 %. */
  readonly heartbeatMs?: number;
  readonly limits?: Partial<DaemonLimits>;
  readonly onEvent?: (event: ProviderEvent) => void;
}

export interface RunningProvider {
  readonly id: PartyId;
  /** As advertised now. */
  readonly endpoint: string;
  readonly identity: Identity;
  /** As the gateway last said in this run. */
  standing(): Standing | undefined;
  /**
   * Resolves when a gateway that has never taken the provider in refuses it for good: a bad token, another's address, an operator who said no. It
   * then waits to be stopped. Never resolves otherwise.
   */
  readonly refused: Promise<NetworkError>;
  /** Lets requests under way end, for a while, and closes everything. */
  stop(): Promise<void>;
}

const HEARTBEAT_MS = 10_000;

/**
 * Runs a provider: resolves when it listens; it registers with its gateway, and goes on trying, in the background.
 * @throws PlacementError 'BadConfiguration', NetworkError 'BadIdentity' | 'BadMessage', TransportError, or a system error
 */
export async function startProvider(options: ProviderOptions): Promise<RunningProvider> {
  if (options.token !== undefined) gatewayOfToken(options.token);
  const client = new GatewayClient(options.gateway);
  let unlock: (() => void) | undefined;
  try {
    unlock = lockFolder(options.data);
    return await open(options, client, unlock);
  } catch (error) {
    await client.close();
    unlock?.();
    throw error;
  }
}

async function open(
  options: ProviderOptions,
  client: GatewayClient,
  unlock: () => void,
): Promise<RunningProvider> {
  const identity = await openIdentity(join(options.data, 'identity.pem'));
  const pin = await GatewayPin.open(join(options.data, 'gateway.json'));
  const store = await openStore(options, identity.id, pin.pin?.accepted !== undefined);
  try {
    await keepStated(options.data, statedBy(options));
    return await serve(options, { client, identity, pin, store, unlock });
  } catch (error) {
    await store.transport.close();
    throw error;
  }
}

function statedBy(options: ProviderOptions): Stated {
  const { region, site, operator, networkPrefix, location, storageClass, capacity, advertise } = options;
  return {
    region,
    site,
    operator,
    networkPrefix,
    storageClass,
    capacity,
    ...(location && { location }),
    ...(typeof advertise === 'string' && { advertise }),
  };
}

interface Parts {
  readonly client: GatewayClient;
  readonly identity: Identity;
  readonly pin: GatewayPin;
  readonly store: ShardStore;
  /** Gives the folder back, after all else. */
  readonly unlock: () => void;
}

async function serve(options: ProviderOptions, parts: Parts): Promise<RunningProvider> {
  const { client, identity, store } = parts;
  const stopping = new AbortController();
  // The handlers ask for grants, and only the membership knows whose; it needs the port that the handlers are served at.
  let membership: Membership | undefined;
  const limits = { ...DAEMON_LIMITS, ...options.limits };
  const handlers = newHandlers(options, parts, limits, () => membership?.gateway);
  const { host, port } = options.listen;
  const tls = options.tls ? { tls: options.tls } : {};
  const listener = await Listener.open({ host, port, ...tls, limits, clock: options.clock, handlers });
  const endpoint = (): string => endpointOf(options, listener.port);
  try {
    membership = newMembership(options, parts, endpoint);
  } catch (error) {
    await listener.stop();
    throw error;
  }
  const { shards, bytes } = store.holds;
  options.onEvent?.({ kind: 'listening', endpoint: endpoint(), shards, bytes });
  const refusal = Promise.withResolvers<NetworkError>();
  const running = live(membership, stopping.signal, (error) => {
    options.onEvent?.({ kind: 'refused', error });
    refusal.resolve(error);
  });
  return {
    refused: refusal.promise,
    id: identity.id,
    identity,
    get endpoint() {
      return endpoint();
    },
    standing: () => membership?.standing,
    async stop() {
      stopping.abort();
      // Ends a question to the gateway that is under way.
      await client.close();
      await running;
      await listener.stop();
      await store.transport.close();
      parts.unlock();
    },
  };
}

async function live(
  membership: Membership,
  signal: AbortSignal,
  onRefused: (error: NetworkError) => void,
): Promise<void> {
  const error = await membership.run(signal);
  if (error) onRefused(error);
}

function newHandlers(
  options: ProviderOptions,
  { identity, store }: Parts,
  limits: DaemonLimits,
  gateway: () => { readonly id: PartyId; readonly publicKey: string } | undefined,
): Handlers {
  const session = randomBytes(16).toString('hex');
  const { clock, onEvent } = options;
  let checker: GrantChecker | undefined;
  const grants = (): GrantChecker | undefined => {
    const ours = gateway();
    if (checker || !ours) return checker;
    checker = new GrantChecker({
      provider: identity.id,
      session,
      gateway: ours,
      clock,
      noncesMax: limits.noncesMax,
    });
    return checker;
  };
  const onFailure = (failure: StorageFailure): void => onEvent?.({ kind: 'storage-failed', ...failure });
  return new Handlers({ identity, session, store, limits, clock, grants, onFailure });
}

/** @throws NetworkError 'BadMessage' for a description that no gateway would take */
function newMembership(options: ProviderOptions, parts: Parts, endpoint: () => string): Membership {
  const { region, site, operator, networkPrefix, location, storageClass } = options;
  const place = { region, site, operator, networkPrefix, ...(location ? { location } : {}) };
  const describe = (): ProviderDescription =>
    parseMessage(providerDescriptionSchema, {
      endpoint: endpoint(),
      ...place,
      storageClass,
      capacity: parts.store.capacity,
    });
  return new Membership({
    identity: parts.identity,
    client: parts.client,
    pin: parts.pin,
    token: options.token,
    describe,
    holdings: async () => ({ ...(await parts.store.space()), shards: parts.store.holds.shards }),
    clock: options.clock,
    random: options.random ?? systemRandom,
    heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
    onStanding: (standing) => options.onEvent?.({ kind: 'standing', standing }),
    onFailure: (error, retryMs) => options.onEvent?.({ kind: 'heartbeat-failed', error, retryMs }),
  });
}

/** @throws PlacementError 'BadConfiguration' where others could not reach what it listens at */
function endpointOf({ advertise, listen, tls }: ProviderOptions, port: number): string {
  if (typeof advertise === 'function') return advertise();
  if (advertise !== undefined) return advertise;
  if (listen.host === '0.0.0.0' || listen.host === '::') {
    throw new PlacementError('BadConfiguration', `listening at ${listen.host} needs an address to advertise`);
  }
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return new URL(`${tls ? 'https' : 'http'}://${host}:${port}`).origin;
}

/** @param served a gateway may have placed shards here before */
async function openStore(
  { data, capacity, decorate }: ProviderOptions,
  id: PartyId,
  served: boolean,
): Promise<ShardStore> {
  const root = join(data, 'shards');
  const marker = await readMarker(root);
  if (marker === undefined) await format(root, id, served);
  else if (marker !== id) {
    throw new PlacementError('BadConfiguration', `${root} is the directory of another provider, ${marker}`);
  }
  await LocalDirectory.prepare(root);
  const directory = new LocalDirectory(root, id);
  try {
    return await ShardStore.open(decorate?.(directory) ?? directory, root, capacity);
  } catch (error) {
    await directory.close();
    throw error;
  }
}

/** An empty directory where shards were is most often a disk that is not mounted: to go on would be to deny all that it holds. */
async function format(root: string, id: PartyId, served: boolean): Promise<void> {
  if (served) {
    throw new PlacementError(
      'BadConfiguration',
      `${root} has lost its marker though it has held shards: mount its disk, or begin anew in another data folder`,
    );
  }
  if ((await contents(root)) === 'foreign') {
    throw new PlacementError('BadConfiguration', `${root} holds files that are not a provider's`);
  }
  await formatDirectory(root, id);
}
