import type { Profile } from '#erasure';
import { chooseProviders } from '../choosing/choose.ts';
import { survivedLevels } from '../choosing/domains.ts';
import type { ShardUpload } from './shardUpload.ts';
import { writeQuorum } from './writeLimits.ts';
import {
  PlacementError,
  type ChooseAnswer,
  type ChooseRequest,
  type DomainLevel,
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
  readonly #required: readonly DomainLevel[];

  /** @param required levels of which any one domain must be expendable */
  constructor(providers: Providers, random: Random, profile: Profile, required: readonly DomainLevel[] = []) {
    this.#providers = providers;
    this.#random = random;
    this.#profile = profile;
    this.#required = required;
  }

  /**
   * Providers for k+m shards, or for fewer when no more can be had.
   * @throws PlacementError 'TooFewProviders', or 'DomainRule' when what is required cannot be had
   */
  first(): ProviderHandle[] {
    const { data, parity } = this.#profile;
    let { chosen } = this.#choose({ count: data + parity, perDomainMax: parity });
    const quorum = writeQuorum(this.#profile);
    if (chosen.length < quorum) {
      throw new PlacementError(
        'TooFewProviders',
        `a chunk of ${data}+${parity} needs ${quorum} providers, ${chosen.length} can take shards now`,
      );
    }
    // With fewer shards, a domain may have fewer of them.
    const spare = chosen.length - data;
    if (spare < parity) ({ chosen } = this.#choose({ count: chosen.length, perDomainMax: spare }));
    const survives = survivedLevels(chosen, spare);
    if (!this.isRuleKept(survives)) throw this.ruleBroken(survives);
    return this.#handles(chosen);
  }

  /** Another provider for a shard whose upload failed. Those that any shard of the chunk was tried on do not count. */
  another(uploads: readonly ShardUpload[]): ProviderHandle | undefined {
    const taken = uploads.flatMap(({ provider }) => provider ?? []);
    const excluded = new Set(uploads.flatMap((upload) => upload.tried.map(({ id }) => id)));
    const { chosen } = this.#choose({ count: 1, perDomainMax: this.#profile.parity, taken, excluded });
    return this.#handles(chosen)[0];
  }

  /** Levels of which any one domain may be lost: enough of the shards that are durable lie elsewhere. */
  survives(uploads: readonly ShardUpload[]): DomainLevel[] {
    const durable = uploads.flatMap(({ state, provider }) => (state === 'durable' && provider) || []);
    return survivedLevels(durable, durable.length - this.#profile.data);
  }

  isRuleKept(survives: readonly DomainLevel[]): boolean {
    return this.#required.every((level) => survives.includes(level));
  }

  ruleBroken(survives: readonly DomainLevel[]): PlacementError {
    const level = this.#required.find((one) => !survives.includes(one));
    return new PlacementError(
      'DomainRule',
      `Objects have to survive the loss of any one ${level}, and the storage that can be written to now does not allow it`,
    );
  }

  #choose(request: Omit<ChooseRequest, 'candidates' | 'seed' | 'required'>): ChooseAnswer {
    const seed = Math.floor(this.#random.fraction() * 2 ** 32);
    const candidates = this.#providers.candidates();
    return chooseProviders({ ...request, candidates, seed, required: this.#required });
  }

  #handles(chosen: readonly ProviderInfo[]): ProviderHandle[] {
    return chosen.flatMap(({ id }) => this.#providers.get(id) ?? []);
  }
}
