import { CopysetShelf } from './copysetShelf.ts';
import { domainName, NODES_EACH, type Limits } from './domains.ts';
import { DOMAIN_LEVELS, type Candidate, type ProviderId } from '../types.ts';
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
  readonly #nodeNumbers = DOMAIN_LEVELS.map(() => new Map<string, number>());
  #everyone: WeightedPool | undefined;

  constructor(all: readonly Candidate[]) {
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
    this.nodes = new Int32Array(candidates.length * NODES_EACH);
    this.nodeCount = this.#numberNodes();
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
    return DOMAIN_LEVELS.flatMap((level, at) => this.#nodeNumbers[at]!.get(domainName(domain, level)) ?? []);
  }

  #numberNodes(): number {
    let count = 0;
    for (const [index, { info }] of this.candidates.entries()) {
      for (const [at, level] of DOMAIN_LEVELS.entries()) {
        const numbers = this.#nodeNumbers[at]!;
        const name = domainName(info.domain, level);
        let number = numbers.get(name);
        if (number === undefined) numbers.set(name, (number = count++));
        this.nodes[index * NODES_EACH + at] = number;
      }
    }
    return count;
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
  if (before) tableOf(next).copysets.inherit(before.copysets);
}
