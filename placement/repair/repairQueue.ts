import { throwIfAborted, type Depth } from './repairExamine.ts';
import { repairThresholds, type Keeper } from './keeper.ts';
import { formatReason, keepLate, markLate, parseReason, putOff, type RepairKind } from './reasons.ts';
import { repairBatch, type BatchOptions, type BatchOutcome } from './repairBatch.ts';
import { stayingDomains } from './repairPlan.ts';
import { RepairTally, type RepairReport } from './repairReport.ts';
import { countChunks, SCRUB_DETAIL } from './scrub.ts';
import { mostUrgent, type UrgentEntry } from './urgentEntries.ts';
import type { ChunkId, ChunkRecord, Progress, ProviderId } from '../types.ts';

/** Records read from the catalog, examined and ordered at a time. */
const BATCH = 256;
/** Entries of the queue that are ordered, and then worked through, at a time. */
const WINDOW = 4_096;
/** Entries repaired before new ones are examined: an examination holds up what was found urgent by the one before. */
const WINDOW_BATCH = 64;
const HOUR_MS = 3_600_000;

export interface QueueOptions {
  readonly unreachableGraceMs: number;
  /** A loss that a scrub finds is on average half of this old. */
  readonly scrubIntervalMs: number;
}

/**
 * Walks all chunks, in batches, and repairs what lacks anything. What it cannot repair goes to the queue.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function repairAllChunks(
  keeper: Keeper,
  depth: Depth,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal,
): Promise<RepairReport> {
  const { catalog, providers } = keeper.deps;
  const tally = new RepairTally();
  const total = onProgress && (await countChunks(catalog));
  const domains = stayingDomains(providers);
  const urgencies = keeper.urgencies(await keeper.model());
  const isLate = (id: ChunkId) => isLateReason(queued.get(id));
  const options: BatchOptions = { depthOf: () => depth, isLate, urgencies, domains };
  let queued: ReadonlyMap<ChunkId, string> = new Map();
  const ended = async (id: ChunkId, outcome: BatchOutcome) => {
    const reason = tally.add(id, outcome);
    const known = queued.get(id);
    const whole = outcome.outcome?.verified || (known !== undefined && !isDamage(known));
    await settle(keeper, id, outcome, { reason, queued: known, whole });
    onProgress?.({ job: 'repair', done: tally.chunks, total, bytes: tally.bytes });
  };
  for (let after: ChunkId | undefined; ;) {
    throwIfAborted(signal);
    const records = await catalog.list(after, BATCH);
    if (records.length === 0) return tally.report();
    const last = records.at(-1)!.id;
    queued = await queuedBetween(keeper, after, last);
    await repairBatch(records, keeper.batchDeps(), options, ended, signal);
    after = last;
  }
}

/**
 * Works through the durable repair queue, of all its entries those nearest to their loss first; what has many shards left is put off.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export async function drainRepairQueue(
  keeper: Keeper,
  { unreachableGraceMs, scrubIntervalMs }: QueueOptions,
  signal: AbortSignal,
): Promise<RepairReport> {
  const { clock, providers } = keeper.deps;
  const startedAt = clock.now();
  const tally = new RepairTally();
  const model = await keeper.model();
  const repairAt = repairThresholds(model);
  const mayReturn = (provider: ProviderId) =>
    keeper.outages.mayReturn(provider, clock.now(), unreachableGraceMs);
  const urgencies = keeper.urgencies(model);
  // What fails is due again later, so this ends; the count is for what others put back all the time.
  for (let budget = Infinity; budget > 0;) {
    const domains = stayingDomains(providers);
    const isDue = (id: ChunkId) => keeper.backoff.isDue(id, startedAt);
    const select = { limit: WINDOW, isDue, domains, urgencies, repairAt };
    const deps = { ...keeper.deps, isPending: keeper.isPending };
    const { entries, due } = await mostUrgent(deps, select, signal);
    throwIfAborted(signal);
    if (entries.length === 0) break;
    budget = Math.min(budget, 2 * due + WINDOW_BATCH) - entries.length;
    const laneFor = (urgent: boolean) => keeper.laneFor(urgent);
    const batch = { domains, urgencies, repairAt, mayReturn, laneFor };
    for (let at = 0; at < entries.length; at += WINDOW_BATCH) {
      const some = entries.slice(at, at + WINDOW_BATCH);
      await repairEntries(keeper, some, batch, tally, scrubIntervalMs / 2, signal);
    }
  }
  return tally.report();
}

/** @param scrubLagMs expected age of a loss when a scrub finds it */
async function repairEntries(
  keeper: Keeper,
  entries: readonly UrgentEntry[],
  options: Omit<BatchOptions, 'depthOf' | 'isLate'>,
  tally: RepairTally,
  scrubLagMs: number,
  signal: AbortSignal,
): Promise<void> {
  throwIfAborted(signal);
  const { catalog, clock } = keeper.deps;
  const reasons = new Map(entries.map(({ id, reason }) => [id, reason]));
  const records: ChunkRecord[] = [];
  for (const { id } of entries) {
    keeper.waits.met(id, clock.now());
    const record = await catalog.get(id);
    if (record) records.push(record);
    else await catalog.dequeueRepair(id);
  }
  const depthOf = (id: ChunkId): Depth => (isDamage(reasons.get(id)!) ? 'deep' : 'shallow');
  const isLate = (id: ChunkId) => isLateReason(reasons.get(id));
  const ended = async (id: ChunkId, outcome: BatchOutcome) => {
    const queued = reasons.get(id)!;
    const reason = tally.add(id, outcome);
    await settle(keeper, id, outcome, {
      reason,
      queued,
      whole: outcome.outcome?.verified || !isDamage(queued),
    });
    if (outcome.outcome?.result !== 'repaired') return;
    const lag = queued.endsWith(SCRUB_DETAIL) ? scrubLagMs / HOUR_MS : 0;
    keeper.watch.rebuilt(outcome.outcome.rebuilt, lag + keeper.waits.ended(id, clock.now()));
  };
  await repairBatch(records, keeper.batchDeps(), { ...options, depthOf, isLate }, ended, signal);
}

interface Settlement {
  /** Why the chunk still lacks redundancy. */
  readonly reason: string | undefined;
  /** Reason of its entry in the queue, if it has one. */
  readonly queued: string | undefined;
  /** What the entry stands for has been looked at. */
  readonly whole: boolean | undefined;
}

/**
 * Keeps the queue in step with what became of a chunk. An entry may stand for damage that a shallow look does not see: then it stays
 * until every byte has been verified.
 */
async function settle(
  keeper: Keeper,
  id: ChunkId,
  { outcome }: BatchOutcome,
  { reason, queued, whole }: Settlement,
): Promise<void> {
  const { catalog, clock } = keeper.deps;
  // A superseded chunk has a new record, or none: the next round looks at it afresh.
  if (outcome?.result === 'superseded') {
    if (queued !== undefined) keeper.backoff.failed(id, clock.now());
    return;
  }
  if (outcome?.result === 'healthy' || outcome?.result === 'repaired') {
    if (queued === undefined || !whole) return;
    keeper.backoff.settled(id);
    await catalog.dequeueRepair(id, queued);
    return;
  }
  const kind = kindOf(queued, outcome);
  if (!outcome) {
    keeper.backoff.failed(id, clock.now());
    await catalog.enqueueRepair(id, reason ?? 'repair broke off', keepLate);
    return;
  }
  const { remaining } = outcome.classification;
  let detail = reason ?? 'waiting for an unreachable provider';
  if (outcome.result === 'deferred') detail = putOff(outcome.recorded);
  else keeper.backoff.failed(id, clock.now());
  const text = formatReason(kind, remaining, detail);
  await catalog.enqueueRepair(id, isLateReason(queued) && outcome.absent ? markLate(text) : text);
}

/** A reason that accuses no bytes is settled by a look at which shards are there. */
function isDamage(queued: string): boolean {
  return parseReason(queued).kind === 'damage';
}

function isLateReason(queued: string | undefined): boolean {
  return queued !== undefined && parseReason(queued).late;
}

/** Damage, known or suspected, is named for as long as the chunk is in the queue: a shallow look would not see it. */
function kindOf(queued: string | undefined, outcome: BatchOutcome['outcome']): RepairKind {
  const suspected = queued !== undefined && isDamage(queued);
  return suspected || !outcome || outcome.damaged ? 'damage' : 'lost';
}

/** Entries of the queue after `after`, up to and with `last`, with their reasons. */
async function queuedBetween(
  keeper: Keeper,
  after: ChunkId | undefined,
  last: ChunkId,
): Promise<ReadonlyMap<ChunkId, string>> {
  const queued = new Map<ChunkId, string>();
  for (let cursor = after; ;) {
    const entries = await keeper.deps.catalog.repairEntries(cursor, BATCH);
    for (const { id, reason } of entries) if (id <= last) queued.set(id, reason);
    cursor = entries.at(-1)?.id;
    if (cursor === undefined || cursor >= last) return queued;
  }
}
