/** The fleet that every run starts from: 5,000 providers on a map of regions, sites and operators. */
import type { Profile } from '#erasure';
import { seededRandom, type Candidate, type ProviderInfo } from '#placement';
import { pareto, pick, pickByShare, rankedShares } from './chance.ts';

/** Bytes of user data. */
export const USER_BYTES = 50e15;
export const CHUNK_BYTES = 64 * 2 ** 20;
/** Chunks that the whole system holds; a run holds a sample, each of which stands for many. */
export const CHUNKS = USER_BYTES / CHUNK_BYTES;
export const PROFILES: readonly Profile[] = [
  { data: 4, parity: 2 },
  { data: 10, parity: 6 },
  { data: 16, parity: 8 },
];
/** The profile of new data at this scale. */
export const MAIN_PROFILE: Profile = PROFILES[1]!;

const REGIONS = 10;
const SITES_EACH = 50;
const OPERATORS = 400;
/** Raw bytes a byte of user data: 1.6 stored at 80 % full. */
const RAW_SHARE = 2;
/** Capacities are Pareto distributed, the largest provider 30 times the smallest. */
const CAPACITY_EXPONENT = 1.3;
const CAPACITY_RATIO = 30;
/** Shards of new data after which load counts half: ten seconds of 200 chunks a second. */
const LOAD_HALF_LIFE_CHUNKS = 2_000;

export interface World {
  /** Provider i has the id `p<i>`. */
  readonly providers: readonly ProviderInfo[];
  readonly candidates: readonly Candidate[];
  readonly weights: Float64Array;
  /** Number of the provider's region, site (of all regions) and operator. */
  readonly regions: readonly number[];
  /** Share of all capacity in each region, the largest first. */
  readonly regionShares: readonly number[];
  /** A chunk's shards are on their way to these providers: they count as load for a while. */
  noteLoad(providers: readonly number[]): void;
}

/** @param count of providers; @param weighs says what the weights are, capacities by default */
export function createWorld(count: number, seed: number, weighs: 'capacity' | 'equal' = 'capacity'): World {
  const random = seededRandom(seed);
  const regionSums = rankedShares(REGIONS, 2);
  const operatorSums = rankedShares(OPERATORS, 20);
  // Most of an operator's hardware stands in its home region.
  const homes = Array.from({ length: OPERATORS }, () => pickByShare(random, regionSums));
  const raw = Float64Array.from({ length: count }, () => pareto(random, CAPACITY_EXPONENT, CAPACITY_RATIO));
  const scale = (USER_BYTES * RAW_SHARE) / raw.reduce((sum, each) => sum + each, 0);
  const regions: number[] = [];
  const providers = Array.from({ length: count }, (_, number): ProviderInfo => {
    const operator = pickByShare(random, operatorSums);
    const region = random.fraction() < 0.7 ? homes[operator]! : pickByShare(random, regionSums);
    regions.push(region);
    const capacity = weighs === 'equal' ? (USER_BYTES * RAW_SHARE) / count : raw[number]! * scale;
    return {
      id: `p${number}`,
      endpoint: '',
      domain: { region: `r${region}`, site: `s${pick(random, SITES_EACH)}`, operator: `o${operator}` },
      state: 'active',
      score: 1,
      capacity,
      free: capacity,
    };
  });
  const total = providers.reduce((sum, { capacity }) => sum + capacity, 0);
  const shareOf = (region: number): number =>
    providers.reduce((sum, { capacity }, i) => sum + (regions[i] === region ? capacity : 0), 0) / total;
  return {
    providers,
    weights: Float64Array.from(providers, ({ capacity }) => capacity),
    regions,
    regionShares: Array.from({ length: REGIONS }, (_, region) => shareOf(region)),
    ...candidatesWithLoad(providers),
  };
}

/** Loads are counted in a unit that shrinks with every chunk, and begin anew before it is too small for a double. */
const UNIT_MAX = 1e100;

/** Free × S², with S = 1, and load that fades as chunks are placed: only how loads compare with each other matters to the chooser. */
function candidatesWithLoad(providers: readonly ProviderInfo[]): Pick<World, 'candidates' | 'noteLoad'> {
  const loads = new Float64Array(providers.length);
  const growth = 2 ** (1 / LOAD_HALF_LIFE_CHUNKS);
  let unit = 1;
  return {
    candidates: providers.map((info, at): Candidate => ({
      info,
      weight: info.free,
      get load() {
        return loads[at]!;
      },
    })),
    noteLoad(chosen) {
      for (const at of chosen) loads[at]! += unit;
      unit *= growth;
      if (unit < UNIT_MAX) return;
      for (let at = 0; at < loads.length; at++) loads[at]! /= unit;
      unit = 1;
    },
  };
}

/** Number of a provider of the world. */
export function numberOf({ id }: Pick<ProviderInfo, 'id'>): number {
  return Number(id.slice(1));
}

export function totalOf({ data, parity }: Profile): number {
  return data + parity;
}
