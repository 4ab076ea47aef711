import { NODES_EACH, type Limits } from './domains.ts';
import type { Workspace } from './workspace.ts';

const [REGION, SITE, OPERATOR] = [0, 1, 2];

/** How the search came to a domain: from which one, and by taking or giving up which candidate. */
interface Step {
  readonly from: number | undefined;
  readonly candidate: number | undefined;
}

/**
 * The largest set of candidates within the limits: a maximum flow source → region → site → candidate → operator → sink, in which a
 * domain passes as many shards as it may still get. Candidates early in the order are taken first, and exchanged for others
 * along augmenting paths only where that makes room for one more.
 * Source: Ford and Fulkerson, Maximal flow through a network, 1956; shortest paths after Edmonds and Karp, 1972.
 */
export class DomainFlow {
  readonly #work: Workspace;
  readonly #limits: Limits;
  readonly #order: readonly number[];
  readonly #chosen = new Set<number>();
  readonly #bySite = new Map<number, number[]>();
  readonly #sitesOf = new Map<number, Set<number>>();

  /** @param order candidates that may be chosen; those in use already are passed over */
  constructor(work: Workspace, limits: Limits, order: readonly number[]) {
    this.#work = work;
    this.#limits = limits;
    this.#order = order;
  }

  /** Up to `size` candidates, the most that can be. They stay added to the workspace. */
  take(size: number): number[] {
    for (const candidate of this.#order) {
      if (this.#chosen.size >= size) break;
      if (this.#work.isFree(candidate) && this.#work.fits(candidate, this.#limits)) this.#add(candidate);
    }
    if (this.#chosen.size < size) this.#index();
    while (this.#chosen.size < size && this.#augment());
    return [...this.#chosen];
  }

  /** Finds a path by breadth-first search, and changes the set along it. False when there is none. */
  #augment(): boolean {
    const steps = new Map<number, Step>();
    const queue: number[] = [];
    const visit = (node: number, from: number | undefined, candidate: number | undefined): void => {
      if (steps.has(node)) return;
      steps.set(node, { from, candidate });
      queue.push(node);
    };
    for (const region of this.#sitesOf.keys()) {
      if (this.#hasRoom(region, REGION)) visit(region, undefined, undefined);
    }
    const chosenBy = Map.groupBy(this.#chosen, (candidate) => this.#node(candidate, OPERATOR));
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at]!;
      const sites = this.#sitesOf.get(node);
      const members = this.#bySite.get(node);
      if (sites) {
        for (const site of sites) if (this.#hasRoom(site, SITE)) visit(site, node, undefined);
      } else if (members) {
        this.#leaveSite(node, members, visit);
      } else if (this.#hasRoom(node, OPERATOR)) {
        this.#follow(node, steps);
        return true;
      } else {
        // Someone whom the operator has already makes room, and the way goes on from his site.
        for (const candidate of chosenBy.get(node) ?? []) visit(this.#node(candidate, SITE), node, candidate);
      }
    }
    return false;
  }

  #leaveSite(
    site: number,
    members: readonly number[],
    visit: (node: number, from: number, candidate: number | undefined) => void,
  ): void {
    for (const candidate of members) {
      if (!this.#chosen.has(candidate)) visit(this.#node(candidate, OPERATOR), site, candidate);
    }
    // Another site of the region may send in place of this one, if this one sends at all.
    const region = this.#node(members[0]!, REGION);
    if (members.some((candidate) => this.#chosen.has(candidate))) visit(region, site, undefined);
  }

  #follow(end: number, steps: ReadonlyMap<number, Step>): void {
    const changed: number[] = [];
    for (let node: number | undefined = end; node !== undefined;) {
      const step: Step = steps.get(node)!;
      if (step.candidate !== undefined) changed.push(step.candidate);
      node = step.from;
    }
    for (const candidate of changed) {
      if (!this.#chosen.delete(candidate)) this.#add(candidate);
      else this.#work.remove(candidate);
    }
  }

  #index(): void {
    for (const candidate of this.#order) {
      if (!this.#work.isFree(candidate) && !this.#chosen.has(candidate)) continue;
      const site = this.#node(candidate, SITE);
      const members = this.#bySite.get(site);
      if (members) {
        members.push(candidate);
        continue;
      }
      this.#bySite.set(site, [candidate]);
      const region = this.#node(candidate, REGION);
      const sites = this.#sitesOf.get(region);
      if (sites) sites.add(site);
      else this.#sitesOf.set(region, new Set([site]));
    }
  }

  #add(candidate: number): void {
    this.#chosen.add(candidate);
    this.#work.add(candidate);
  }

  #hasRoom(node: number, level: number): boolean {
    return this.#work.count(node) < this.#limits[level]!;
  }

  #node(candidate: number, level: number): number {
    return this.#work.table.nodes[candidate * NODES_EACH + level]!;
  }
}
