/** The decisions of repair: pure functions of a record, of what an examination found, and of the providers' states. */
import { DomainMap } from '../durability/domains.ts';
import type {
  Candidate,
  ChooseProviders,
  ChunkRecord,
  DomainLevel,
  ProviderId,
  ProviderInfo,
  Providers,
  ProviderState,
} from '../types.ts';

/** What an examination found of one shard. 'undefined': the record names no place for it. */
export type ShardHealth = 'healthy' | 'missing' | 'corrupt' | 'unreachable' | 'undefined';

type RepairAction = 'none' | 'wait' | 'repair' | 'spread' | 'unreadable';

export interface Classification {
  /** Shards that can be read now, wherever they lie. */
  readonly readable: number;
  /** Those of them that stay where they are and count: not on providers that are leaving, not beyond what one domain may hold. */
  readonly healthy: number;
  /** How many more shards may be lost: healthy ones less k. Negative below k. */
  readonly remaining: number;
  /** Indexes to be built anew: those that cannot be read first, then those to be moved off their provider. */
  readonly lost: readonly number[];
  /** Shards to be moved to other domains, where that can be done: one domain has more of the chunk than it may. */
  readonly clumped: readonly number[];
  /** Shards that are given time: unreachable ones to come back, and those that can be read at a suspended provider, until it is evacuated. */
  readonly waiting: readonly number[];
  /** 'spread': nothing is lost, but there are clumped shards. 'wait': nothing but waiting shards. 'unreadable': fewer than k shards can be read whole. */
  readonly action: RepairAction;
}

export interface ClassifyOptions {
  /**
   * Whether an unreachable provider is still within its time of grace. A shard there is waited for only while the chunk would
   * survive the loss of one more. By default none is.
   */
  readonly mayReturn?: (provider: ProviderId) => boolean;
  /** The domains there are; without them no shard counts as clumped. */
  readonly domains?: DomainMap;
  /** Providers whose shards are to be moved away, whatever their state. */
  readonly leaving?: ReadonlySet<ProviderId>;
}

/** Providers in these states keep no shard for long: what lies there can be read, but does not count as redundancy. */
const LEAVING: ReadonlySet<ProviderState> = new Set(['suspended', 'exiting', 'gone', 'disqualified']);

/** A provider that is no longer registered is gone for good. */
export function stays(provider: ProviderInfo | undefined): boolean {
  return provider !== undefined && !LEAVING.has(provider.state);
}

/** The failure domains of the providers that shards may stay with. */
export function stayingDomains(providers: Pick<Providers, 'all'>): DomainMap {
  return new DomainMap(
    providers
      .all()
      .map(({ info }) => info)
      .filter(stays),
  );
}

/** @param health one entry for each entry of `record.shards` */
export function classify(
  record: ChunkRecord,
  health: readonly ShardHealth[],
  providers: Pick<Providers, 'get'>,
  options: ClassifyOptions = {},
): Classification {
  const indexes = record.shards.map((_, index) => index);
  const hostOf = (index: number) => stayingHost(record, index, providers, options.leaving);
  const readable = indexes.filter((index) => health[index] === 'healthy');
  const moving = readable.filter((index) => !hostOf(index));
  const clumped = clumpedAmong(record, readable, hostOf, options.domains);
  const healthy = readable.length - moving.length - clumped.length;
  const remaining = healthy - record.profile.data;
  const unread = indexes.filter((index) => health[index] !== 'healthy');
  const isSuspended = (index: number) => {
    const id = record.shards[index]?.provider;
    return id !== undefined && !options.leaving?.has(id) && providers.get(id)?.info.state === 'suspended';
  };
  // It counts for nothing, but it is there: a region that is back is suspended for a day yet, and evacuation moves what has to be moved.
  const suspended = moving.filter(isSuspended);
  const resting = healthy + suspended.length > record.profile.data ? suspended : [];
  const absent = unread.filter((index) => {
    if (health[index] !== 'unreachable' || remaining < 1) return false;
    // A suspended one is as likely to come back as one that the oracle has not judged yet.
    const isExpected = hostOf(index) !== undefined || isSuspended(index);
    return isExpected && (options.mayReturn?.(record.shards[index]!.provider) ?? false);
  });
  const waiting = [...absent, ...resting];
  const lost = [...unread, ...moving].filter((index) => !waiting.includes(index));
  let action: RepairAction = waiting.length > 0 ? 'wait' : 'none';
  if (clumped.length > 0) action = 'spread';
  if (lost.length > 0) action = 'repair';
  if (readable.length < record.profile.data) action = 'unreadable';
  return { readable: readable.length, healthy, remaining, lost, clumped, waiting, action };
}

/** Healthy shards as far as the record and the providers' states alone tell; an examination can only find fewer. */
export function healthyOnRecord(
  record: ChunkRecord,
  providers: Pick<Providers, 'get'>,
  domains: DomainMap | undefined,
): { readonly healthy: number; readonly readable: number } {
  const placed = record.shards.flatMap((place, index) =>
    place && providers.get(place.provider) ? [index] : [],
  );
  const hostOf = (index: number) => stayingHost(record, index, providers);
  const staying = placed.filter(hostOf);
  const clumped = clumpedAmong(record, staying, hostOf, domains);
  return { healthy: staying.length - clumped.length, readable: placed.length };
}

function clumpedAmong(
  record: ChunkRecord,
  indexes: readonly number[],
  hostOf: (index: number) => ProviderInfo | undefined,
  domains: DomainMap | undefined,
): readonly number[] {
  if (!domains) return [];
  const places = indexes.flatMap((index) => {
    const host = hostOf(index);
    return host ? [{ index, domain: host.domain }] : [];
  });
  const { data, parity } = record.profile;
  return domains.clumped(places, data + parity, parity);
}

/** The provider of a shard, if the shard may stay there. */
function stayingHost(
  record: ChunkRecord,
  index: number,
  providers: Pick<Providers, 'get'>,
  leaving?: ReadonlySet<ProviderId>,
): ProviderInfo | undefined {
  const id = record.shards[index]?.provider;
  if (id === undefined || leaving?.has(id)) return undefined;
  const info = providers.get(id)?.info;
  return stays(info) ? info : undefined;
}

/** One lost shard and the provider it is to be written to. */
export interface RepairTarget {
  readonly index: number;
  readonly provider: ProviderInfo;
  /** What stands under the shard's name there, if anything does, is of no use and goes before the new shard is written. */
  readonly clear: boolean;
  /** That useless file is the recorded shard itself: leaves of it that are still right go with it. */
  readonly destroys: boolean;
}

export interface RepairPlan {
  /** Fewer than the lost shards when there are not enough providers. */
  readonly targets: readonly RepairTarget[];
  /** As in ChooseAnswer. */
  readonly survives: readonly DomainLevel[];
}

export interface PlanRequest {
  readonly record: ChunkRecord;
  readonly health: readonly ShardHealth[];
  readonly lost: readonly number[];
  readonly providers: Pick<Providers, 'get'>;
  readonly candidates: readonly Candidate[];
  readonly choose: ChooseProviders;
  /** Providers that have just refused a shard of this chunk, or are to be rid of theirs. */
  readonly refused: ReadonlySet<ProviderId>;
  /** The only providers that may take shards. By default all. */
  readonly onto?: ReadonlySet<ProviderId>;
}

/** Chooses a provider for every lost shard: none that holds another shard of the chunk; its own former place may be chosen again. */
export function planRepair(request: PlanRequest): RepairPlan {
  const { record, lost, candidates, choose, refused, onto } = request;
  const staying = record.shards.flatMap((place, index) => (place && !lost.includes(index) ? [place] : []));
  const holders = new Set(staying.map((place) => place.provider));
  const taken = [...holders].flatMap((id) => request.providers.get(id)?.info ?? []);
  const answer = choose({
    // The very array that others choose from, for which everything is prepared: a filtered copy would cost a pass over all providers a chunk.
    candidates: onto ? candidates.filter(({ info }) => onto.has(info.id)) : candidates,
    count: lost.length,
    perDomainMax: record.profile.parity,
    taken,
    excluded: refused,
    seed: (Number.parseInt(record.id.slice(0, 8), 16) ^ record.generation) >>> 0,
  });
  const targets = assign(record, lost, answer.chosen).map(({ index, provider }) => {
    const home = record.shards[index]?.provider === provider.id;
    const clear = !home || request.health[index] === 'corrupt';
    return { index, provider, clear, destroys: home && clear };
  });
  return { targets, survives: answer.survives };
}

/** A shard whose former place was chosen returns to it; the others take what is left, in order. */
function assign(record: ChunkRecord, lost: readonly number[], chosen: readonly ProviderInfo[]) {
  const left = [...chosen];
  const homes = new Map<number, ProviderInfo>();
  for (const index of lost) {
    const at = left.findIndex((info) => info.id === record.shards[index]?.provider);
    if (at >= 0) homes.set(index, left.splice(at, 1)[0]!);
  }
  return lost.flatMap((index) => {
    const provider = homes.get(index) ?? left.shift();
    return provider ? [{ index, provider }] : [];
  });
}
