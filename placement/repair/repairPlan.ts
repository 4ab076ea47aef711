/** The decisions of repair: pure functions of a record, of what an examination found, and of the providers' states. */
import type {
  Candidate,
  ChooseProviders,
  ChunkRecord,
  ProviderId,
  ProviderInfo,
  Providers,
  ProviderState,
} from '../types.ts';

/** What an examination found of one shard. 'undefined': the record names no place for it. */
export type ShardHealth = 'healthy' | 'missing' | 'corrupt' | 'unreachable' | 'undefined';

type RepairAction = 'none' | 'wait' | 'repair' | 'unreadable';

export interface Classification {
  /** Shards that can be read now, wherever they lie. */
  readonly readable: number;
  /** How many more shards may be lost: healthy shards on providers that stay, less k. Negative below k. */
  readonly remaining: number;
  /** Indexes to be built anew: those that cannot be read first, then those to be moved off their provider. */
  readonly lost: readonly number[];
  /** Unreachable shards that are given time to come back. */
  readonly waiting: readonly number[];
  /** 'wait': nothing but waiting shards. 'unreadable': fewer than k shards can be read whole. */
  readonly action: RepairAction;
  /** Place in the queue, the smallest first: least remaining redundancy, then most shards at risk. Infinity without work. */
  readonly priority: number;
}

/** Providers in these states keep no shard for long: what lies there can be read, but does not count as redundancy. */
const LEAVING: ReadonlySet<ProviderState> = new Set(['suspended', 'exiting', 'gone', 'disqualified']);

/** More shards than any profile has; breaks ties of `priority` without disturbing its order. */
const SHARDS_BOUND = 1024;

/**
 * @param health one entry for each entry of `record.shards`
 * @param mayReturn whether an unreachable provider is still within its time of grace. A shard there is waited for only while
 *   the chunk would survive the loss of one more.
 */
export function classify(
  record: ChunkRecord,
  health: readonly ShardHealth[],
  providers: Pick<Providers, 'get'>,
  mayReturn: (provider: ProviderId) => boolean = () => false,
): Classification {
  const indexes = record.shards.map((_, index) => index);
  const readable = indexes.filter((index) => health[index] === 'healthy');
  const moving = readable.filter((index) => isLeaving(record.shards[index]?.provider, providers));
  const healthy = readable.length - moving.length;
  const remaining = healthy - record.profile.data;
  const unread = indexes.filter((index) => health[index] !== 'healthy');
  const waiting = unread.filter((index) => {
    const provider = record.shards[index]?.provider;
    if (health[index] !== 'unreachable' || provider === undefined || remaining < 1) return false;
    return !isLeaving(provider, providers) && mayReturn(provider);
  });
  const lost = [...unread.filter((index) => !waiting.includes(index)), ...moving];
  const action = actionFor(readable.length < record.profile.data, lost.length, waiting.length);
  const priority = action === 'repair' ? remaining - healthy / SHARDS_BOUND : Infinity;
  return { readable: readable.length, remaining, lost, waiting, action, priority };
}

function actionFor(unreadable: boolean, lost: number, waiting: number): RepairAction {
  if (unreadable) return 'unreadable';
  if (lost > 0) return 'repair';
  return waiting > 0 ? 'wait' : 'none';
}

/** A provider that is no longer registered is gone for good. */
function isLeaving(provider: ProviderId | undefined, providers: Pick<Providers, 'get'>): boolean {
  const state = provider === undefined ? undefined : providers.get(provider)?.info.state;
  return state === undefined || LEAVING.has(state);
}

/** For sorting: the most urgent first. */
export function byPriority(a: Classification, b: Classification): number {
  if (a.priority === b.priority) return 0;
  return a.priority < b.priority ? -1 : 1;
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
  readonly domainRuleKept: boolean;
}

export interface PlanRequest {
  readonly record: ChunkRecord;
  readonly health: readonly ShardHealth[];
  readonly lost: readonly number[];
  readonly providers: Pick<Providers, 'get'>;
  readonly candidates: readonly Candidate[];
  readonly choose: ChooseProviders;
  /** Providers that have just refused a shard of this chunk. */
  readonly refused: ReadonlySet<ProviderId>;
}

/** Chooses a provider for every lost shard: none that holds another shard of the chunk; its own former place may be chosen again. */
export function planRepair(request: PlanRequest): RepairPlan {
  const { record, lost, candidates, choose, refused } = request;
  const staying = record.shards.flatMap((place, index) => (place && !lost.includes(index) ? [place] : []));
  const holders = new Set(staying.map((place) => place.provider));
  const taken = [...holders].flatMap((id) => request.providers.get(id)?.info ?? []);
  const answer = choose({
    candidates: candidates.filter(({ info }) => !holders.has(info.id) && !refused.has(info.id)),
    count: lost.length,
    perDomainMax: record.profile.parity,
    taken,
    seed: (Number.parseInt(record.id.slice(0, 8), 16) ^ record.generation) >>> 0,
  });
  const targets = assign(record, lost, answer.chosen).map(({ index, provider }) => {
    const home = record.shards[index]?.provider === provider.id;
    const clear = !home || request.health[index] === 'corrupt';
    return { index, provider, clear, destroys: home && clear };
  });
  return { targets, domainRuleKept: answer.domainRuleKept };
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
