import type { Profile } from '#erasure';
import { chooseProviders } from '../choosing/choose.ts';
import { DomainLoad } from '../choosing/domainLoad.ts';
import type { ShardUpload } from './shardUpload.ts';
import { writeQuorum } from './writeLimits.ts';
import {
  PlacementError,
  type ProviderHandle,
  type ProviderInfo,
  type Providers,
  type Random,
} from '../types.ts';

/** Finds providers for the shards of one chunk: never two of them on one provider. */
export class ShardPlacer {
  readonly #providers: Providers;
  readonly #random: Random;
  readonly #profile: Profile;

  constructor(providers: Providers, random: Random, profile: Profile) {
    this.#providers = providers;
    this.#random = random;
    this.#profile = profile;
  }

  /**
   * Providers for k+m shards, or for fewer when no more can be had.
   * @throws PlacementError 'TooFewProviders', or 'NoSpace' where it is for the lack of free space
   */
  first(): ProviderHandle[] {
    const { data, parity } = this.#profile;
    const chosen = this.#choose(data + parity, [], new Set());
    const quorum = writeQuorum(this.#profile);
    if (chosen.length < quorum) {
      throw new PlacementError(
        'TooFewProviders',
        `a chunk of ${data}+${parity} needs ${quorum} providers, ${chosen.length} can take shards now`,
      );
    }
    return chosen;
  }

  /** Another provider for a shard whose upload failed. Those that any shard of the chunk was tried on do not count. */
  another(uploads: readonly ShardUpload[]): ProviderHandle | undefined {
    const taken = uploads.flatMap(({ provider }) => provider ?? []);
    const tried = new Set(uploads.flatMap((upload) => upload.tried.map(({ id }) => id)));
    return this.#choose(1, taken, tried)[0];
  }

  /** At most m shards are in one site and with one operator. */
  isRuleKept(uploads: readonly ShardUpload[]): boolean {
    const infos = uploads.flatMap(({ provider }) => provider ?? []);
    return new DomainLoad(this.#profile.parity, infos).isKept();
  }

  #choose(count: number, taken: readonly ProviderInfo[], excluded: ReadonlySet<string>): ProviderHandle[] {
    const candidates = this.#providers.candidates().filter(({ info }) => !excluded.has(info.id));
    const seed = Math.floor(this.#random.fraction() * 2 ** 32);
    const { chosen } = chooseProviders({
      candidates,
      count,
      perDomainMax: this.#profile.parity,
      taken,
      seed,
    });
    return chosen.flatMap(({ id }) => this.#providers.get(id) ?? []);
  }
}
