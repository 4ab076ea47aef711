import { forEachBounded } from '../concurrency.ts';
import type { Keeper } from './keeper.ts';
import { moveShards, shardBytes } from './move.ts';
import { sweepProvider } from './orphans.ts';
import { formatReason, keepLate } from './reasons.ts';
import { throwIfAborted } from './repairExamine.ts';
import { stayingDomains } from './repairPlan.ts';
import { sweepBounds } from './sweepBounds.ts';
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
/**
 * Longest wait for the records of writes that a leaver's list alone speaks of: it can name chunks that are yet to come. Records that come later are
 * found by the next evacuation.
 */
const WRITES_MS = 86_400_000;
/** Time for one sweep of what the records do not name; what an honest leaver still has then is of no account to anyone. */
const SWEEP_MS = 600_000;
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
  /** Why the provider could not be listed to the end: what it still holds is not known, and nothing depends on it. */
  readonly unlisted: string | undefined;
}

/**
 * Moves everything off a provider that takes no new shards, in passes over all chunk records until one finds nothing and the provider's own
 * list is empty, with no put to it under way from before the last of these passes. Chunks of writes under way are waited for, a day at most
 * where only the list speaks of them. A list that cannot be read, or goes on beyond all bounds, holds nothing up. Aborted, or after a restart,
 * it goes on where it stopped.
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
  /** Since when the provider's list alone has spoken of writes under way: ms since the epoch. */
  readonly waitingSince?: number;
}

/**
 * What the provider's list came to. 'left': something was deleted or recorded too late for this time. 'writes': it names chunks whose records may
 * still come. 'deaf': it could not be read. 'endless': it goes on beyond the bounds.
 */
type Swept =
  | { readonly kind: 'empty' }
  | { readonly kind: 'left' }
  | { readonly kind: 'writes' | 'deaf' | 'endless'; readonly reason: string };

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
  #waitingSince: number | undefined;

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
    this.#waitingSince = position?.waitingSince;
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
        const swept = await this.#sweep();
        if (swept.kind === 'empty') return await this.#finish(undefined);
        if (swept.kind === 'left') stalls++;
        else if (swept.kind === 'deaf' ? ++deaf >= STALLS_MAX : this.#isOver(swept)) {
          return await this.#finish(swept.reason);
        }
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
   * What the provider itself says it holds, as far as the bounds allow. Nobody chooses it for new shards, so what no record claims by now is left
   * over.
   */
  async #sweep(): Promise<Swept> {
    const { deps, locks } = this.#keeper;
    const { catalog, providers, clock, heldShards } = deps;
    const { isPending } = this.#keeper;
    const handle = providers.get(this.#provider);
    if (!handle) return { kind: 'deaf', reason: 'it is not registered any more' };
    if (this.#moved > 0) await this.#pause(READERS_MS);
    const { names } = sweepBounds(this.#total, heldShards?.(this.#provider));
    const report = await sweepProvider(
      { catalog, providers, clock, locks, isPending },
      handle,
      { graceMs: -Infinity, delete: true },
      { names, timeMs: SWEEP_MS },
      this.#signal,
    );
    this.#orphans += report.deleted;
    const failure = report.failed[0]?.reason;
    if (report.busy > 0 && (failure === undefined || report.cut > 0)) {
      return { kind: 'writes', reason: 'its list goes on naming chunks of writes under way' };
    }
    if (failure !== undefined) return { kind: report.cut > 0 ? 'endless' : 'deaf', reason: failure };
    return { kind: report.claimed + report.orphans - report.deleted > 0 ? 'left' : 'empty' };
  }

  /** The wait's beginning is kept with the position: whoever gives way to others in between waits no longer for it. */
  #isOver({ kind }: Swept): boolean {
    if (kind === 'endless') return true;
    const now = this.#keeper.deps.clock.now();
    this.#waitingSince = Math.min(now, this.#waitingSince ?? now);
    return now - this.#waitingSince >= WRITES_MS;
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
    const waitingSince = this.#waitingSince;
    const position: Position = {
      after,
      total: this.#total,
      ...(waitingSince !== undefined && { waitingSince }),
    };
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

function parsePosition(
  note: string | undefined,
): (Omit<Position, 'after'> & { readonly after?: ChunkId }) | undefined {
  if (!note) return undefined;
  const { after, ...others } = JSON.parse(note) as Position;
  return { ...others, ...(after && { after }) };
}
