import type { RevivableTransport } from '../transports/localDirectory.ts';
import type { ProviderEntry } from './providerList.ts';
import { LiveWindow } from './window.ts';
import type {
  CallOutcome,
  Clock,
  ProviderHandle,
  ProviderId,
  ProviderInfo,
  ShardTransport,
} from '../types.ts';

const PROBE_DEADLINE_MS = 5_000;
/** Space that is left free: two per cent, so that a file system does not slow down when full, but no more than this. */
const RESERVE_SHARE = 0.02;
const RESERVE_BYTES_MAX = 2 ** 30;
/** How much a slow provider's share of new shards shrinks at most. */
const SLOW_FACTOR_MIN = 0.1;

export interface RegisteredProviderOptions {
  readonly entry: ProviderEntry;
  readonly id: ProviderId;
  readonly storage: RevivableTransport;
  readonly clock: Clock;
  readonly decorate: (transport: ShardTransport, info: ProviderInfo) => ShardTransport;
}

/** One provider of the registry: its transport, its last probe and its window. */
export class RegisteredProvider {
  readonly id: ProviderId;
  readonly #entry: ProviderEntry;
  readonly #storage: RevivableTransport;
  readonly #transport: ShardTransport;
  readonly #clock: Clock;
  #window: LiveWindow;
  #space = { capacity: 0, free: 0 };
  #reachable = false;
  #probing: Promise<void> | undefined;
  #handle: ProviderHandle;

  constructor({ entry, id, storage, clock, decorate }: RegisteredProviderOptions) {
    this.id = id;
    this.#entry = entry;
    this.#storage = storage;
    this.#clock = clock;
    this.#window = new LiveWindow(clock);
    this.#transport = decorate(storage, this.#info());
    this.#handle = { info: this.#info(), transport: this.#transport };
  }

  get handle(): ProviderHandle {
    return this.#handle;
  }

  get window(): LiveWindow {
    return this.#window;
  }

  report(outcome: CallOutcome): void {
    const wasHealthy = this.#window.isHealthy;
    this.#window.record(outcome);
    if (outcome.failure === 'NoSpace') this.#space = { ...this.#space, free: 0 };
    if (outcome.failure === 'NoSpace' || this.#window.isHealthy !== wasHealthy) this.#refresh();
  }

  readRank(): number {
    return this.#reachable ? this.#window.readRank() : 0;
  }

  /**
   * Relative share of new shards: free bytes × success², less for a slow one; 0 when it is nearly full, out of reach or
   * its breaker is open.
   */
  weight(medianWriteP95Ms: number): number {
    const { capacity, free } = this.#space;
    const reserve = Math.min(RESERVE_BYTES_MAX, capacity * RESERVE_SHARE);
    if (!this.#reachable || free <= reserve || !this.#window.admitsWrite()) return 0;
    const speed = Math.min(1, Math.max(SLOW_FACTOR_MIN, medianWriteP95Ms / this.#window.writeP95Ms()));
    return free * this.#window.writeShare() ** 2 * speed;
  }

  /** One probe at a time: a disk that hangs holds no more than one of the process's threads. */
  async probe(): Promise<void> {
    this.#probing ??= this.#ask().finally(() => {
      this.#probing = undefined;
    });
    const timer = new AbortController();
    const late = this.#clock.sleep(PROBE_DEADLINE_MS, timer.signal).then(
      () => this.#note(undefined),
      () => undefined,
    );
    await Promise.race([this.#probing, late]);
    timer.abort(new Error('answered'));
  }

  async revive(): Promise<void> {
    try {
      const anew = await this.#storage.revive();
      if (anew || !this.#window.isHealthy) this.#window = new LiveWindow(this.#clock);
    } catch {
      // It stays out of reach, which the probe that follows will say.
    }
  }

  async #ask(): Promise<void> {
    try {
      this.#note(await this.#transport.space());
    } catch {
      this.#note(undefined);
    }
  }

  #note(space: { capacity: number; free: number } | undefined): void {
    this.#reachable = space !== undefined;
    if (space) this.#space = space;
    this.#refresh();
  }

  #refresh(): void {
    this.#handle = { info: this.#info(), transport: this.#transport };
  }

  #info(): ProviderInfo {
    const { endpoint, domain } = this.#entry;
    const isWell = this.#reachable && this.#window.isHealthy;
    return { id: this.id, endpoint, domain, state: isWell ? 'active' : 'degraded', ...this.#space };
  }
}
