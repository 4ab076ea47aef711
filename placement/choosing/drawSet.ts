import type { CandidateTable } from './candidateTable.ts';
import type { UsableCopysets } from './copysetShelf.ts';
import { DomainFlow } from './domainFlow.ts';
import type { Plan } from './plan.ts';
import type { Random } from '../types.ts';
import type { Workspace } from './workspace.ts';

/** Sets drawn, of which the least loaded is taken: the power of choices evens out load. */
const SETS = 3;
/** Draws that may fail for each place of a set, before it is put together in another way. */
const MISSES_EACH = 8;

/** A set as planned, the least loaded of some; its members are added to the workspace. */
export function drawLeastLoaded(plan: Plan, work: Workspace, random: Random): number[] {
  const { table } = work;
  const groups = plan.isOrdinary ? table.copysets.get(table, plan.size, plan.limits) : undefined;
  let best: number[] = [];
  let least = Infinity;
  for (let draw = 0; draw < (table.hasLoad ? SETS : 1); draw++) {
    const members = drawSet(plan, groups, work, random);
    for (const candidate of members) work.remove(candidate);
    const load = table.hasLoad ? relativeLoad(members, table) : 0;
    if (load < least) [best, least] = [members, load];
  }
  for (const candidate of best) work.add(candidate);
  return best;
}

function relativeLoad(members: readonly number[], { candidates, weights }: CandidateTable): number {
  let sum = 0;
  for (const candidate of members) sum += (candidates[candidate]!.load ?? 0) / weights[candidate]!;
  return sum;
}

function drawSet(plan: Plan, groups: UsableCopysets | undefined, work: Workspace, random: Random): number[] {
  const begun = groups ? drawGroup(groups, plan, work, random) : [];
  const members = drawMore(begun, plan, work, random);
  if (members) return members;
  for (const candidate of begun) work.remove(candidate);
  return new DomainFlow(work, plan.limits, plan.pool.shuffled(random)).take(plan.size);
}

/** The members of a group that can take a shard now. */
function drawGroup(
  groups: UsableCopysets,
  { size, limits }: Plan,
  work: Workspace,
  random: Random,
): number[] {
  const group = Math.floor(random.fraction() * groups.count);
  const members: number[] = [];
  for (let place = 0; place < size; place++) {
    const candidate = groups.member(group, place);
    if (candidate < 0 || !work.isFree(candidate) || !work.fits(candidate, limits)) continue;
    work.add(candidate);
    members.push(candidate);
  }
  return members;
}

/** Draws until the set is full; gives up, having taken its own draws back, when too many break the rules. */
function drawMore(
  begun: readonly number[],
  { pool, size, limits }: Plan,
  work: Workspace,
  random: Random,
): number[] | undefined {
  const members = [...begun];
  let misses = 2 * size > pool.size ? 0 : MISSES_EACH * size;
  while (members.length < size) {
    const candidate = misses > 0 ? pool.draw(random) : undefined;
    if (candidate === undefined) {
      for (const member of members.slice(begun.length)) work.remove(member);
      return undefined;
    }
    if (work.isFree(candidate) && work.fits(candidate, limits)) {
      work.add(candidate);
      members.push(candidate);
    } else misses--;
  }
  return members;
}
