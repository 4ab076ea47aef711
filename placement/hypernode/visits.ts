import type { Random } from '../types.ts';

/** One time that a monitor goes to a provider: says hello, then asks what is due. */
export interface Visit {
  /** ms since the epoch */
  readonly at: number;
  /** Places in the task's targets. */
  readonly targets: readonly number[];
  /** The run of leaves is read too. */
  readonly read: boolean;
}

export interface VisitPlan {
  readonly from: number;
  readonly until: number;
  readonly visits: number;
  /** One for each target. */
  readonly targets: { readonly length: number };
  /** Undefined where nothing is to be read. */
  readonly read: unknown;
}

/**
 * When a monitor goes to a provider in an era, and what it asks then: one visit at a random place in each equal part of the time, challenges
 * and the read on visits drawn at random, so that a provider cannot know when it is looked at. The time is the era's. When grants end is of
 * no account: that follows from what the provider said of its clock, so it would choose when it is asked; an honest one's outlive the era. Pure.
 */
export function planVisits(plan: VisitPlan, random: Random): Visit[] {
  const count = Math.max(1, plan.visits);
  const part = Math.max(0, plan.until - plan.from) / count;
  const draw = (): number => Math.min(count - 1, Math.floor(random.fraction() * count));
  const targets: number[][] = Array.from({ length: count }, () => []);
  for (let target = 0; target < plan.targets.length; target++) targets[draw()]!.push(target);
  const read = plan.read === undefined ? undefined : draw();
  return targets.map((due, visit) => ({
    at: Math.floor(plan.from + (visit + random.fraction()) * part),
    targets: due,
    read: visit === read,
  }));
}
