import { succeed } from '../choosing/candidateTable.ts';
import type { RegisteredProvider } from './registeredProvider.ts';
import type { Candidate, ProviderInfo } from '../types.ts';

/** How long weights may be out of date. */
const REFRESH_MS = 100;
/** A weight that has moved by less is the same: a new list costs its users what they have prepared for the old one, with many providers milliseconds. */
const MATERIAL_SHARE = 0.05;
/** Up to so many providers, a provider that comes or goes is seen at once; among more, with the next refresh. */
const PROMPT_MAX = 256;

/** A candidate whose load and info are those of the moment. */
class LiveCandidate implements Candidate {
  readonly weight: number;
  readonly unproven: boolean;
  readonly #provider: RegisteredProvider;

  constructor(provider: RegisteredProvider, weight: number) {
    this.#provider = provider;
    this.weight = weight;
    this.unproven = provider.isUnproven;
  }

  get info(): ProviderInfo {
    return this.#provider.handle.info;
  }

  get load(): number {
    return this.#provider.load;
  }
}

/** The providers that may take new shards: the same array while none of them has changed materially. Pure: time is an argument. */
export class CandidateList {
  readonly #members = new Map<RegisteredProvider, LiveCandidate | undefined>();
  readonly #stale = new Set<RegisteredProvider>();
  /** Those with an open write breaker: a single write now and then shows whether they are back. */
  readonly #broken = new Set<RegisteredProvider>();
  #array: readonly Candidate[] = [];
  #refreshAt = -Infinity;
  #isUrgent = false;

  add(provider: RegisteredProvider): void {
    this.#members.set(provider, undefined);
    this.touch(provider, true);
  }

  remove(provider: RegisteredProvider): void {
    this.#stale.delete(provider);
    this.#broken.delete(provider);
    if (this.#members.get(provider)) this.#replace(this.#array.filter(({ info }) => info.id !== provider.id));
    this.#members.delete(provider);
  }

  /** Something was learnt of a provider. @param isUrgent it may have come or gone */
  touch(provider: RegisteredProvider, isUrgent: boolean): void {
    if (!this.#members.has(provider)) return;
    this.#stale.add(provider);
    this.#isUrgent ||= isUrgent;
  }

  get(now: number, medianWriteP95Ms: () => number): readonly Candidate[] {
    const isPrompt = this.#members.size <= PROMPT_MAX;
    const isDue = now >= this.#refreshAt;
    if (this.#stale.size > 0 && (isDue || (this.#isUrgent && isPrompt))) this.#refresh(medianWriteP95Ms());
    if (isDue) this.#refreshAt = now + REFRESH_MS;
    return this.#broken.size > 0 && (isDue || isPrompt) ? this.#withTrials(medianWriteP95Ms()) : this.#array;
  }

  #refresh(medianWriteP95Ms: number): void {
    let isChanged = false;
    for (const provider of this.#stale) {
      const before = this.#members.get(provider);
      const weight = provider.weight(medianWriteP95Ms);
      if (provider.window.isWriteOpen) this.#broken.add(provider);
      else this.#broken.delete(provider);
      if (!isMaterial(before, provider, weight)) continue;
      this.#members.set(provider, weight > 0 ? new LiveCandidate(provider, weight) : undefined);
      isChanged = true;
    }
    this.#stale.clear();
    this.#isUrgent = false;
    if (isChanged) this.#replace([...this.#members.values()].filter((candidate) => candidate !== undefined));
  }

  #replace(array: readonly Candidate[]): void {
    succeed(array, this.#array);
    this.#array = array;
  }

  /** The list of one moment, for one chunk. */
  #withTrials(medianWriteP95Ms: number): readonly Candidate[] {
    const trials: Candidate[] = [];
    for (const provider of this.#broken) {
      const weight = provider.trialWeight(medianWriteP95Ms);
      if (weight > 0) trials.push(new LiveCandidate(provider, weight));
    }
    if (trials.length === 0) return this.#array;
    const array = [...this.#array, ...trials];
    succeed(array, this.#array);
    return array;
  }
}

function isMaterial(
  before: LiveCandidate | undefined,
  provider: RegisteredProvider,
  weight: number,
): boolean {
  if (!before || weight === 0) return (before !== undefined) !== weight > 0;
  return (
    before.unproven !== provider.isUnproven ||
    Math.abs(weight - before.weight) > MATERIAL_SHARE * before.weight
  );
}
