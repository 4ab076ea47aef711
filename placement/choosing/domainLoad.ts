import type { Candidate, Domain, ProviderInfo } from '../types.ts';

/**
 * Shards of one chunk per site and per operator. Seen as a graph, sites and operators are the nodes, each provider is
 * an edge between its site and its operator, and the rule bounds the degree of every node.
 */
export class DomainLoad {
  readonly #max: number;
  readonly #counts = new Map<string, number>();
  readonly #chosen = new Set<Candidate>();

  constructor(max: number, taken: readonly ProviderInfo[]) {
    this.#max = max;
    for (const { domain } of taken) this.#count(domain, 1);
  }

  get chosen(): readonly Candidate[] {
    return [...this.#chosen];
  }

  has(candidate: Candidate): boolean {
    return this.#chosen.has(candidate);
  }

  /** No site and no operator has more than the rule allows. */
  isKept(): boolean {
    return [...this.#counts.values()].every((count) => count <= this.#max);
  }

  hasRoom({ info: { domain } }: Candidate): boolean {
    return this.#load(siteOf(domain)) < this.#max && this.#load(operatorOf(domain)) < this.#max;
  }

  /** By how much the rule would be broken by one more there. */
  excess({ info: { domain } }: Candidate): number {
    const over = (node: string): number => Math.max(0, this.#load(node) + 1 - this.#max);
    return over(siteOf(domain)) + over(operatorOf(domain));
  }

  add(candidate: Candidate): void {
    this.#chosen.add(candidate);
    this.#count(candidate.info.domain, 1);
  }

  /**
   * Makes room for one more by exchanging chosen candidates for others along an augmenting path, from a site with room
   * to an operator with room. False when there is none: then no larger set keeps the rule.
   */
  exchange(candidates: readonly Candidate[]): boolean {
    const bySite = Map.groupBy(candidates, ({ info }) => siteOf(info.domain));
    const visited = new Set<string>();
    for (const [site, here] of bySite) {
      if (this.#load(site) < this.#max && this.#augment(here, bySite, visited)) return true;
    }
    return false;
  }

  /** Adds one of the candidates of a site, which has room or is about to lose one. */
  #augment(
    here: readonly Candidate[],
    bySite: ReadonlyMap<string, readonly Candidate[]>,
    visited: Set<string>,
  ): boolean {
    for (const candidate of here) {
      const operator = operatorOf(candidate.info.domain);
      if (this.has(candidate) || visited.has(operator)) continue;
      visited.add(operator);
      if (this.#load(operator) < this.#max) {
        this.add(candidate);
        return true;
      }
      const neighbours = [...this.#chosen].filter(({ info }) => operatorOf(info.domain) === operator);
      for (const neighbour of neighbours) {
        const there = bySite.get(siteOf(neighbour.info.domain)) ?? [];
        if (!this.#augment(there, bySite, visited)) continue;
        this.#remove(neighbour);
        this.add(candidate);
        return true;
      }
    }
    return false;
  }

  #remove(candidate: Candidate): void {
    this.#chosen.delete(candidate);
    this.#count(candidate.info.domain, -1);
  }

  #load(node: string): number {
    return this.#counts.get(node) ?? 0;
  }

  #count(domain: Domain, by: number): void {
    for (const node of [siteOf(domain), operatorOf(domain)]) this.#counts.set(node, this.#load(node) + by);
  }
}

function siteOf({ region, site }: Domain): string {
  return `site ${region}/${site}`;
}

function operatorOf({ operator }: Domain): string {
  return `operator ${operator}`;
}
