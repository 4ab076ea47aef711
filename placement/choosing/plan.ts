import type { Limits } from './domains.ts';
import { keepsLevels, tightestLimits } from './limits.ts';
import type { ChooseRequest } from '../types.ts';
import type { WeightedPool } from './weightedPool.ts';
import type { Workspace } from './workspace.ts';

/** Who is chosen in any case, and from whom and how the others are drawn. */
export interface Plan {
  readonly certain: readonly number[];
  readonly pool: WeightedPool;
  /** To be drawn from the pool. */
  readonly size: number;
  readonly limits: Limits;
  /** Nothing is taken or excluded, and the proven candidates are enough. */
  readonly isOrdinary: boolean;
}

/** What the operator requires comes before caution: where the proven cannot keep it, the others take part as they are needed. */
export function planOf(request: ChooseRequest, work: Workspace): Plan {
  const { perDomainMax, required = [] } = request;
  const { everyone, unproven } = work.table;
  const plan = planWithProven(request, work);
  if (unproven.size === 0 || keepsLevels(plan.limits, required, perDomainMax)) return plan;
  const size = Math.min(request.count, freeOf(everyone, work).length);
  const limits = limitsFor(request, work, everyone, size);
  if (!keepsLevels(limits, required, perDomainMax)) return plan;
  return { certain: [], pool: everyone, size, limits, isOrdinary: false };
}

function planWithProven(request: ChooseRequest, work: Workspace): Plan {
  const { count, perDomainMax, required } = request;
  const { proven, unproven } = work.table;
  if (isPlain(request) && proven.size >= count) {
    const limits = limitsFor(request, work, proven, count);
    return { certain: [], pool: proven, size: count, limits, isOrdinary: true };
  }
  const free = freeOf(proven, work);
  if (free.length >= count || unproven.size === 0) {
    const size = Math.min(count, free.length);
    const limits = limitsFor(request, work, proven, size);
    return { certain: [], pool: proven, size, limits, isOrdinary: false };
  }
  const size = Math.min(count - free.length, freeOf(unproven, work).length);
  for (const candidate of free) work.add(candidate);
  const limits = tightestLimits(work, unproven.members, size, perDomainMax, required);
  for (const candidate of free) work.remove(candidate);
  return { certain: free, pool: unproven, size, limits, isOrdinary: false };
}

/** Kept with the table where it is asked for again and again. */
function limitsFor(request: ChooseRequest, work: Workspace, pool: WeightedPool, size: number): Limits {
  const { perDomainMax, required = [] } = request;
  const find = (): Limits => tightestLimits(work, pool.members, size, perDomainMax, required);
  if (!isPlain(request)) return find();
  const { limits, proven } = work.table;
  const key = `${pool === proven ? 'proven' : 'everyone'} ${size} ${perDomainMax} ${required.join()}`;
  let known = limits.get(key);
  if (!known) limits.set(key, (known = find()));
  return known;
}

const isPlain = ({ taken, excluded }: ChooseRequest): boolean =>
  (taken === undefined || taken.length === 0) && (excluded === undefined || excluded.size === 0);

const freeOf = ({ members }: WeightedPool, work: Workspace): number[] =>
  members.filter((candidate) => work.isFree(candidate));
