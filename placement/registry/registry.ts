import { CandidateList } from './candidateList.ts';
import type { KnownProvider } from './identify.ts';
import { openEntries } from './openEntries.ts';
import { Prober } from './prober.ts';
import type { ProviderEntry } from './providerList.ts';
import { Strays } from './putWatch.ts';
import { RegisteredProvider, type MedianProvider } from './registeredProvider.ts';
import { systemRandom } from '../time.ts';
import type {
  CallOutcome,
  Candidate,
  ChunkId,
  Clock,
  ProviderHandle,
  ProviderId,
  ProviderInfo,
  ProviderMember,
  Providers,
  ProviderStanding,
  ProviderState,
  Random,
  ShardTransport,
} from '../types.ts';

/** A hedge sooner than this would answer to the scheduling of this process rather than to a slow provider. */
const HEDGE_MS_MIN = 25;
const HEDGE_MS_MAX = 2_000;
/** A slow provider's own p95 is no reason to wait: a hedge goes out at this multiple of the median provider's. */
const HEDGE_MEDIANS = 3;
/** How long medians may be out of date: longer with many providers, of whom no single one moves them. */
const MEDIAN_TTL_MS = 250;
const MEDIAN_TTL_MS_EACH = 1;

type Decorate = (transport: ShardTransport, info: ProviderInfo) => ShardTransport;

export interface OpenProvidersOptions {
  readonly entries: readonly ProviderEntry[];
  /** `identities()` of the last run. */
  readonly known?: readonly KnownProvider[];
  readonly clock: Clock;
  /** Spreads probes out. */
  readonly random?: Random;
  /** Wraps every transport, to measure it, to limit it, or to make it fail. */
  readonly decorate?: Decorate;
  /** Told of everything that is reported of a provider. */
  readonly onOutcome?: (id: ProviderId, outcome: CallOutcome) => void;
}

/**
 * Opens the configured providers. Directories that are new are made; a known one that is missing is made anew under
 * its identity, with a warning.
 * @throws PlacementError 'BadConfiguration'
 */
export async function openProviders(options: OpenProvidersOptions): Promise<ProviderRegistry> {
  const { entries, known = [], clock, random = systemRandom, decorate = (transport) => transport } = options;
  const { onOutcome } = options;
  const strays = new Strays();
  const { providers, warnings } = await openEntries(entries, known, clock);
  const registered = providers.map(
    ({ entry: { endpoint, domain }, id, storage }) =>
      new RegisteredProvider({ id, endpoint, domain, storage, clock, strays, decorate }),
  );
  const context = { known, warnings, clock, random, strays, decorate, onOutcome };
  const registry = new ProviderRegistry(registered, context);
  await registry.probe();
  registry.start();
  return registry;
}

interface RegistryContext {
  readonly known: readonly KnownProvider[];
  readonly warnings: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly strays: Strays;
  readonly decorate: Decorate;
  readonly onOutcome: OpenProvidersOptions['onOutcome'];
}

/** The configured providers, and those that join while it runs, with what is known of them now. */
export class ProviderRegistry implements Providers {
  /** What an operator should know about this start. */
  readonly warnings: readonly string[];
  readonly #providers: Map<ProviderId, RegisteredProvider>;
  readonly #known: readonly KnownProvider[];
  readonly #clock: Clock;
  readonly #strays: Strays;
  readonly #decorate: Decorate;
  readonly #onOutcome: OpenProvidersOptions['onOutcome'];
  readonly #prober: Prober;
  readonly #candidates = new CandidateList();
  readonly #listeners = new Set<(id: ProviderId, state: ProviderState) => void>();
  #median: MedianProvider & { readonly until: number } = { readMs: 0, writeMs: 0, rank: 0, until: -Infinity };

  constructor(providers: readonly RegisteredProvider[], context: RegistryContext) {
    const { known, warnings, clock, random, strays, decorate, onOutcome } = context;
    this.#providers = new Map(providers.map((provider) => [provider.id, provider]));
    this.#known = known;
    this.warnings = warnings;
    this.#clock = clock;
    this.#strays = strays;
    this.#decorate = decorate;
    this.#onOutcome = onOutcome;
    this.#prober = new Prober(clock, random, (provider) => this.#candidates.touch(provider, true));
    for (const provider of providers) this.#take(provider);
  }

  /**
   * A provider joins; it is probed at once, and takes shards when it has answered.
   * @throws RangeError when its id is registered already
   */
  admit({ id, endpoint, domain, transport, standing }: ProviderMember): void {
    if (this.#providers.has(id)) throw new RangeError(`provider ${id} is registered already`);
    const decorate = this.#decorate;
    const storage = transport;
    const provider = new RegisteredProvider({
      id,
      endpoint,
      domain,
      storage,
      standing,
      clock: this.#clock,
      strays: this.#strays,
      decorate,
    });
    this.#providers.set(id, provider);
    this.#take(provider);
    this.#tell(id, standing.state);
  }

  /** How the network stands to a provider from now on. Nothing happens when it is not a member. */
  stand(id: ProviderId, standing: ProviderStanding): void {
    const provider = this.#member(id);
    if (!provider) return;
    const isNew = provider.standing?.state !== standing.state;
    provider.stand(standing);
    this.#candidates.touch(provider, true);
    if (isNew) this.#tell(id, standing.state);
  }

  /** Tells of every state that a member comes to be in, at once. Returns what ends it. @param listener must not throw */
  onState(listener: (id: ProviderId, state: ProviderState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A member's new address. Its transport follows when it has a `moveTo`. */
  move(id: ProviderId, endpoint: string): void {
    this.#member(id)?.move(endpoint);
  }

  /** A member leaves the registry, whatever it holds; its transport is closed. */
  async dismiss(id: ProviderId): Promise<void> {
    const provider = this.#member(id);
    if (!provider) return;
    this.#providers.delete(id);
    this.#prober.remove(provider);
    this.#candidates.remove(provider);
    await provider.handle.transport.close();
  }

  all(): readonly ProviderHandle[] {
    return Array.from(this.#providers.values(), ({ handle }) => handle);
  }

  get(id: ProviderId): ProviderHandle | undefined {
    return this.#providers.get(id)?.handle;
  }

  /** The same array while nothing material has changed. With an open breaker among the providers, now and then one that has it, too, for once. */
  candidates(): readonly Candidate[] {
    return this.#candidates.get(this.#clock.now(), () => this.#medians().writeMs);
  }

  report(id: ProviderId, outcome: CallOutcome): void {
    const provider = this.#providers.get(id);
    if (!provider) return;
    this.#onOutcome?.(id, outcome);
    const wasHealthy = provider.window.isHealthy;
    provider.report(outcome, HEDGE_MEDIANS * this.#medians().readMs);
    const isUrgent = outcome.failure === 'NoSpace' || provider.window.isHealthy !== wasHealthy;
    if (outcome.kind === 'write' || isUrgent) this.#candidates.touch(provider, isUrgent);
  }

  noteLoad(id: ProviderId, bytes: number): void {
    this.#providers.get(id)?.noteLoad(bytes);
  }

  openPuts(id: ProviderId): number {
    return this.#providers.get(id)?.openPuts ?? 0;
  }

  strays(chunk: ChunkId): readonly ProviderId[] {
    return this.#strays.of(chunk);
  }

  readRank(id: ProviderId): number {
    return this.#providers.get(id)?.readRank(this.#medians()) ?? 0;
  }

  hedgeAfterMs(id: ProviderId): number {
    const provider = this.#providers.get(id);
    if (!provider) return HEDGE_MS_MIN;
    const wait = Math.min(provider.window.readP95Ms(), HEDGE_MEDIANS * this.#medians().readMs, HEDGE_MS_MAX);
    return Math.max(HEDGE_MS_MIN, wait);
  }

  async revive(): Promise<void> {
    await Promise.all([...this.#providers.values()].map((provider) => provider.revive()));
    await this.probe();
  }

  /** To be saved and given to `openProviders` at the next start. Keeps those that are not configured now. */
  identities(): readonly KnownProvider[] {
    const configured = [...this.#providers.values()].filter(({ isMember }) => !isMember);
    const current = configured.map(({ id, handle }) => ({ endpoint: handle.info.endpoint, id }));
    const known = this.#known.filter(
      ({ endpoint, id }) => !this.#providers.has(id) && current.every((one) => one.endpoint !== endpoint),
    );
    return [...current, ...known];
  }

  /** Asks every provider for its free space; resolves when all have answered or were given up. */
  probe(): Promise<void> {
    return this.#prober.probeAll();
  }

  /** Begins to probe from time to time, until `close`. */
  start(): void {
    this.#prober.start();
  }

  async close(): Promise<void> {
    await this.#prober.close();
    await Promise.all([...this.#providers.values()].map(({ handle }) => handle.transport.close()));
  }

  #tell(id: ProviderId, state: ProviderState): void {
    for (const listener of this.#listeners) listener(id, state);
  }

  #take(provider: RegisteredProvider): void {
    this.#candidates.add(provider);
    this.#prober.add(provider);
  }

  #member(id: ProviderId): RegisteredProvider | undefined {
    const provider = this.#providers.get(id);
    return provider?.isMember ? provider : undefined;
  }

  /** Of those whose latency is known, if any is. */
  #medians(): MedianProvider {
    const now = this.#clock.now();
    if (now >= this.#median.until) {
      const windows = Array.from(this.#providers.values(), ({ window }) => window);
      const readers = orAll(
        windows.filter(({ isReadMeasured }) => isReadMeasured),
        windows,
      );
      const writers = orAll(
        windows.filter(({ isWriteMeasured }) => isWriteMeasured),
        windows,
      );
      this.#median = {
        readMs: median(readers.map((window) => window.readP95Ms())),
        writeMs: median(writers.map((window) => window.writeP95Ms())),
        rank: median(readers.map((window) => window.expectedRank())),
        until: now + Math.max(MEDIAN_TTL_MS, windows.length * MEDIAN_TTL_MS_EACH),
      };
    }
    return this.#median;
  }
}

function orAll<T>(some: readonly T[], all: readonly T[]): readonly T[] {
  return some.length > 0 ? some : all;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
}
