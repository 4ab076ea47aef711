import { DomainFlow } from './domainFlow.ts';
import type { Limits } from './domains.ts';
import { DOMAIN_LEVELS, type DomainLevel } from '../types.ts';
import type { Workspace } from './workspace.ts';

/** More than a chunk has shards. */
const UNLIMITED = 0xffff;
/** Which levels are kept first, where not all can be. */
const ORDER: readonly DomainLevel[] = ['site', 'operator', 'region'];

/**
 * The tightest limits within which `size` candidates can be had: `max` at each level where that is possible together with the levels
 * before it, and elsewhere as little more as is needed.
 * @param pool candidates that may be chosen; at least `size` of them are free
 */
export function tightestLimits(
  work: Workspace,
  pool: readonly number[],
  size: number,
  max: number,
  required: readonly DomainLevel[] = [],
): Limits {
  const isPossible = (limits: Limits): boolean => {
    const taken = new DomainFlow(work, limits, pool).take(size);
    for (const candidate of taken) work.remove(candidate);
    return taken.length >= size;
  };
  const strict: Limits = [max, max, max];
  if (isPossible(strict)) return strict;
  let limits: Limits = [UNLIMITED, UNLIMITED, UNLIMITED];
  const broken: DomainLevel[] = [];
  for (const level of new Set([...required, ...ORDER])) {
    const tighter = withLimit(limits, level, max);
    if (isPossible(tighter)) limits = tighter;
    else broken.push(level);
  }
  for (const level of broken) {
    const most = size + Math.max(max, work.most(pool, at(level)));
    const limit = smallest(max + 1, most, (limit) => isPossible(withLimit(limits, level, limit)));
    limits = withLimit(limits, level, limit);
  }
  return limits;
}

/** Whether the limits say `max` at all of the levels. */
export function keepsLevels(limits: Limits, levels: readonly DomainLevel[], max: number): boolean {
  return levels.every((level) => limits[at(level)]! <= max);
}

const at = (level: DomainLevel): number => DOMAIN_LEVELS.indexOf(level);

function withLimit(limits: Limits, level: DomainLevel, limit: number): Limits {
  return limits.with(at(level), limit) as unknown as Limits;
}

/** The smallest number of a range for which a monotone test holds; it holds for the last. */
function smallest(first: number, last: number, holds: (number: number) => boolean): number {
  let [low, high] = [first, last];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
