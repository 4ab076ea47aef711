/**
 * Registered providers, as the processes that do not run the network service know them. The one that does publishes them in a note; the
 * others read it every second and keep their registry in step.
 */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { HttpProvider, isLoopbackHost, openIdentity, systemClock } from '#placement';
import type {
  ChunkCatalog,
  Domain,
  NetworkService,
  ProviderId,
  ProviderRegistry,
  ProviderStanding,
  ShardTransport,
} from '#placement';
import type { Config } from './config.ts';

const NOTE = 'network.registered';
const EVERY_MS = 1_000;

/** All that a registry needs of a registered provider. */
export interface Registered {
  readonly id: ProviderId;
  readonly publicKey: string;
  readonly endpoint: string;
  readonly domain: Domain;
  readonly standing: ProviderStanding;
}

/** Those that serve or did, as the service's state has them. */
function registeredOf({ state }: NetworkService): Registered[] {
  return Object.values(state.providers).flatMap(
    ({ id, publicKey, description: { endpoint, region, site, operator }, state: standing, placementScore }) =>
      standing === 'applied' || standing === 'gone'
        ? []
        : [
            {
              id,
              publicKey,
              endpoint,
              domain: { region, site, operator },
              standing: { state: standing, score: placementScore },
            },
          ],
  );
}

/** Keeps the note in step with the service. Returns what ends it. */
export function publishNetwork(
  service: NetworkService,
  catalog: ChunkCatalog,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let published: unknown;
  let writing: Promise<void> = Promise.resolve();
  const publish = async (): Promise<void> => {
    const { providers } = service.state;
    if (providers === published) return;
    await catalog.setNote(NOTE, JSON.stringify(registeredOf(service)));
    published = providers;
  };
  const tick = (): void => {
    writing = writing.then(publish).catch(onError);
  };
  tick();
  const timer = setInterval(tick, EVERY_MS).unref();
  return async () => {
    clearInterval(timer);
    await writing;
  };
}

/** Begins to follow; undefined where nobody can register. */
export async function followNetwork(
  config: Config,
  catalog: ChunkCatalog,
  registry: ProviderRegistry,
  onError: (error: unknown) => void,
): Promise<NetworkFollower | undefined> {
  const { networkListen, listen, adminListen } = config;
  if (networkListen === undefined) return undefined;
  const gateway = await openIdentity(join(config.data, 'keys', 'network-identity.pem'));
  const addresses = {
    allowPrivate: isLoopbackHost(networkListen.host),
    listeners: () => [listen, adminListen, networkListen],
  };
  const transportFor = ({ id, publicKey, endpoint }: Registered): ShardTransport =>
    new HttpProvider({ endpoint, provider: { id, publicKey }, gateway, clock: systemClock, addresses });
  const follower = new NetworkFollower({ catalog, registry, transportFor, onError });
  await follower.start();
  return follower;
}

export interface FollowParts {
  readonly catalog: ChunkCatalog;
  readonly registry: ProviderRegistry;
  readonly transportFor: (provider: Registered) => ShardTransport;
  readonly onError: (error: unknown) => void;
}

export class NetworkFollower {
  readonly #parts: FollowParts;
  readonly #members = new Map<ProviderId, Registered>();
  #note: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: FollowParts) {
    this.#parts = parts;
  }

  /** Resolves when the registry has the providers that are registered now. */
  async start(): Promise<void> {
    this.#timer ??= setInterval(() => void this.#inTurn(() => this.#follow()), EVERY_MS).unref();
    await this.#inTurn(() => this.#follow());
  }

  /** The registry has none of them afterwards: whoever runs the service itself enters them anew. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#inTurn(async () => {
      for (const id of this.#members.keys()) await this.#parts.registry.dismiss(id);
      this.#members.clear();
      this.#note = undefined;
    });
  }

  async #follow(): Promise<void> {
    if (this.#timer === undefined) return;
    const note = await this.#parts.catalog.getNote(NOTE);
    if (note === undefined || note === this.#note) return;
    const now = new Map((JSON.parse(note) as Registered[]).map((provider) => [provider.id, provider]));
    for (const id of this.#members.keys()) if (!now.has(id)) await this.#dismiss(id);
    for (const provider of now.values()) await this.#enter(provider);
    this.#note = note;
  }

  async #enter(provider: Registered): Promise<void> {
    const { registry, transportFor } = this.#parts;
    const { id, endpoint, domain, standing } = provider;
    const known = this.#members.get(id);
    // The place in the failure-domain tree is part of a membership.
    if (known && !isDeepStrictEqual(known.domain, domain)) await this.#dismiss(id);
    if (!this.#members.has(id)) {
      registry.admit({ id, endpoint, domain, standing, transport: transportFor(provider) });
    } else {
      if (known?.endpoint !== endpoint) registry.move(id, endpoint);
      if (!isDeepStrictEqual(known?.standing, standing)) registry.stand(id, standing);
    }
    this.#members.set(id, provider);
  }

  async #dismiss(id: ProviderId): Promise<void> {
    this.#members.delete(id);
    await this.#parts.registry.dismiss(id);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work).catch(this.#parts.onError);
    return this.#turn;
  }
}
