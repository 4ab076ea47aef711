import { tableOf } from './candidateTable.ts';
import { survivedLevels } from './domains.ts';
import { drawLeastLoaded } from './drawSet.ts';
import { planOf, type Plan } from './plan.ts';
import { seededRandom } from '../time.ts';
import { DOMAIN_LEVELS, type ChooseProviders, type Random } from '../types.ts';
import { Workspace } from './workspace.ts';

/** Most of all new shards that go to providers that are not proven. Source: the design's life cycle of a provider. */
const EXPLORATION_SHARE_MAX = 0.05;
/** Places that are tried for one of them, before the chunk does without. */
const EXPLORATION_TRIES = 4;

/**
 * Draws providers at random, each in proportion to its weight, within the domain rule. When the candidates do not allow the rule for
 * `count` of them, it gives way before the number does, and as little as possible. Those that are not proven get at most
 * one shard and at most 5 % of all, in proportion to their weight; more only where there are not enough others.
 */
export const chooseProviders: ChooseProviders = (request) => {
  const { candidates, taken = [], excluded = [], perDomainMax, seed } = request;
  const table = tableOf(candidates);
  const work = new Workspace(table, taken, excluded);
  const random = seededRandom(seed);
  const plan = planOf(request, work);
  for (const candidate of plan.certain) work.add(candidate);
  const drawn = drawLeastLoaded(plan, work, random);
  if (plan.isOrdinary) explore(drawn, plan, work, random);
  const members = [...plan.certain, ...drawn];
  // Groups and exact choices have an order of their own, and the first shards of a chunk are read the most.
  shuffle(members, random);
  const chosen = members.map((candidate) => table.candidates[candidate]!.info);
  const survives =
    taken.length > 0
      ? survivedLevels([...taken, ...chosen], perDomainMax)
      : DOMAIN_LEVELS.filter((_, level) => work.most(members, level) <= perDomainMax);
  return { chosen, survives };
};

/** From time to time gives one member's place to a provider that is not proven, where the rule allows. */
function explore(members: number[], { size, limits }: Plan, work: Workspace, random: Random): void {
  const { proven, unproven } = work.table;
  if (unproven.size === 0) return;
  const share = Math.min(EXPLORATION_SHARE_MAX, unproven.weight / (proven.weight + unproven.weight));
  if (random.fraction() >= share * size) return;
  for (let tries = 0; tries < EXPLORATION_TRIES; tries++) {
    const place = Math.floor(random.fraction() * size);
    const candidate = unproven.draw(random);
    const member = members[place]!;
    work.remove(member);
    const fits = work.fits(candidate, limits);
    const holder = fits ? candidate : member;
    members[place] = holder;
    work.add(holder);
    if (fits) return;
  }
}

function shuffle(members: number[], random: Random): void {
  for (let at = members.length - 1; at > 0; at--) {
    const other = Math.floor(random.fraction() * (at + 1));
    [members[at], members[other]] = [members[other]!, members[at]!];
  }
}
