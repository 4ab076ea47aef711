/** Adds up chunk records for a durability report: counts only, so that a pass over any number of chunks fits in memory. */
import type { Profile } from '#erasure';
import { anyLoss, chunkLossPerYear, nines, repairThreshold } from './formulas.ts';
import { DOMAIN_LEVELS, domainAt } from './domains.ts';
import type { Durability, FailureModel } from './types.ts';
import type { ChunkRecord, ProviderInfo } from '../types.ts';

type Level = Durability['worstDomain'][number]['level'];

const LEVELS: readonly Level[] = [...DOMAIN_LEVELS, 'provider'];

interface Count {
  chunks: number;
  bytes: number;
}

/** Plain data, so that a pass can be saved in the middle. */
export interface Tally {
  /** By `k+m`. */
  readonly profiles: Record<string, Count & { readonly profile: Profile }>;
  /** By level and domain: chunks that could not be read without it. */
  readonly depending: Record<Level, Record<string, Count>>;
  lacking: number;
  unreadable: number;
}

export function emptyTally(): Tally {
  // Names come from providers and buckets: no prototype that one of them could meet.
  const domains = () => Object.create(null) as Record<string, Count>;
  const depending = { region: domains(), site: domains(), operator: domains(), provider: domains() };
  return { profiles: {}, depending, lacking: 0, unreadable: 0 };
}

/** A tally that was saved as JSON. */
export function revivedTally(saved: Tally): Tally {
  const tally = emptyTally();
  for (const level of LEVELS) Object.assign(tally.depending[level], saved.depending[level]);
  return { ...tally, profiles: saved.profiles, lacking: saved.lacking, unreadable: saved.unreadable };
}

/** A chunk's shards as its record and the providers' states have them. */
export interface ChunkView {
  readonly record: ChunkRecord;
  /** Providers of the shards that can be read. */
  readonly readable: readonly ProviderInfo[];
  /** Shards that can be read and stay where they are. */
  readonly healthy: number;
}

export function addChunk(tally: Tally, view: ChunkView): void {
  const { profile, length } = view.record;
  const key = `${profile.data}+${profile.parity}`;
  count((tally.profiles[key] ??= { profile, chunks: 0, bytes: 0 }), length);
  if (view.healthy < profile.data + profile.parity) tally.lacking++;
  const spare = view.readable.length - profile.data;
  if (spare < 0) {
    tally.unreadable++;
    return;
  }
  for (const level of LEVELS) {
    const shards = new Map<string, number>();
    for (const info of view.readable) {
      const name = level === 'provider' ? info.id : domainAt(info.domain, level);
      shards.set(name, (shards.get(name) ?? 0) + 1);
    }
    for (const [name, held] of shards) {
      if (held > spare) count((tally.depending[level][name] ??= { chunks: 0, bytes: 0 }), length);
    }
  }
}

function count(into: Count, bytes: number): void {
  into.chunks++;
  into.bytes += bytes;
}

/** @param standard the profile of an empty tally */
export function durabilityOf(tally: Tally, model: FailureModel, standard: Profile): Durability {
  const groups = Object.values(tally.profiles).sort((a, b) => b.bytes - a.bytes);
  const profile = groups[0]?.profile ?? standard;
  const losses = groups.map((group) => ({ ...group, loss: chunkLossPerYear(group.profile, model) }));
  const sum = (of: (group: (typeof losses)[number]) => number) =>
    losses.reduce((total, group) => total + of(group), 0);
  const chunks = sum((group) => group.chunks);
  const chunkLoss =
    chunks > 0 ? sum((group) => group.loss * group.chunks) / chunks : chunkLossPerYear(profile, model);
  return {
    profile,
    chunks,
    bytes: sum((group) => group.bytes),
    chunkLoss,
    anyLoss: anyOf(losses.map((group) => anyLoss(group.loss, group.chunks))),
    nines: nines(chunkLoss),
    expectedLossBytes: sum((group) => group.loss * group.bytes),
    repairAt: repairThreshold(profile, model),
    lacking: tally.lacking,
    unreadable: tally.unreadable,
    worstDomain: LEVELS.flatMap((level) => worstOf(level, tally.depending[level])),
  };
}

/** Probability of any of independent events; exact for small ones too, which 1−Π(1−p) is not. */
function anyOf(probabilities: readonly number[]): number {
  return Math.abs(Math.expm1(probabilities.reduce((sum, each) => sum + Math.log1p(-each), 0)));
}

function worstOf(level: Level, domains: Readonly<Record<string, Count>>): Durability['worstDomain'] {
  let worst: readonly [string, Count] | undefined;
  for (const each of Object.entries(domains)) {
    const [name, { chunks }] = each;
    const better = worst && (chunks < worst[1].chunks || (chunks === worst[1].chunks && name > worst[0]));
    if (!better) worst = each;
  }
  return worst ? [{ level, domain: worst[0], ...worst[1] }] : [];
}
