import type { PartyId } from '../network/identity.ts';
import type { MonitorRecord } from './types.ts';

/** Monitors that may be one party. */
export interface Group {
  /** Its operators, sorted and joined by +: no other group has one of them. */
  readonly name: string;
  /** In order of id. */
  readonly monitors: readonly PartyId[];
}

type Marks = Pick<MonitorRecord, 'id' | 'operator' | 'networkPrefix' | 'asn'>;

/**
 * Independent groups: monitors that share an operator, a network prefix or an ASN are one, and so are those that a chain of such ties
 * joins. In order of name.
 */
export function independentGroups(monitors: readonly Marks[]): Group[] {
  const roots = new Map<string, string>();
  const rootOf = (mark: string): string => {
    let root = mark;
    for (let above = roots.get(root); above !== undefined; above = roots.get(root)) root = above;
    for (let at = mark; at !== root;) {
      const above = roots.get(at)!;
      roots.set(at, root);
      at = above;
    }
    return root;
  };
  for (const { operator, networkPrefix, asn } of monitors) {
    const others = [`prefix ${networkPrefix}`, ...(asn === undefined ? [] : [`asn ${asn}`])];
    for (const mark of others) {
      const [one, other] = [rootOf(`operator ${operator}`), rootOf(mark)];
      if (one !== other) roots.set(one, other);
    }
  }
  const members = Map.groupBy(monitors, ({ operator }) => rootOf(`operator ${operator}`));
  return [...members.values()].map(groupOf).sort((a, b) => order(a.name, b.name));
}

function groupOf(members: readonly Marks[]): Group {
  return {
    name: [...new Set(members.map(({ operator }) => operator))].sort().join('+'),
    monitors: members.map(({ id }) => id).sort(),
  };
}

/** By code unit: the same everywhere, whatever the locale. */
export function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * Shares of the weight, in the order of `sizes`: a group weighs as many as its monitors are, but none more than `max` of the whole.
 * Where there are fewer groups than that allows, all weigh the same.
 * @param sizes monitors of each group, each at least 1
 */
export function groupWeights(sizes: readonly number[], max: number): number[] {
  const level = cappedSize(sizes, max);
  const capped = sizes.map((size) => Math.min(size, level));
  const total = capped.reduce((sum, size) => sum + size, 0);
  return capped.map((size) => size / total);
}

/** The size that a group counts as at most: `max` of the sum of all sizes so cut. */
function cappedSize(sizes: readonly number[], max: number): number {
  const sorted = [...sizes].sort((a, b) => b - a);
  let rest = sorted.reduce((sum, size) => sum + size, 0);
  for (let cut = 0; cut < sorted.length; cut++) {
    // With `cut` groups at the level: level = max · (cut · level + rest).
    const level = (max * rest) / (1 - cut * max);
    if (1 - cut * max <= 1e-9) break;
    if (sorted[cut]! <= level * (1 + 1e-9)) return level;
    rest -= sorted[cut]!;
  }
  return sorted.at(-1) ?? 0;
}
