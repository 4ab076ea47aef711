import type { Profile } from '#erasure';
import { lastDurability, surveyDurability } from '../durability/report.ts';
import type { DurabilityReport, FailureModel } from '../durability/types.ts';
import { countShardsAt, type EvacuationReport } from './evacuate.ts';
import { Evacuations } from './evacuations.ts';
import { Keeper, type KeeperDeps } from './keeper.ts';
import { BackgroundLoops, type BackgroundJob } from './loops.ts';
import { sweepOrphans, type OrphanReport } from './orphans.ts';
import { PACE_LIMITS, type PaceLimits } from './pace.ts';
import { rebalanceShards, type RebalanceReport } from './rebalance.ts';
import { drainRepairQueue, repairAllChunks } from './repairQueue.ts';
import type { Depth } from './repairExamine.ts';
import { stays } from './repairPlan.ts';
import type { RepairReport } from './repairReport.ts';
import { dueInMs } from './repairSchedule.ts';
import { scrubChunks, type ScrubReport } from './scrub.ts';
import { Throttle } from '../throttle.ts';
import type { ChunkId, Progress, ProviderId } from '../types.ts';

export interface MaintenanceConfig extends PaceLimits {
  /** Pause between two rounds of the repair queue. */
  readonly queueIntervalMs: number;
  /** Least time between the end of a scrub of everything and the next one. */
  readonly scrubIntervalMs: number;
  /** What scrub reads at most; Infinity for no limit. */
  readonly scrubBytesPerSecond: number;
  /** Age under which a shard that no record claims is spared. */
  readonly orphanGraceMs: number;
  /** How long an unreachable provider is waited for while the chunk would survive one more loss. */
  readonly unreachableGraceMs: number;
  /** Pause between two looks for providers whose shards are to be moved away. */
  readonly evacuateIntervalMs: number;
  /** Least time between two durability reports, and the chunk records that one reads a second. */
  readonly durabilityIntervalMs: number;
  readonly durabilityRecordsPerSecond: number;
}

const MAINTENANCE_DEFAULTS: MaintenanceConfig = {
  ...PACE_LIMITS,
  queueIntervalMs: 10_000,
  scrubIntervalMs: 7 * 86_400_000,
  scrubBytesPerSecond: 16 * 1024 * 1024,
  orphanGraceMs: 86_400_000,
  unreachableGraceMs: 900_000,
  evacuateIntervalMs: 60_000,
  durabilityIntervalMs: 3_600_000,
  durabilityRecordsPerSecond: 20_000,
};

export interface MaintenanceDeps extends KeeperDeps {
  /** Bucket of a chunk, for durability by bucket; undefined when no object is in it. */
  readonly bucketOf?: (chunk: ChunkId) => Promise<string | undefined>;
  /** Profile of new chunks, for a durability report without any: 4+2. */
  readonly profile?: Profile;
  /** Asked before every round of the background loops: false leaves the work to the process that holds the lease. */
  readonly holdsLease?: () => Promise<boolean>;
  readonly onEvent?: (event: MaintenanceEvent) => void;
  /** Told of every evacuation by the background loop that ended. */
  readonly onEvacuated?: (report: EvacuationReport) => void;
}

export type MaintenanceEvent =
  | { readonly kind: 'repaired'; readonly report: RepairReport }
  | { readonly kind: 'scrubbed'; readonly report: MaintenanceScrubReport }
  | { readonly kind: 'failed'; readonly job: BackgroundJob; readonly error: unknown };

export interface MaintenanceScrubReport {
  readonly chunks: ScrubReport;
  readonly orphans: OrphanReport;
}

export interface ScrubOptions {
  readonly depth?: Depth;
  readonly deleteOrphans?: boolean;
  readonly orphanGraceMs?: number;
  readonly bytesPerSecond?: number;
}

const SCRUB_FINISHED = 'scrub.finished';
const PROFILE_DEFAULT: Profile = { data: 4, parity: 2 };

/** Repair, scrub, evacuation and the figures of durability as operators and the background loops use them. */
export class Maintenance {
  readonly #deps: MaintenanceDeps;
  readonly #config: MaintenanceConfig;
  readonly #keeper: Keeper;
  readonly #loops: BackgroundLoops;
  readonly #evacuations: Evacuations;

  constructor(deps: MaintenanceDeps, config: Partial<MaintenanceConfig> = {}) {
    this.#deps = deps;
    this.#config = { ...MAINTENANCE_DEFAULTS, ...config };
    this.#keeper = new Keeper(deps, this.#config);
    const onFailure = (job: BackgroundJob, error: unknown): void =>
      deps.onEvent?.({ kind: 'failed', job, error });
    const { clock, holdsLease } = deps;
    this.#loops = new BackgroundLoops({
      clock,
      holdsLease,
      onFailure,
      retryMs: this.#config.queueIntervalMs,
    });
    this.#evacuations = new Evacuations(this.#keeper, {
      ended: (report) => deps.onEvacuated?.(report),
      failed: (error) => onFailure('evacuate', error),
      freed: () => this.#loops.wake('evacuate'),
    });
  }

  /**
   * An operator's repair of everything: revives providers, then walks all chunks, in batches, those nearest to their loss first. Nothing is
   * put off or held back; what it cannot repair goes to the queue. Aborted and called again, it finds what is already repaired healthy.
   * @param options.deep verify every byte of every shard
   * @throws PlacementError 'Aborted'; what the catalog throws
   */
  async repairAll(
    options: { readonly deep: boolean },
    onProgress?: (progress: Progress) => void,
    signal: AbortSignal = neverAborted(),
  ): Promise<RepairReport> {
    await this.#deps.providers.revive();
    this.#keeper.backoff.clear();
    return repairAllChunks(this.#keeper, options.deep ? 'deep' : 'shallow', onProgress, signal);
  }

  /**
   * One round of the durable repair queue: every chunk in it that is due and not being written, nearest to its loss first, at the pace
   * that clients leave. Chunks with many shards left are put off. Those in which damage was found are verified to the last
   * byte. What is whole again leaves the queue.
   * @throws PlacementError 'Aborted'; what the catalog throws
   */
  drainQueue(signal: AbortSignal = neverAborted()): Promise<RepairReport> {
    return drainRepairQueue(this.#keeper, this.#config, signal);
  }

  /**
   * Examines all chunks (damaged ones go to the repair queue), then all that providers hold (orphans are counted, and deleted on demand).
   * Aborted and called again, it goes on where it stopped.
   * @throws PlacementError 'Aborted'; what the catalog throws
   */
  async scrub(
    options: ScrubOptions = {},
    onProgress?: (progress: Progress) => void,
    signal?: AbortSignal,
  ): Promise<MaintenanceScrubReport> {
    const { clock } = this.#deps;
    const throttle = new Throttle(options.bytesPerSecond ?? Infinity, clock);
    const deps = { ...this.#keeper.batchDeps(), throttle };
    const chunks = await scrubChunks(deps, options.depth ?? 'deep', onProgress, signal);
    const orphans = await sweepOrphans(
      { ...deps, isPending: this.#keeper.isPending, heldShards: this.#deps.heldShards },
      {
        graceMs: options.orphanGraceMs ?? this.#config.orphanGraceMs,
        delete: options.deleteOrphans ?? false,
      },
      onProgress,
      signal,
    );
    await deps.catalog.setNote(SCRUB_FINISHED, String(clock.now()));
    return { chunks, orphans };
  }

  /**
   * Moves all shards off a provider that takes no new ones (exiting, suspended, disqualified), and deletes what no record names there.
   * Waits for writes under way. Aborted, or after a restart, it goes on where it stopped.
   * @throws PlacementError 'Aborted'; what the catalog throws
   */
  evacuate(
    provider: ProviderId,
    onProgress?: (progress: Progress) => void,
    signal: AbortSignal = neverAborted(),
  ): Promise<EvacuationReport> {
    return this.#evacuations.run(provider, onProgress, signal);
  }

  /** Evacuations under way that have moved something. */
  evacuations(): ReadonlyMap<ProviderId, Progress> {
    return this.#evacuations.progress;
  }

  /**
   * Whether a provider that leaves may be let go: this process has emptied it since it began to leave, and nothing is on its way there.
   * Records may name it again only by another process's writes: see `shardsAt`.
   */
  isEmptied(provider: ProviderId): boolean {
    return this.#evacuations.isEmptied(provider);
  }

  /** Chunks that have a shard at a provider, by their records: one pass over all of them. */
  shardsAt(provider: ProviderId, signal?: AbortSignal): Promise<number> {
    return countShardsAt(this.#deps.catalog, provider, signal);
  }

  /**
   * Moves shards out of domains that hold too many of one chunk, and from full providers to emptier ones while these differ by more than
   * 20 points. Only on demand: nothing else moves data that lies well.
   * @throws PlacementError 'Aborted'; what the catalog throws
   */
  rebalance(
    onProgress?: (progress: Progress) => void,
    signal: AbortSignal = neverAborted(),
  ): Promise<RebalanceReport> {
    return rebalanceShards(this.#keeper, onProgress, signal);
  }

  /** Loss rate and repair time as measured up to now. */
  failureModel(): Promise<FailureModel> {
    return this.#keeper.model();
  }

  /** The last durability report and how old it is, in milliseconds; the first is made when it is asked for. */
  async durability(signal?: AbortSignal): Promise<DurabilityReport & { readonly ageMs: number }> {
    const report = (await lastDurability(this.#deps.catalog)) ?? (await this.surveyDurability(signal));
    return { ...report, ageMs: Math.max(0, this.#deps.clock.now() - report.at) };
  }

  /** Makes a new durability report from one pass over all chunk records, and brings the failure model up to date. */
  surveyDurability(signal?: AbortSignal): Promise<DurabilityReport> {
    const { catalog, providers, clock, bucketOf, profile = PROFILE_DEFAULT } = this.#deps;
    const throttle = new Throttle(this.#config.durabilityRecordsPerSecond, clock);
    const deps = { catalog, providers, clock, stays, profile, throttle, ...(bucketOf && { bucketOf }) };
    const modelOf = async (shards: number): Promise<FailureModel> => {
      await this.#keeper.watch.save(shards, clock.now());
      return this.#keeper.model();
    };
    return surveyDurability(deps, modelOf, signal);
  }

  /** Starts the background loops. */
  start(): void {
    this.#loops.start({
      repair: (signal) => this.#repairRound(signal),
      scrub: (signal) => this.#scrubRound(signal),
      evacuate: (signal) => this.#evacuateRound(signal),
      durability: (signal) => this.#durabilityRound(signal),
    });
  }

  /** Ends the pause of a background loop: there may be something for it to do, such as a provider that has begun to leave. */
  wake(job: BackgroundJob): void {
    this.#loops.wake(job);
  }

  /** A chunk in the repair queue is not to wait for its turn after failures: see ChunkStoreOptions.onLateFailed. */
  repairSoon(chunk: ChunkId): void {
    this.#keeper.backoff.settled(chunk);
    this.#loops.wake('repair');
  }

  /** Stops the loops; resolves when nothing of theirs is under way any more. */
  async stop(): Promise<void> {
    await this.#loops.stop();
    await this.#evacuations.settled();
  }

  async #repairRound(signal: AbortSignal): Promise<number> {
    const report = await this.drainQueue(signal);
    if (report.examined > 0) this.#deps.onEvent?.({ kind: 'repaired', report });
    return this.#config.queueIntervalMs;
  }

  async #scrubRound(signal: AbortSignal): Promise<number> {
    const { catalog, clock } = this.#deps;
    const { scrubIntervalMs, scrubBytesPerSecond: bytesPerSecond } = this.#config;
    const note = await catalog.getNote(SCRUB_FINISHED);
    const pause = dueInMs(note ? Number(note) : undefined, scrubIntervalMs, clock.now());
    if (pause > 0) return pause;
    const report = await this.scrub({ bytesPerSecond, deleteOrphans: true }, undefined, signal);
    this.#deps.onEvent?.({ kind: 'scrubbed', report });
    return scrubIntervalMs;
  }

  async #evacuateRound(signal: AbortSignal): Promise<number> {
    await this.#evacuations.begin(signal);
    return this.#config.evacuateIntervalMs;
  }

  async #durabilityRound(signal: AbortSignal): Promise<number> {
    const { durabilityIntervalMs } = this.#config;
    const last = await lastDurability(this.#deps.catalog);
    const pause = dueInMs(last?.at, durabilityIntervalMs, this.#deps.clock.now());
    if (pause > 0) return pause;
    await this.surveyDurability(signal);
    return durabilityIntervalMs;
  }
}

function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
