import type { PartyId } from '../network/identity.ts';
import { bySecondRules, RULES } from './parameters.ts';
import type { MonitorRecord, OracleParameters } from './types.ts';

/** Monitors that may be one party. */
export interface Group {
  /** The operators that are its own, sorted and joined by +: no other group has one of them. */
  readonly name: string;
  /** In the order in which they joined; by id where that was at once. */
  readonly monitors: readonly PartyId[];
}

type Marks = Pick<MonitorRecord, 'id' | 'operator' | 'networkPrefix' | 'asn'> &
  Partial<Pick<MonitorRecord, 'registeredAt' | 'marksSince'>>;

/** Since when its marks count. */
export function marksSince({
  marksSince: since,
  registeredAt = 0,
}: Partial<Pick<MonitorRecord, 'registeredAt' | 'marksSince'>>): number {
  return since ?? registeredAt;
}

/**
 * Independent groups: who shares an operator, a network prefix or an ASN with monitors that were there before joins their group, the earliest
 * where there are several, and brings to it the operator and the prefix that were nobody's. No newcomer makes two groups one: whoever claims
 * the marks of others gets no further than into one of their groups. An ASN is shared by strangers, and so is a group's only by who founded
 * it: a group does not reach for the customers of every hoster that one of it is with. In order of name.
 * @param parameters by the first rules, an ASN was a group's as the other marks are
 */
export function independentGroups(
  monitors: readonly Marks[],
  parameters: Pick<OracleParameters, 'rules'> = { rules: RULES },
): Group[] {
  const groups: { readonly operators: string[]; readonly monitors: PartyId[] }[] = [];
  const owners = new Map<string, number>();
  const inOrder = [...monitors].sort((a, b) => marksSince(a) - marksSince(b) || order(a.id, b.id));
  for (const monitor of inOrder) {
    const marks = marksOf(monitor);
    const known = marks.flatMap((mark) => owners.get(mark) ?? []);
    const at = known.length === 0 ? groups.push({ operators: [], monitors: [] }) - 1 : Math.min(...known);
    if (!owners.has(marks[0])) groups[at]!.operators.push(monitor.operator);
    const isFounder = known.length === 0 || !bySecondRules(parameters);
    for (const mark of isFounder ? marks : marks.slice(0, OWN_MARKS)) {
      if (!owners.has(mark)) owners.set(mark, at);
    }
    groups[at]!.monitors.push(monitor.id);
  }
  return groups
    .map(({ operators, monitors: members }) => ({
      name: operators.sort().join('+'),
      monitors: members,
    }))
    .sort((a, b) => order(a.name, b.name));
}

/** Operator and prefix. */
const OWN_MARKS = 2;

function marksOf({ operator, networkPrefix, asn }: Marks): [string, ...string[]] {
  return [`operator ${operator}`, `prefix ${networkPrefix}`, ...(asn === undefined ? [] : [`asn ${asn}`])];
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
