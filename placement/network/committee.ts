import { createHasher } from '#erasure';
import { order, type Group } from '../oracle/groups.ts';
import type { MonitorRecord } from '../oracle/types.ts';
import type { ProviderId } from '../types.ts';

const hasher = createHasher();
/** Monitors that challenge one provider in an era: three for each of the seven groups that a decision needs. */
const COMMITTEE_MAX = 21;

/**
 * Who challenges a provider in an era: all monitors while they are few; of many, a draw by the beacon that takes one of each independent
 * group first.
 * @param groups of all monitors
 */
export function committeeOf(
  provider: ProviderId,
  monitors: readonly MonitorRecord[],
  groups: readonly Group[],
  beacon: string,
): readonly MonitorRecord[] {
  if (monitors.length <= COMMITTEE_MAX) return monitors;
  const groupOf = new Map(groups.flatMap((group) => group.monitors.map((id) => [id, group.name] as const)));
  const ranked = monitors
    .map((monitor) => ({ monitor, rank: rankOf(beacon, provider, monitor) }))
    .sort((a, b) => order(a.rank, b.rank));
  const seen = new Set<string | undefined>();
  const [first, rest]: [MonitorRecord[], MonitorRecord[]] = [[], []];
  for (const { monitor } of ranked) {
    const group = groupOf.get(monitor.id);
    (seen.has(group) ? rest : first).push(monitor);
    seen.add(group);
  }
  return [...first, ...rest].slice(0, COMMITTEE_MAX);
}

function rankOf(beacon: string, provider: ProviderId, { id }: MonitorRecord): string {
  return Buffer.from(hasher.hash(Buffer.from(`${beacon} ${provider} ${id}`))).toString('hex');
}
