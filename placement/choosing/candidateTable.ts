import { CopysetShelf } from './copysetShelf.ts';
import { DomainNumbers } from './domainNumbers.ts';
import type { Limits } from './domains.ts';
import type { Candidate, ProviderId } from '../types.ts';
import { WeightedPool } from './weightedPool.ts';

/** What choosing from one array of candidates needs every time, made once: candidates and domains by number. */
export class CandidateTable {
  /** Those with weight, each provider once. */
  readonly candidates: readonly Candidate[];
  readonly weights: Float64Array;
  /** Numbers of the domains of candidate i, in the order of DOMAIN_LEVELS, from NODES_EACH · i on. All levels share one count. */
  readonly nodes: Int32Array;
  /** Domains of all levels. */
  readonly nodeCount: number;
  readonly proven: WeightedPool;
  readonly unproven: WeightedPool;
  /** Some candidate tells its load. */
  readonly hasLoad: boolean;
  readonly copysets = new CopysetShelf();
  /** Limits found for choices in which nothing is taken or excluded. */
  readonly limits = new Map<string, Limits>();
  readonly #indexes = new Map<ProviderId, number>();
  readonly #numbers: DomainNumbers;
  #everyone: WeightedPool | undefined;

  /** @param before the table of the array that this one takes the place of */
  constructor(all: readonly Candidate[], before?: CandidateTable) {
    const candidates: Candidate[] = [];
    for (const candidate of all) {
      const { id } = candidate.info;
      if (!(candidate.weight > 0) || this.#indexes.has(id)) continue;
      this.#indexes.set(id, candidates.length);
      candidates.push(candidate);
    }
    this.candidates = candidates;
    this.weights = Float64Array.from(candidates, ({ weight }) => weight);
    this.hasLoad = candidates.some(({ load }) => load !== undefined);
    this.#numbers = before ? before.#numbers : new DomainNumbers();
    this.nodes = this.#numbers.table(candidates.map(({ info }) => info.domain));
    this.nodeCount = this.#numbers.count;
    if (before) this.copysets.inherit(before.copysets);
    const numbers = candidates.map((_, index) => index);
    this.proven = new WeightedPool(
      numbers.filter((index) => candidates[index]!.unproven !== true),
      this.weights,
    );
    this.unproven = new WeightedPool(
      numbers.filter((index) => candidates[index]!.unproven === true),
      this.weights,
    );
  }

  get everyone(): WeightedPool {
    this.#everyone ??= new WeightedPool(
      this.candidates.map((_, index) => index),
      this.weights,
    );
    return this.#everyone;
  }

  indexOf(id: ProviderId): number | undefined {
    return this.#indexes.get(id);
  }

  /** Numbers of those of a provider's domains that some candidate lies in. */
  nodesOf({ domain }: Candidate['info']): number[] {
    return this.#numbers.known(domain).filter((node) => node < this.nodeCount);
  }
}

const tables = new WeakMap<readonly Candidate[], CandidateTable>();

/** The array's table. Candidates must not change but for their load and what their info says besides id and domain. */
export function tableOf(candidates: readonly Candidate[]): CandidateTable {
  let table = tables.get(candidates);
  if (!table) tables.set(candidates, (table = new CandidateTable(candidates)));
  return table;
}

/**
 * Says that `next` takes the place of `previous`: its groups of providers stay the same while membership and weights are nearly so.
 * Otherwise every small change would make new sets of providers that hold chunks together.
 */
export function succeed(next: readonly Candidate[], previous: readonly Candidate[]): void {
  const before = tables.get(previous);
  if (before) tables.set(next, new CandidateTable(next, before));
}
