import type { Profile } from '#erasure';
import { daysToLoss, lossWhenProvidersFail } from '../durability/formulas.ts';
import type { FailureModel } from '../durability/types.ts';

/** Share of the providers that fails in the scenario which breaks ties. */
const FAILING_SHARE = 1 / 3;

/** How near a chunk is to its loss. */
export interface Urgency {
  /** Expected days to its loss without repair, of its healthy shards. */
  readonly days: number;
  /** Probability that it cannot be read any more when a third of all providers fail, of all shards that can be read now. */
  readonly risk: number;
}

/** For sorting: fewest days first, then greatest risk. */
export function byUrgency(a: Urgency, b: Urgency): number {
  return a.days - b.days || b.risk - a.risk;
}

/** Urgencies by one failure model and number of providers; there are few different ones, so each is computed once. */
export class Urgencies {
  readonly #model: FailureModel;
  readonly #providers: number;
  readonly #known = new Map<string, Urgency>();

  constructor(model: FailureModel, providers: number) {
    this.#model = model;
    this.#providers = providers;
  }

  /**
   * @param healthy shards that can be read and stay where they are
   * @param readable shards that can be read
   */
  of(profile: Profile, healthy: number, readable: number): Urgency {
    const key = `${profile.data}+${profile.parity} ${healthy} ${readable}`;
    let urgency = this.#known.get(key);
    if (!urgency) {
      const providers = Math.max(this.#providers, readable);
      const failing = Math.ceil(providers * FAILING_SHARE);
      const risk = lossWhenProvidersFail(providers, failing, readable, readable - profile.data);
      urgency = { days: daysToLoss(healthy, profile, this.#model), risk };
      this.#known.set(key, urgency);
    }
    return urgency;
  }
}
