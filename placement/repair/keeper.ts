import { createHasher, type Hasher, type Profile } from '#erasure';
import { repairThreshold } from '../durability/formulas.ts';
import { FailureWatch } from '../durability/failureModel.ts';
import type { FailureModel } from '../durability/types.ts';
import { ChunkLocks } from './chunkLocks.ts';
import { Pacer, type ForegroundLatency, type Lane, type PaceLimits } from './pace.ts';
import type { BatchDeps } from './repairBatch.ts';
import { Backoff, Outages, Waits } from './repairSchedule.ts';
import { Urgencies } from './urgency.ts';
import type { ChooseProviders, ChunkCatalog, ChunkId, Clock, ProviderId, Providers } from '../types.ts';

export interface KeeperDeps {
  readonly catalog: ChunkCatalog;
  readonly providers: Providers;
  readonly choose: ChooseProviders;
  readonly clock: Clock;
  /** True for a chunk of a write under way or of an unsettled intent: its record may still come. May be true of a recorded one. */
  readonly isPending: (chunk: ChunkId) => boolean | Promise<boolean>;
  /**
   * Whether this process may still bring a shard to, or take one from, where the chunk's record places it: the chunk is left alone so long.
   * See OpenChunkStore.
   */
  readonly isUploading?: (chunk: ChunkId) => boolean;
  /** Shards at a provider by its last heartbeat; undefined where there is none. */
  readonly heldShards?: (provider: ProviderId) => number | undefined;
  /** Latency of the clients' requests, that background work keeps clear of; undefined while there are none. */
  readonly foreground?: () => ForegroundLatency | undefined;
}

/** What all background work on chunks shares: one hand on a chunk at a time, one pace, one memory of failures. */
export class Keeper {
  readonly deps: KeeperDeps;
  readonly hasher: Hasher = createHasher();
  readonly locks = new ChunkLocks();
  readonly backoff = new Backoff();
  readonly outages = new Outages();
  readonly waits = new Waits();
  readonly watch: FailureWatch;
  readonly pacer: Pacer;

  constructor(deps: KeeperDeps, limits: PaceLimits) {
    this.deps = deps;
    this.watch = new FailureWatch(deps.catalog);
    this.pacer = new Pacer(deps.clock, limits, deps.foreground);
  }

  /** Whether shards of the chunk are not to be judged yet: its record may still come, or its uploads go on. */
  readonly isPending = async (chunk: ChunkId): Promise<boolean> => {
    const { catalog, isPending, isUploading } = this.deps;
    if (isUploading?.(chunk)) return true;
    // In this order: a write that ends in between has its record by then.
    return (await isPending(chunk)) && !(await catalog.get(chunk));
  };

  batchDeps(): BatchDeps {
    const { catalog, providers, choose, clock, isUploading } = this.deps;
    const observe: BatchDeps['observe'] = (record, health) =>
      this.outages.observe(record, health, clock.now());
    const { hasher, locks } = this;
    const shared = { catalog, providers, choose, clock, hasher, locks, observe };
    return { ...shared, ...(isUploading && { isUploading }) };
  }

  laneFor(urgent: boolean): Lane {
    return urgent ? this.pacer.urgent : this.pacer.usual;
  }

  model(): Promise<FailureModel> {
    return this.watch.model(this.deps.clock.now());
  }

  urgencies(model: FailureModel): Urgencies {
    return new Urgencies(model, this.deps.providers.all().length);
  }
}

/** `repairThreshold` for the few profiles there are. */
export function repairThresholds(model: FailureModel): (profile: Profile) => number {
  const known = new Map<string, number>();
  return (profile) => {
    const key = `${profile.data}+${profile.parity}`;
    let threshold = known.get(key);
    if (threshold === undefined) known.set(key, (threshold = repairThreshold(profile, model)));
    return threshold;
  };
}
