import { createHasher, type Hasher } from '#erasure';
import { ChunkLocks } from './chunkLocks.ts';
import { sweepOrphans, type OrphanReport } from './orphans.ts';
import { repairBatch, type BatchDeps, type BatchOptions, type BatchOutcome } from './repairBatch.ts';
import { throwIfAborted, type Depth } from './repairExamine.ts';
import { RepairTally, type RepairReport } from './repairReport.ts';
import { Backoff, dueInMs, Outages } from './repairSchedule.ts';
import { countChunks, scrubChunks, type ScrubReport } from './scrub.ts';
import { Throttle } from '../throttle.ts';
import type {
  ChooseProviders,
  ChunkCatalog,
  ChunkId,
  ChunkRecord,
  Clock,
  Progress,
  Providers,
} from '../types.ts';

export interface MaintenanceConfig {
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
}

const MAINTENANCE_DEFAULTS: MaintenanceConfig = {
  queueIntervalMs: 10_000,
  scrubIntervalMs: 7 * 86_400_000,
  scrubBytesPerSecond: 16 * 1024 * 1024,
  orphanGraceMs: 86_400_000,
  unreachableGraceMs: 900_000,
};

export interface MaintenanceDeps {
  readonly catalog: ChunkCatalog;
  readonly providers: Providers;
  readonly choose: ChooseProviders;
  readonly clock: Clock;
  /** True for a chunk of a write under way or of an unsettled intent. */
  readonly isPending: (chunk: ChunkId) => boolean | Promise<boolean>;
  /** Asked before every round of the background loops: false leaves the work to the process that holds the lease. */
  readonly holdsLease?: () => Promise<boolean>;
  readonly onEvent?: (event: MaintenanceEvent) => void;
}

export type MaintenanceEvent =
  | { readonly kind: 'repaired'; readonly report: RepairReport }
  | { readonly kind: 'scrubbed'; readonly report: MaintenanceScrubReport }
  | { readonly kind: 'failed'; readonly job: 'repair' | 'scrub'; readonly error: unknown };

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

/** Records read from the catalog, examined and ordered at a time. */
const BATCH = 256;
/** Timers of the runtime overflow at 2^31 ms; a loop that wakes early only asks again what is due. */
const PAUSE_MAX_MS = 3_600_000;
const SCRUB_FINISHED = 'scrub.finished';

/** Repair and scrub as operators and the background loops use them. */
export class Maintenance {
  readonly #deps: MaintenanceDeps;
  readonly #config: MaintenanceConfig;
  readonly #hasher: Hasher = createHasher();
  readonly #locks = new ChunkLocks();
  readonly #backoff = new Backoff();
  readonly #outages = new Outages();
  #stopping: AbortController | undefined;
  #loops: Promise<unknown> | undefined;

  constructor(deps: MaintenanceDeps, config: Partial<MaintenanceConfig> = {}) {
    this.#deps = deps;
    this.#config = { ...MAINTENANCE_DEFAULTS, ...config };
  }

  /**
   * An operator's repair of everything: revives providers, then walks all chunks, in batches ordered by remaining redundancy. What it cannot
   * repair goes to the queue. Aborted and called again, it finds what is already repaired healthy.
   * @param options.deep verify every byte of every shard
   * @throws PlacementError 'Aborted'; what the catalog throws
   */
  async repairAll(
    options: { readonly deep: boolean },
    onProgress?: (progress: Progress) => void,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<RepairReport> {
    const { catalog, providers } = this.#deps;
    await providers.revive();
    this.#backoff.clear();
    const tally = new RepairTally();
    const total = onProgress && (await countChunks(catalog));
    let queued: ReadonlySet<ChunkId> = new Set();
    const ended = async (id: ChunkId, outcome: BatchOutcome) => {
      await this.#settle(id, outcome, tally.add(id, outcome), queued.has(id));
      onProgress?.({ job: 'repair', done: tally.chunks, total, bytes: tally.bytes });
    };
    for (let after: ChunkId | undefined; ;) {
      throwIfAborted(signal);
      const records = await catalog.list(after, BATCH);
      if (records.length === 0) return tally.report();
      const depth = options.deep ? 'deep' : 'shallow';
      const last = records.at(-1)!.id;
      queued = await this.#queuedBetween(after, last);
      await repairBatch(records, this.#batchDeps(), { depth }, ended, signal);
      after = last;
    }
  }

  /**
   * One round of the durable repair queue: every chunk in it that is due and not being written. Each is verified to the last byte,
   * because the queue does not say what was found wrong; what is whole again leaves the queue.
   * @throws PlacementError 'Aborted'; what the catalog throws
   */
  async drainQueue(signal: AbortSignal = new AbortController().signal): Promise<RepairReport> {
    const { catalog, clock } = this.#deps;
    const tally = new RepairTally();
    const options: BatchOptions = {
      depth: 'deep',
      mayReturn: (provider) =>
        this.#outages.mayReturn(provider, clock.now(), this.#config.unreachableGraceMs),
    };
    const ended = (id: ChunkId, outcome: BatchOutcome) =>
      this.#settle(id, outcome, tally.add(id, outcome), true);
    for (let after: ChunkId | undefined; ;) {
      throwIfAborted(signal);
      const ids = await catalog.repairQueue(after, BATCH);
      if (ids.length === 0) return tally.report();
      const records = await this.#dueRecords(ids);
      await repairBatch(records, this.#batchDeps(), options, ended, signal);
      after = ids.at(-1)!;
    }
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
    const deps = { ...this.#batchDeps(), throttle };
    const chunks = await scrubChunks(deps, options.depth ?? 'deep', onProgress, signal);
    const orphans = await sweepOrphans(
      { ...deps, isPending: this.#deps.isPending },
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

  /** Starts the background loops. */
  start(): void {
    if (this.#stopping) throw new Error('the maintenance loops run already');
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    this.#loops = Promise.all([this.#repairLoop(signal), this.#scrubLoop(signal)]);
  }

  /** Stops the loops; resolves when nothing of theirs is under way any more. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#loops;
    this.#stopping = undefined;
    this.#loops = undefined;
  }

  #batchDeps(): BatchDeps {
    const { catalog, providers, choose, clock } = this.#deps;
    const observe: BatchDeps['observe'] = (record, health) =>
      this.#outages.observe(record, health, clock.now());
    return { catalog, providers, choose, clock, hasher: this.#hasher, locks: this.#locks, observe };
  }

  /** Records of the queued chunks whose turn it is; entries of deleted chunks are dropped. */
  async #dueRecords(ids: readonly ChunkId[]): Promise<ChunkRecord[]> {
    const { catalog, clock, isPending } = this.#deps;
    const records: ChunkRecord[] = [];
    for (const id of ids) {
      if (!this.#backoff.isDue(id, clock.now()) || (await isPending(id))) continue;
      const record = await catalog.get(id);
      if (record) records.push(record);
      else await this.#leaveQueue(id);
    }
    return records;
  }

  /** Chunks in the queue after `after`, up to and with `last`. */
  async #queuedBetween(after: ChunkId | undefined, last: ChunkId): Promise<ReadonlySet<ChunkId>> {
    const queued = new Set<ChunkId>();
    for (let cursor = after; ;) {
      const ids = await this.#deps.catalog.repairQueue(cursor, BATCH);
      for (const id of ids) if (id <= last) queued.add(id);
      cursor = ids.at(-1);
      if (cursor === undefined || cursor >= last) return queued;
    }
  }

  /**
   * Keeps the queue in step with what became of a chunk. An entry may stand for damage that a shallow look does not see, so only
   * a chunk that was verified whole leaves the queue.
   */
  async #settle(
    id: ChunkId,
    { outcome }: BatchOutcome,
    reason: string | undefined,
    queued: boolean,
  ): Promise<void> {
    // A superseded chunk has a new record, or none: the next round looks at it afresh.
    if (outcome?.result === 'superseded') return;
    if (outcome?.result === 'healthy' || outcome?.result === 'repaired') {
      if (queued && outcome.verified) await this.#leaveQueue(id);
      return;
    }
    this.#backoff.failed(id, this.#deps.clock.now());
    await this.#deps.catalog.enqueueRepair(id, reason ?? 'waiting for an unreachable provider');
  }

  async #leaveQueue(id: ChunkId): Promise<void> {
    this.#backoff.settled(id);
    await this.#deps.catalog.dequeueRepair(id);
  }

  async #repairLoop(signal: AbortSignal): Promise<void> {
    await this.#loop('repair', signal, async () => {
      const report = await this.drainQueue(signal);
      if (report.examined > 0) this.#deps.onEvent?.({ kind: 'repaired', report });
      return this.#config.queueIntervalMs;
    });
  }

  async #scrubLoop(signal: AbortSignal): Promise<void> {
    const { catalog, clock } = this.#deps;
    const { scrubIntervalMs, scrubBytesPerSecond: bytesPerSecond } = this.#config;
    await this.#loop('scrub', signal, async () => {
      const note = await catalog.getNote(SCRUB_FINISHED);
      const pause = dueInMs(note ? Number(note) : undefined, scrubIntervalMs, clock.now());
      if (pause > 0) return pause;
      const report = await this.scrub({ bytesPerSecond, deleteOrphans: true }, undefined, signal);
      this.#deps.onEvent?.({ kind: 'scrubbed', report });
      return scrubIntervalMs;
    });
  }

  /** @param round does what is due and says how many milliseconds to pause */
  async #loop(job: 'repair' | 'scrub', signal: AbortSignal, round: () => Promise<number>): Promise<void> {
    while (!signal.aborted) {
      let pause = this.#config.queueIntervalMs;
      try {
        if ((await this.#deps.holdsLease?.()) ?? true) pause = await round();
      } catch (error) {
        if (!signal.aborted) this.#deps.onEvent?.({ kind: 'failed', job, error });
      }
      // Rejects only when it is time to stop.
      await this.#deps.clock.sleep(Math.min(pause, PAUSE_MAX_MS), signal).catch(() => undefined);
    }
  }
}
