import { forEachBounded } from '../concurrency.ts';
import type { Keeper } from './keeper.ts';
import { moveShards, shardBytes } from './move.ts';
import { sweepProvider, type OrphanReport } from './orphans.ts';
import { formatReason, keepLate } from './reasons.ts';
import { throwIfAborted } from './repairExamine.ts';
import { stayingDomains } from './repairPlan.ts';
import type { ChunkCatalog, ChunkId, ChunkRecord, Progress, ProviderId } from '../types.ts';

/** Records read at a time, and between two writes of the cursor. */
const PAGE = 256;
/** Chunks moved at the same time: each holds about two stripes. */
const CONCURRENCY = 4;
/** Rounds without progress after which those shards are left for another time. */
const STALLS_MAX = 3;
const PAUSE_MS = 5_000;
const PUTS_PAUSE_MS = 200;
/** Readers that hold a chunk's former record are done by then. */
const READERS_MS = 60_000;
const FAILED_MAX = 100;

export interface EvacuationReport {
  readonly provider: ProviderId;
  /** No record names the provider any more, and nothing is left in its list, if it can be listed. */
  readonly emptied: boolean;
  /** Chunks of this run that have left the provider. */
  readonly moved: number;
  /** Bytes of their shards there. */
  readonly bytes: number;
  /** Chunks that are still there. */
  readonly left: number;
  /** Stored shards that no record named, deleted. */
  readonly orphans: number;
  /** Why chunks are still there: the first of them. */
  readonly failed: readonly { readonly id: ChunkId; readonly reason: string }[];
  /** Why the provider could not be listed: what it still holds is not known, and nothing depends on it. */
  readonly unlisted: string | undefined;
}

/**
 * Moves everything off a provider that takes no new shards, in passes over all chunk records until one finds nothing and the provider's own
 * list is empty, with no put to it under way from before the last of these passes. Chunks of writes under way are waited for. Aborted, or after a restart, it goes on where it stopped.
 * @throws PlacementError 'Aborted'; what the catalog throws
 */
export function evacuateProvider(
  keeper: Keeper,
  provider: ProviderId,
  onProgress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal,
): Promise<EvacuationReport> {
  return new Evacuation(keeper, provider, onProgress, signal).run();
}

/** Chunks that have a shard at a provider, by their records. */
export async function countShardsAt(
  catalog: Pick<ChunkCatalog, 'list'>,
  provider: ProviderId,
  signal?: AbortSignal,
): Promise<number> {
  let count = 0;
  for (let after: ChunkId | undefined; ;) {
    throwIfAborted(signal);
    const records = await catalog.list(after, PAGE);
    if (records.length === 0) return count;
    count += records.filter((record) => isAt(record, provider)).length;
    after = records.at(-1)!.id;
  }
}

function isAt(record: ChunkRecord, provider: ProviderId): boolean {
  return record.shards.some((place) => place?.provider === provider);
}

/** What a restart goes on with. */
interface Position {
  readonly after: string;
  /** Chunks at the provider when the evacuation began. */
  readonly total: number;
}

interface Pass {
  found: number;
  moved: number;
  busy: number;
  readonly failed: { id: ChunkId; reason: string }[];
}

class Evacuation {
  readonly #keeper: Keeper;
  readonly #provider: ProviderId;
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #signal: AbortSignal;
  readonly #startedAt: number;
  #total = 0;
  /** Done before this run, and in it. */
  #before = 0;
  #moved = 0;
  #bytes = 0;
  #orphans = 0;

  constructor(
    keeper: Keeper,
    provider: ProviderId,
    onProgress: ((progress: Progress) => void) | undefined,
    signal: AbortSignal,
  ) {
    this.#keeper = keeper;
    this.#provider = provider;
    this.#onProgress = onProgress;
    this.#signal = signal;
    this.#startedAt = keeper.deps.clock.now();
  }

  async run(): Promise<EvacuationReport> {
    const { catalog } = this.#keeper.deps;
    const position = parsePosition(await catalog.getNote(this.#note));
    const now = await countShardsAt(catalog, this.#provider, this.#signal);
    this.#total = position?.total ?? now;
    this.#before = Math.max(0, this.#total - now);
    let after = position?.after;
    await this.#save(after ?? '');
    let stalls = 0;
    let deaf = 0;
    for (;;) {
      const resumed = after !== undefined;
      const open = this.#openPuts;
      const pass = await this.#pass(after);
      after = undefined;
      if (pass.found === 0) {
        // A pass that began in the middle has not seen what was written before it.
        if (resumed) continue;
        if (open > 0) {
          await this.#putsEnded();
          continue;
        }
        const left = await this.#sweep();
        if (left === undefined) return await this.#finish(undefined);
        if (typeof left !== 'string') stalls += left.busy > 0 ? 0 : 1;
        else if (++deaf >= STALLS_MAX) return await this.#finish(left);
      } else if (pass.moved > 0) stalls = 0;
      else if (pass.failed.length > 0) stalls++;
      if (stalls >= STALLS_MAX) return await this.#stall(pass);
      if (pass.moved === 0) await this.#pause(PAUSE_MS);
    }
  }

  get #openPuts(): number {
    return this.#keeper.deps.providers.openPuts(this.#provider);
  }

  /** Writes that had begun with this provider before it was to be emptied. */
  async #putsEnded(): Promise<void> {
    while (this.#openPuts > 0) await this.#pause(PUTS_PAUSE_MS);
  }

  get #note(): string {
    return `evacuate.${this.#provider}`;
  }

  /** Once over all records. */
  async #pass(from: ChunkId | undefined): Promise<Pass> {
    const { catalog, providers } = this.#keeper.deps;
    const pass: Pass = { found: 0, moved: 0, busy: 0, failed: [] };
    for (let after = from; ;) {
      throwIfAborted(this.#signal);
      const records = await catalog.list(after, PAGE);
      if (records.length === 0) break;
      const here = records.filter((record) => isAt(record, this.#provider));
      const domains = stayingDomains(providers);
      await forEachBounded(here, CONCURRENCY, (record) => this.#move(record, domains, pass));
      after = records.at(-1)!.id;
      if (here.length > 0) await this.#save(after);
    }
    await this.#save('');
    return pass;
  }

  async #move(record: ChunkRecord, domains: ReturnType<typeof stayingDomains>, pass: Pass): Promise<void> {
    throwIfAborted(this.#signal);
    pass.found++;
    const leaving = new Set([this.#provider]);
    const { result, outcome } = await moveShards(this.#keeper, record.id, { leaving, domains }, this.#signal);
    if (result === 'busy') pass.busy++;
    else if (result === 'kept') {
      const { remaining, lost } = outcome!.classification;
      const reason = outcome!.reason ?? outcome!.result;
      if (pass.failed.length < FAILED_MAX) pass.failed.push({ id: record.id, reason });
      // It lacks more than its place: that is for the queue, whoever stays or goes.
      if (lost.length > 1) {
        const found = formatReason('damage', remaining, reason);
        await this.#keeper.deps.catalog.enqueueRepair(record.id, found, keepLate);
      }
    } else {
      pass.moved++;
      this.#moved++;
      this.#bytes += shardBytes(record);
      this.#progress();
    }
  }

  /**
   * What the provider itself says it holds. Undefined: nothing. Text: why it could not be asked.
   * Nobody chooses it for new shards, so what no record claims by now is left over.
   */
  async #sweep(): Promise<OrphanReport | string | undefined> {
    const { deps, locks } = this.#keeper;
    const { catalog, providers, clock } = deps;
    const { isPending } = this.#keeper;
    const handle = providers.get(this.#provider);
    if (!handle) return 'it is not registered any more';
    if (this.#moved > 0) await this.#pause(READERS_MS);
    const options = { graceMs: -Infinity, delete: true };
    const report = await sweepProvider(
      { catalog, providers, clock, locks, isPending },
      handle,
      options,
      this.#signal,
    );
    this.#orphans += report.deleted;
    if (report.failed.length > 0) return report.failed[0]!.reason;
    return report.claimed + report.busy + report.orphans - report.deleted > 0 ? report : undefined;
  }

  async #finish(unlisted: string | undefined): Promise<EvacuationReport> {
    await this.#keeper.deps.catalog.setNote(this.#note, '');
    this.#progress();
    return this.#report({ emptied: true, left: 0, failed: [], unlisted });
  }

  async #stall({ failed }: Pass): Promise<EvacuationReport> {
    const left = await countShardsAt(this.#keeper.deps.catalog, this.#provider, this.#signal);
    return this.#report({ emptied: false, left, failed, unlisted: undefined });
  }

  #report(end: Pick<EvacuationReport, 'emptied' | 'left' | 'failed' | 'unlisted'>): EvacuationReport {
    const { moved, bytes, orphans } = { moved: this.#moved, bytes: this.#bytes, orphans: this.#orphans };
    return { provider: this.#provider, moved, bytes, orphans, ...end };
  }

  /** @param after '': the pass is over, or has not begun */
  async #save(after: string): Promise<void> {
    const position: Position = { after, total: this.#total };
    await this.#keeper.deps.catalog.setNote(this.#note, JSON.stringify(position));
  }

  #progress(): void {
    const done = this.#before + this.#moved;
    // Writes that were under way at the beginning add to it.
    const total = Math.max(this.#total, done);
    const passedMs = this.#keeper.deps.clock.now() - this.#startedAt;
    const etaMs = Math.round((passedMs / Math.max(1, this.#moved)) * (total - done));
    this.#onProgress?.({ job: 'evacuate', done, total, bytes: this.#bytes, etaMs });
  }

  async #pause(ms: number): Promise<void> {
    // Rejects only when it is time to stop.
    await this.#keeper.deps.clock.sleep(ms, this.#signal).catch(() => undefined);
    throwIfAborted(this.#signal);
  }
}

function parsePosition(note: string | undefined): { after?: ChunkId; total: number } | undefined {
  if (!note) return undefined;
  const { after, total } = JSON.parse(note) as Position;
  return { total, ...(after && { after }) };
}
