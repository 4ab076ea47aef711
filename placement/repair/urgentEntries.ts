/** Which entries of the repair queue come next, as far as records and reasons tell without asking a provider. */
import type { Profile } from '#erasure';
import type { DomainMap } from '../durability/domains.ts';
import { parseReason, type RepairReason } from './reasons.ts';
import { healthyOnRecord } from './repairPlan.ts';
import { byUrgency, type Urgencies, type Urgency } from './urgency.ts';
import type { ChunkCatalog, ChunkId, Providers, RepairEntry } from '../types.ts';

/** Entries read from the queue at a time. */
const PAGE = 256;

export interface UrgentEntry extends RepairEntry {
  readonly urgency: Urgency;
}

export interface SelectDeps {
  readonly catalog: Pick<ChunkCatalog, 'get' | 'repairEntries' | 'dequeueRepair'>;
  readonly providers: Pick<Providers, 'get'>;
  readonly isPending: (chunk: ChunkId) => boolean | Promise<boolean>;
}

export interface SelectOptions {
  /** Entries to return at most; about twice as many are held at a time. */
  readonly limit: number;
  readonly isDue: (id: ChunkId) => boolean;
  readonly domains: DomainMap;
  readonly urgencies: Urgencies;
  /** With more healthy shards than this, repair is put off. */
  readonly repairAt: (profile: Profile) => number;
}

export interface Selection {
  /** Most urgent first; equally urgent ones in order of id. */
  readonly entries: readonly UrgentEntry[];
  /** Entries that are due, those beyond the limit included. */
  readonly due: number;
}

/**
 * Walks the whole queue for the entries nearest to their loss. Left out are those of writes under way and those that are put off;
 * entries of deleted chunks are dropped.
 * @throws what the catalog throws
 */
export async function mostUrgent(
  deps: SelectDeps,
  options: SelectOptions,
  signal: AbortSignal,
): Promise<Selection> {
  const best: UrgentEntry[] = [];
  let due = 0;
  const cut = () => best.sort(byUrgencyAndId).splice(options.limit);
  for (let after: ChunkId | undefined; !signal.aborted;) {
    const page = await deps.catalog.repairEntries(after, PAGE);
    if (page.length === 0) break;
    for (const entry of page) {
      if (!options.isDue(entry.id)) continue;
      const urgency = await judge(entry, deps, options);
      if (!urgency) continue;
      due++;
      if (best.push({ ...entry, urgency }) >= 2 * options.limit) cut();
    }
    after = page.at(-1)!.id;
  }
  cut();
  return { entries: best, due };
}

function byUrgencyAndId(a: UrgentEntry, b: UrgentEntry): number {
  return byUrgency(a.urgency, b.urgency) || (a.id < b.id ? -1 : 1);
}

async function judge(
  entry: RepairEntry,
  { catalog, providers, isPending }: SelectDeps,
  { domains, urgencies, repairAt }: SelectOptions,
): Promise<Urgency | undefined> {
  if (await isPending(entry.id)) return undefined;
  const record = await catalog.get(entry.id);
  if (!record) {
    await catalog.dequeueRepair(entry.id);
    return undefined;
  }
  const { profile } = record;
  const reason = parseReason(entry.reason);
  const { spare } = reason;
  const recorded = healthyOnRecord(record, providers, domains);
  // What may never have become durable is not put off.
  if (!reason.late && worstCase(profile, reason, recorded.healthy) > repairAt(profile)) return undefined;
  // An entry is there for at least one shard: where nobody has counted, one is taken to be lost.
  const counted = spare === undefined ? profile.data + profile.parity - 1 : profile.data + spare;
  const healthy = Math.min(recorded.healthy, counted);
  const readable = Math.max(healthy, recorded.readable - (recorded.healthy - healthy));
  return urgencies.of(profile, healthy, readable);
}

/**
 * Healthy shards if none of those that were counted as lost is among those that providers have taken away since, or, where it is not known what
 * they had taken then, at all. 0 where nobody has counted.
 */
function worstCase(
  { data, parity }: Profile,
  { spare, recorded: then }: RepairReason,
  recorded: number,
): number {
  if (spare === undefined) return 0;
  return then === undefined ? recorded - (parity - spare) : data + spare - Math.max(0, then - recorded);
}
