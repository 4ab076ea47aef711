import type { Profile } from '#erasure';
import { chooseProviders, type Random } from '#placement';
import { nextSeed } from './chance.ts';
import { CHUNKS, CHUNK_BYTES, numberOf, totalOf, type World } from './world.ts';

/** Chunks of the whole system, of which each one here stands for `weight`. */
export interface ChunkSample {
  readonly profile: Profile;
  readonly count: number;
  readonly weight: number;
  /** Bytes of one shard. */
  readonly shardBytes: number;
  /** Provider of shard i of chunk c at c · (k+m) + i. */
  readonly places: Uint16Array;
}

export interface PlaceOptions {
  /** Most shards in one domain; by default m, the domain rule. */
  readonly perDomainMax?: number;
  readonly progress?: (share: number) => void;
}

/** Places a sample with the product's chooser, as writing gateways would. */
export function placeSample(
  world: World,
  profile: Profile,
  count: number,
  random: Random,
  { perDomainMax = profile.parity, progress }: PlaceOptions = {},
): ChunkSample {
  const total = totalOf(profile);
  const places = new Uint16Array(count * total);
  const { candidates } = world;
  for (let chunk = 0; chunk < count; chunk++) {
    const { chosen } = chooseProviders({ candidates, count: total, perDomainMax, seed: nextSeed(random) });
    const numbers = chosen.map(numberOf);
    places.set(numbers, chunk * total);
    world.noteLoad(numbers);
    if (progress && chunk % 1024 === 0) progress(chunk / count);
  }
  return { profile, count, weight: CHUNKS / count, shardBytes: CHUNK_BYTES / profile.data, places };
}
