import { identifyProviders, type KnownProvider } from './identify.ts';
import { LocalDirectory } from '../transports/localDirectory.ts';
import type { ProviderEntry } from './providerList.ts';
import { RegisteredProvider } from './registeredProvider.ts';
import type {
  CallOutcome,
  Candidate,
  Clock,
  ProviderHandle,
  ProviderId,
  ProviderInfo,
  Providers,
  ShardTransport,
} from '../types.ts';

const PROBE_EVERY_MS = 10_000;
/** A hedge sooner than this would answer to the scheduling of this process rather than to a slow provider. */
const HEDGE_MS_MIN = 25;
const HEDGE_MS_MAX = 2_000;
/** A slow provider's own p95 is no reason to wait: a hedge goes out at this multiple of the median provider's. */
const HEDGE_MEDIANS = 3;
const MEDIAN_TTL_MS = 250;

export interface OpenProvidersOptions {
  readonly entries: readonly ProviderEntry[];
  /** `identities()` of the last run. */
  readonly known?: readonly KnownProvider[];
  readonly clock: Clock;
  /** Wraps every transport, to measure it, to limit it, or to make it fail. */
  readonly decorate?: (transport: ShardTransport, info: ProviderInfo) => ShardTransport;
}

/**
 * Opens the configured providers. Directories that are new are made; a known one that is missing is made anew under
 * its identity, with a warning.
 * @throws PlacementError 'BadConfiguration'
 */
export async function openProviders(options: OpenProvidersOptions): Promise<ProviderRegistry> {
  const { entries, known = [], clock, decorate = (transport) => transport } = options;
  const { providers, warnings } = await identifyProviders(entries, known);
  const registered = providers.map(({ entry, id }) => {
    const directory = new LocalDirectory(entry.endpoint, id);
    return new RegisteredProvider({ entry, id, storage: directory, clock, decorate });
  });
  const registry = new ProviderRegistry(registered, known, warnings, clock);
  await registry.probe();
  registry.start();
  return registry;
}

/** The configured providers with what is known of them now. */
export class ProviderRegistry implements Providers {
  /** What an operator should know about this start. */
  readonly warnings: readonly string[];
  readonly #providers: ReadonlyMap<ProviderId, RegisteredProvider>;
  readonly #known: readonly KnownProvider[];
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #probing: Promise<void> | undefined;
  #median = { readMs: 0, writeMs: 0, until: -Infinity };

  constructor(
    providers: readonly RegisteredProvider[],
    known: readonly KnownProvider[],
    warnings: readonly string[],
    clock: Clock,
  ) {
    this.#providers = new Map(providers.map((provider) => [provider.id, provider]));
    this.#known = known;
    this.warnings = warnings;
    this.#clock = clock;
  }

  all(): readonly ProviderHandle[] {
    return [...this.#providers.values()].map(({ handle }) => handle);
  }

  get(id: ProviderId): ProviderHandle | undefined {
    return this.#providers.get(id)?.handle;
  }

  candidates(): readonly Candidate[] {
    const { writeMs } = this.#medians();
    return [...this.#providers.values()]
      .map((provider) => ({ info: provider.handle.info, weight: provider.weight(writeMs) }))
      .filter(({ weight }) => weight > 0);
  }

  report(id: ProviderId, outcome: CallOutcome): void {
    this.#providers.get(id)?.report(outcome);
  }

  readRank(id: ProviderId): number {
    return this.#providers.get(id)?.readRank() ?? 0;
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
    const current = [...this.#providers.values()].map(({ id, handle }) => ({
      endpoint: handle.info.endpoint,
      id,
    }));
    const known = this.#known.filter(
      ({ endpoint, id }) => !this.#providers.has(id) && current.every((one) => one.endpoint !== endpoint),
    );
    return [...current, ...known];
  }

  /** Asks every provider for its free space; resolves when all have answered or were given up. */
  async probe(): Promise<void> {
    await Promise.all([...this.#providers.values()].map((provider) => provider.probe()));
  }

  /** Begins to probe from time to time, until `close`. */
  start(): void {
    this.#probing ??= this.#probeOn();
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the registry is closed'));
    await this.#probing;
    await Promise.all([...this.#providers.values()].map(({ handle }) => handle.transport.close()));
  }

  async #probeOn(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(PROBE_EVERY_MS, signal);
      } catch {
        return;
      }
      await this.probe();
    }
  }

  /** Read and write p95 of the median provider. */
  #medians(): { readMs: number; writeMs: number } {
    const now = this.#clock.now();
    if (now >= this.#median.until) {
      const windows = [...this.#providers.values()].map(({ window }) => window);
      this.#median = {
        readMs: median(windows.map((window) => window.readP95Ms())),
        writeMs: median(windows.map((window) => window.writeP95Ms())),
        until: now + MEDIAN_TTL_MS,
      };
    }
    return this.#median;
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
}
