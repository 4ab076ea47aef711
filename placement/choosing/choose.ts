import { DomainLoad } from './domainLoad.ts';
import { seededRandom } from '../time.ts';
import type { Candidate, ChooseProviders, ProviderInfo, Random } from '../types.ts';

/** Sets drawn, of which the one with the greatest weight is taken: the power of choices evens out load. */
const DRAWS = 3;

/**
 * Draws providers at random, each in proportion to its weight, at most `perDomainMax` of one site and of one operator.
 * When the candidates do not allow that for `count` of them, the rule gives way before the number does, and as little
 * as possible.
 */
export const chooseProviders: ChooseProviders = ({ candidates, count, perDomainMax, taken = [], seed }) => {
  const random = seededRandom(seed);
  const eligible = eligibleCandidates(candidates, taken);
  const draws = Array.from({ length: DRAWS }, () => {
    const load = new DomainLoad(perDomainMax, taken);
    drawSet(shuffled(eligible, random), count, load);
    const weight = load.chosen.reduce((sum, candidate) => sum + candidate.weight, 0);
    return { chosen: load.chosen.map(({ info }) => info), domainRuleKept: load.isKept(), weight };
  });
  draws.sort((a, b) => Number(b.domainRuleKept) - Number(a.domainRuleKept) || b.weight - a.weight);
  const { chosen, domainRuleKept } = draws[0]!;
  return { chosen, domainRuleKept };
};

function eligibleCandidates(candidates: readonly Candidate[], taken: readonly ProviderInfo[]): Candidate[] {
  const excluded = new Set(taken.map(({ id }) => id));
  return candidates.filter(({ info, weight }) => {
    if (!(weight > 0) || excluded.has(info.id)) return false;
    excluded.add(info.id);
    return true;
  });
}

/**
 * Weighted order without replacement: by −ln(u) / weight, u uniform in (0, 1].
 * Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006.
 */
function shuffled(candidates: readonly Candidate[], random: Random): Candidate[] {
  return candidates
    .map((candidate) => ({ candidate, key: -Math.log(1 - random.fraction()) / candidate.weight }))
    .sort((a, b) => a.key - b.key)
    .map(({ candidate }) => candidate);
}

/** Takes candidates in order where the rule allows, then by exchange, then where it is broken least. */
function drawSet(order: readonly Candidate[], count: number, load: DomainLoad): void {
  for (const candidate of order) {
    if (load.chosen.length < count && load.hasRoom(candidate)) load.add(candidate);
  }
  while (load.chosen.length < count && load.exchange(order));
  const rest = new Set(order.filter((candidate) => !load.has(candidate)));
  while (load.chosen.length < count && rest.size > 0) {
    let least: Candidate | undefined;
    for (const candidate of rest) {
      if (!least || load.excess(candidate) < load.excess(least)) least = candidate;
    }
    load.add(least!);
    rest.delete(least!);
  }
}
