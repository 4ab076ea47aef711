import type { CandidateTable } from './candidateTable.ts';
import type { Limits } from './domains.ts';
import { seededRandom } from '../time.ts';
import type { ProviderId } from '../types.ts';
import { Workspace } from './workspace.ts';

/**
 * Groups of providers that hold chunks together. A chunk is lost when too many of one set of providers fail at once: with a set of its own for
 * every chunk, at scale some set is always hit; with few sets, hardly ever, and then more is lost at once.
 * Source: Cidon, Rumble, Stutsman, Katti, Ousterhout and Rosenblum, Copysets: Reducing the Frequency of Data Loss in Cloud Storage,
 * USENIX ATC 2013. There, P permutations of N nodes cut into groups of n make P·N/n sets, and each node shares chunks with up to
 * P·(n − 1) others (its scatter width). Here a permutation has a node as often as its weight asks for.
 */
export interface Copysets {
  /** Providers a chunk. */
  readonly size: number;
  /** In order of id, with their weights when the groups were made. */
  readonly roster: readonly { readonly id: ProviderId; readonly weight: number }[];
  readonly count: number;
  /** Places in the roster: group g has [g · size, (g + 1) · size). */
  readonly members: Int32Array;
}

/** A node of average weight is in this many groups: at least so many that it shares chunks with about 2 (n − 1) others, */
const GROUPS_EACH_MIN = 2;
/** … and at most so many that rounding is right for nodes down to a quarter of the average weight. */
const GROUPS_EACH_MAX = 40;
/** A node is in as many groups as its weight asks for, but for this share; */
const ROUNDING_MAX = 0.05;
/** … this part of all weight may be off by more: nodes so light that they are in a few groups. */
const OFF_MAX = 0.001;
/** Tickets set aside that are tried for each group. */
const TRIES_MAX = 64;
/** Groups at the end that take up what is left, with nodes that have had their share already in the places that remain. */
const PADDED_MAX = 4;

/** The same groups for the same providers and weights. @param pool numbers of candidates */
export function buildCopysets(
  table: CandidateTable,
  pool: readonly number[],
  size: number,
  limits: Limits,
): Copysets {
  const ids = table.candidates.map(({ info }) => info.id);
  const order = [...pool].sort((a, b) => (ids[a]! < ids[b]! ? -1 : 1));
  const roster = order.map((candidate) => ({ id: ids[candidate]!, weight: table.weights[candidate]! }));
  const tickets = shuffledTickets(appearances(roster.map(({ weight }) => weight)));
  const dealer = new Dealer(new Workspace(table, [], []), order, limits, tickets);
  const members: number[] = [];
  for (let group = dealer.deal(size); group; group = dealer.deal(size)) members.push(...group);
  return { size, roster, count: members.length / size, members: Int32Array.from(members) };
}

/** In how many groups each node is: in proportion to its weight, and as rarely as rounding allows. */
function appearances(weights: readonly number[]): Int32Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = total / weights.length;
  for (let each = GROUPS_EACH_MIN; ; each++) {
    let off = 0;
    for (const weight of weights) {
      const ideal = (weight / mean) * each;
      if (Math.abs(Math.round(ideal) - ideal) > ROUNDING_MAX * ideal) off += weight;
    }
    if (off > OFF_MAX * total && each < GROUPS_EACH_MAX) continue;
    return Int32Array.from(weights, (weight) => Math.round((weight / mean) * each));
  }
}

function shuffledTickets(counts: Int32Array): Int32Array {
  const tickets: number[] = [];
  for (const [place, count] of counts.entries()) for (let nth = 0; nth < count; nth++) tickets.push(place);
  const random = seededRandom(counts.length);
  for (let at = tickets.length - 1; at > 0; at--) {
    const other = Math.floor(random.fraction() * (at + 1));
    [tickets[at], tickets[other]] = [tickets[other]!, tickets[at]!];
  }
  return Int32Array.from(tickets);
}

/** Deals shuffled tickets into groups of different nodes within the domain limits. What does not fit waits for a group that it fits. */
class Dealer {
  readonly #work: Workspace;
  readonly #order: readonly number[];
  readonly #limits: Limits;
  readonly #tickets: Int32Array;
  #next = 0;
  #waiting: number[] = [];
  #padded = 0;

  /** @param order candidate of each place in the roster */
  constructor(work: Workspace, order: readonly number[], limits: Limits, tickets: Int32Array) {
    this.#work = work;
    this.#order = order;
    this.#limits = limits;
    this.#tickets = tickets;
  }

  /** Places of a group; undefined when the tickets make no more. */
  deal(size: number): number[] | undefined {
    const group: number[] = [];
    const passed: number[] = [];
    for (const place of this.#waiting.splice(0, TRIES_MAX)) {
      if (group.length === size || !this.#join(group, place)) passed.push(place);
    }
    while (group.length < size && this.#next < this.#tickets.length) {
      const place = this.#tickets[this.#next++]!;
      if (!this.#join(group, place)) passed.push(place);
    }
    this.#waiting.push(...passed);
    if (group.length > 0 && group.length < size && this.#padded++ < PADDED_MAX) this.#pad(group, size);
    for (const place of group) this.#work.remove(this.#order[place]!);
    return group.length === size ? group : undefined;
  }

  #pad(group: number[], size: number): void {
    for (const place of this.#tickets) {
      if (group.length === size) return;
      this.#join(group, place);
    }
  }

  #join(group: number[], place: number): boolean {
    const candidate = this.#order[place]!;
    if (!this.#work.isFree(candidate) || !this.#work.fits(candidate, this.#limits)) return false;
    this.#work.add(candidate);
    group.push(place);
    return true;
  }
}
