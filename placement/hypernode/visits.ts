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
  /** When the grant of each target ends. */
  readonly targets: readonly number[];
  /** When the grant of the read ends; undefined where nothing is to be read. */
  readonly read: number | undefined;
}

/**
 * When a monitor goes to a provider in an era, and what it asks then: one visit at a random place in each equal part of the time, challenges
 * and the read on visits drawn at random, so that a provider cannot know when it is looked at. What has a grant that ends soon is asked
 * while it lasts, and in any case on the first visit: the end is by the provider's clock, and a clock that is wrong must excuse nobody. Pure.
 */
export function planVisits(plan: VisitPlan, random: Random): Visit[] {
  const count = Math.max(1, plan.visits);
  const part = Math.max(0, plan.until - plan.from) / count;
  const draw = (end: number): number => {
    // A visit may be late by as much as its part is long.
    const usable = end > plan.from ? Math.floor((end - plan.from) / part) - 1 : 1;
    const choices = Math.min(count, Math.max(1, usable));
    return Math.min(choices - 1, Math.floor(random.fraction() * choices));
  };
  const targets: number[][] = Array.from({ length: count }, () => []);
  plan.targets.forEach((end, target) => targets[draw(end)]!.push(target));
  const read = plan.read === undefined ? undefined : draw(plan.read);
  return targets.map((due, visit) => ({
    at: Math.floor(plan.from + (visit + random.fraction()) * part),
    targets: due,
    read: visit === read,
  }));
}
