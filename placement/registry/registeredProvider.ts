import { FadingSum } from './fadingSum.ts';
import { PutWatch, Strays } from './putWatch.ts';
import { ReadTrials } from './readTrials.ts';
import type { MovableTransport } from '../transports/httpProvider.ts';
import type { RevivableTransport } from '../transports/localDirectory.ts';
import type {
  CallOutcome,
  Clock,
  Domain,
  ProviderHandle,
  ProviderId,
  ProviderInfo,
  ProviderStanding,
  ProviderState,
  ShardTransport,
} from '../types.ts';
import { takesShards } from './writable.ts';
import { LiveWindow } from './window.ts';

const PROBE_DEADLINE_MS = 5_000;
/** Space that is left free: two per cent, so that a file system does not slow down when full, but no more than this. */
const RESERVE_SHARE = 0.02;
const RESERVE_BYTES_MAX = 2 ** 30;
/** Slow is who takes more than this many times as long as the median: less is in the nature of a p95 of few calls. */
const SLOW_MEDIANS = 2;
/** How much a slow provider's share of new shards shrinks at most. */
const SLOW_FACTOR_MIN = 0.1;
/** S of a registered provider that is not measured yet: a quarter of what a perfect one of its size would get. */
const EXPLORATION_SCORE = 0.5;
/** Placed bytes count as load for half after this time: about as long as a probe of the free space takes to show them. */
const LOAD_HALF_LIFE_MS = 10_000;
/** Probes in a row that a registered provider answers before its write breaker is closed: among many, it is too seldom chosen for a trial. */
const PROBES_TO_READMIT = 3;
/** A provider whose rank is below this share of the median's is read only for a trial. */
const TRIAL_SHARE = 0.2;

/** What is usual among the providers: p95 of reads and writes, and rank as of LiveWindow. */
export interface MedianProvider {
  readonly readMs: number;
  readonly writeMs: number;
  readonly rank: number;
}

export interface RegisteredProviderOptions {
  readonly id: ProviderId;
  readonly endpoint: string;
  readonly domain: Domain;
  readonly storage: ShardTransport | RevivableTransport | MovableTransport;
  /** Undefined for what the operator has configured. */
  readonly standing?: ProviderStanding | undefined;
  readonly clock: Clock;
  /** Of the whole registry. */
  readonly strays?: Strays;
  readonly decorate: (transport: ShardTransport, info: ProviderInfo) => ShardTransport;
}

/** One provider of the registry: its transport, its standing, its last probe and its window. */
export class RegisteredProvider {
  readonly id: ProviderId;
  readonly #domain: Domain;
  readonly #storage: ShardTransport;
  readonly #transport: ShardTransport;
  readonly #clock: Clock;
  readonly #puts: PutWatch;
  readonly #load = new FadingSum(LOAD_HALF_LIFE_MS);
  readonly #trials: ReadTrials;
  #endpoint: string;
  #standing: ProviderStanding | undefined;
  #window: LiveWindow;
  #space = { capacity: 0, free: 0 };
  #isReachable = false;
  /** Probes answered since the write breaker opened. */
  #answers = 0;
  #probing: Promise<void> | undefined;
  #handle: ProviderHandle;

  constructor(options: RegisteredProviderOptions) {
    const { id, endpoint, domain, storage, standing, clock, decorate, strays = new Strays() } = options;
    this.id = id;
    this.#endpoint = endpoint;
    this.#domain = domain;
    this.#storage = storage;
    this.#standing = standing;
    this.#clock = clock;
    this.#window = new LiveWindow(clock);
    this.#trials = new ReadTrials(clock.now());
    this.#puts = new PutWatch(id, strays);
    this.#transport = this.#puts.over(decorate(storage, this.#info()));
    this.#handle = { info: this.#info(), transport: this.#transport };
  }

  get handle(): ProviderHandle {
    return this.#handle;
  }

  get window(): LiveWindow {
    return this.#window;
  }

  get standing(): ProviderStanding | undefined {
    return this.#standing;
  }

  /** Registered with the network, not configured. */
  get isMember(): boolean {
    return this.#standing !== undefined;
  }

  /** Being vetted, or without a measured score. */
  get isUnproven(): boolean {
    return this.#standing?.state === 'vetting' || (this.isMember && this.#standing?.score === undefined);
  }

  /** Bytes on their way there or lately placed. */
  get load(): number {
    return this.#load.value(this.#clock.now());
  }

  /** Puts that have not ended. */
  get openPuts(): number {
    return this.#puts.open;
  }

  noteLoad(bytes: number): void {
    this.#load.add(bytes, this.#clock.now());
  }

  stand(standing: ProviderStanding): void {
    this.#standing = standing;
    this.#refresh();
  }

  move(endpoint: string): void {
    this.#endpoint = endpoint;
    if ('moveTo' in this.#storage) (this.#storage as MovableTransport).moveTo(endpoint);
    this.#refresh();
  }

  /** @param promptMs a read that takes no longer is as good as others' */
  report(outcome: CallOutcome, promptMs: number): void {
    const wasHealthy = this.#window.isHealthy;
    this.#window.record(outcome);
    const { kind, latencyMs, failure } = outcome;
    if (kind === 'read' && failure === undefined && latencyMs <= promptMs) this.#trials.succeed();
    if (failure === 'NoSpace') this.#space = { ...this.#space, free: 0 };
    if (failure === 'NoSpace' || this.#window.isHealthy !== wasHealthy) this.#refresh();
  }

  /**
   * Expected speed and reliability of a read, times the score; 0 when it is out of reach, gone, or its breaker is open. One whose speed is
   * not known counts as the median; one that is far behind the others is given the median's rank now and then.
   */
  readRank(median: MedianProvider): number {
    if (!this.#isReachable || this.#standing?.state === 'gone' || this.#score() === 0) return 0;
    const now = this.#clock.now();
    const isOpen = this.#window.isReadOpen;
    const rank = isOpen ? 0 : this.#window.readRank(median.readMs) * this.#score();
    if (!isOpen && rank >= TRIAL_SHARE * median.rank) {
      this.#trials.rest(now);
      return rank;
    }
    if (!this.#trials.admits(now)) return rank;
    return !isOpen || this.#window.readRank() > 0 ? median.rank : 0;
  }

  /**
   * Relative share of new shards: free bytes × S² × success², less for a slow one; 0 when it is not to be written to, nearly full, out of
   * reach or its breaker is open.
   */
  weight(medianWriteP95Ms: number): number {
    return this.#window.isWriteOpen ? 0 : this.#share(medianWriteP95Ms);
  }

  /** The weight of one whose breaker is open, for a single write in a second; otherwise 0. */
  trialWeight(medianWriteP95Ms: number): number {
    const share = this.#window.isWriteOpen ? this.#share(medianWriteP95Ms) : 0;
    return share > 0 && this.#window.admitsWrite() ? share : 0;
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
    if (!('revive' in this.#storage)) return;
    try {
      const anew = await (this.#storage as RevivableTransport).revive();
      if (anew || !this.#window.isHealthy) this.#window = new LiveWindow(this.#clock);
    } catch {
      // It stays out of reach, which the probe that follows will say.
    }
  }

  #share(medianWriteP95Ms: number): number {
    const { capacity, free } = this.#space;
    const reserve = Math.min(RESERVE_BYTES_MAX, capacity * RESERVE_SHARE);
    const mayWrite = this.#standing === undefined || takesShards(this.#standing.state);
    if (!mayWrite || !this.#isReachable || free <= reserve) return 0;
    return free * this.#score() ** 2 * this.#window.writeShare() ** 2 * this.#speed(medianWriteP95Ms);
  }

  /** 1 for one that is not slow, as far as is known. */
  #speed(medianWriteP95Ms: number): number {
    if (!this.#window.isWriteMeasured) return 1;
    const speed = (SLOW_MEDIANS * medianWriteP95Ms) / this.#window.writeP95Ms();
    return Math.min(1, Math.max(SLOW_FACTOR_MIN, speed));
  }

  /** What no oracle judges counts as perfect. */
  #score(): number {
    return this.#standing ? (this.#standing.score ?? EXPLORATION_SCORE) : 1;
  }

  async #ask(): Promise<void> {
    try {
      this.#note(await this.#transport.space());
    } catch {
      this.#note(undefined);
    }
  }

  #note(space: { capacity: number; free: number } | undefined): void {
    this.#isReachable = space !== undefined;
    if (space) this.#space = space;
    this.#answers = space && this.#window.isWriteOpen ? this.#answers + 1 : 0;
    if (this.isMember && this.#answers >= PROBES_TO_READMIT) this.#window.readmitWrites();
    this.#refresh();
  }

  #refresh(): void {
    this.#handle = { info: this.#info(), transport: this.#transport };
  }

  #info(): ProviderInfo {
    const score = this.#standing?.score;
    return {
      id: this.id,
      endpoint: this.#endpoint,
      domain: this.#domain,
      state: this.#state(),
      ...(!this.#isReachable && { reachable: false as const }),
      ...(score !== undefined && { score }),
      ...this.#space,
    };
  }

  /** What the network says, but one that ought to serve and does not is degraded. */
  #state(): ProviderState {
    const state = this.#standing?.state ?? 'active';
    if (state !== 'active' && state !== 'vetting') return state;
    return this.#isReachable && this.#window.isHealthy ? state : 'degraded';
  }
}
