/** Choosing the obvious way: every set is tried. */
import { DOMAIN_LEVELS, type Candidate, type DomainLevel, type ProviderInfo } from '#placement';

export function candidate(
  id: number,
  [region, site, operator]: readonly [string, string, string],
  weight = 1,
  unproven = false,
): Candidate {
  const info: ProviderInfo = {
    id: `p${id}`,
    endpoint: `/p${id}`,
    domain: { region, site, operator },
    state: 'active',
    capacity: 1,
    free: 1,
  };
  return { info, weight, ...(unproven && { unproven }) };
}

const nameOf = ({ domain }: ProviderInfo, level: DomainLevel): string =>
  level === 'site' ? JSON.stringify([domain.region, domain.site]) : domain[level];

/** The most shards in one domain of a level, among the domains that the chosen are in. */
function most(chosen: readonly ProviderInfo[], taken: readonly ProviderInfo[], level: DomainLevel): number {
  const counts = [...taken, ...chosen].map((info) => nameOf(info, level));
  return Math.max(0, ...chosen.map((info) => counts.filter((name) => name === nameOf(info, level)).length));
}

/**
 * How far a set goes beyond the rule: first whether it does at each level, in the order of importance, then how many shards a domain has at
 * the levels where it does.
 */
export function badness(
  chosen: readonly ProviderInfo[],
  taken: readonly ProviderInfo[],
  max: number,
  required: readonly DomainLevel[],
): number[] {
  const order = [...new Set<DomainLevel>([...required, 'site', 'operator', 'region'])];
  const counts = order.map((level) => most(chosen, taken, level));
  return [...counts.map((count) => Number(count > max)), ...counts.map((count) => Math.max(max, count))];
}

/** The least of all sets of the size. */
export function leastBadness(
  eligible: readonly ProviderInfo[],
  taken: readonly ProviderInfo[],
  size: number,
  max: number,
  required: readonly DomainLevel[],
): number[] | undefined {
  let least: number[] | undefined;
  for (let subset = 0; subset < 1 << eligible.length; subset++) {
    const chosen = eligible.filter((_, index) => (subset >> index) & 1);
    if (chosen.length !== size) continue;
    const found = badness(chosen, taken, max, required);
    if (!least || compare(found, least) < 0) least = found;
  }
  return least;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) if (value !== b[index]) return value - b[index]!;
  return 0;
}

export function levelsKept(infos: readonly ProviderInfo[], max: number): DomainLevel[] {
  return DOMAIN_LEVELS.filter((level) => most(infos, [], level) <= max);
}
