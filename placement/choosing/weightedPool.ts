import type { Random } from '../types.ts';

/** Some of a table's candidates, from which one is drawn in proportion to its weight, in constant time. */
export class WeightedPool {
  /** Numbers of the candidates. */
  readonly members: readonly number[];
  readonly #weights: Float64Array;
  #alias: AliasTable | undefined;
  #total: number | undefined;

  /** @param weights of all candidates of the table, > 0 */
  constructor(members: readonly number[], weights: Float64Array) {
    this.members = members;
    this.#weights = weights;
  }

  get size(): number {
    return this.members.length;
  }

  /** Sum of the weights. */
  get weight(): number {
    this.#total ??= this.members.reduce((sum, member) => sum + this.#weights[member]!, 0);
    return this.#total;
  }

  /** A candidate's number. The pool must not be empty. */
  draw(random: Random): number {
    this.#alias ??= aliasTable(
      this.members.map((member) => this.#weights[member]!),
      this.weight,
    );
    const { share, other } = this.#alias;
    const at = random.fraction() * share.length;
    const slot = Math.floor(at);
    return this.members[at - slot < share[slot]! ? slot : other[slot]!]!;
  }

  /**
   * The members in a weighted random order without replacement: by −ln(u) / weight, u uniform in (0, 1].
   * Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006.
   */
  shuffled(random: Random): number[] {
    return this.members
      .map((member) => ({ member, key: -Math.log(1 - random.fraction()) / this.#weights[member]! }))
      .sort((a, b) => a.key - b.key)
      .map(({ member }) => member);
  }
}

interface AliasTable {
  /** Part of a slot that is its own. */
  readonly share: Float64Array;
  /** Whose the rest is. */
  readonly other: Int32Array;
}

/** Source: Vose, A linear algorithm for generating random numbers with a given distribution, 1991. */
function aliasTable(weights: readonly number[], total: number): AliasTable {
  const count = weights.length;
  const share = Float64Array.from(weights, (weight) => (weight / total) * count);
  const other = new Int32Array(count);
  const small: number[] = [];
  const large: number[] = [];
  for (let slot = 0; slot < count; slot++) (share[slot]! < 1 ? small : large).push(slot);
  while (small.length > 0 && large.length > 0) {
    const less = small.pop()!;
    const more = large.at(-1)!;
    other[less] = more;
    share[more]! -= 1 - share[less]!;
    if (share[more]! < 1) small.push(large.pop()!);
  }
  // What is left is whole but for rounding.
  for (const slot of [...small, ...large]) share[slot] = 1;
  return { share, other };
}
