import type { NetworkState } from '../oracle/types.ts';
import type { NetworkEvent } from './serviceTypes.ts';

/** What became of whom between two states. */
export function changesBetween(before: NetworkState, after: NetworkState): NetworkEvent[] {
  return [...providerChanges(before, after), ...monitorChanges(before, after)];
}

function providerChanges(before: NetworkState, after: NetworkState): NetworkEvent[] {
  if (before.providers === after.providers) return [];
  return Object.values(after.providers).flatMap(({ id, state, reason, description }): NetworkEvent[] => {
    const former = before.providers[id];
    const { endpoint } = description;
    return [
      ...(former?.state === state ? [] : [{ kind: 'provider', provider: id, state, reason } as const]),
      ...(former === undefined || former.description.endpoint === endpoint
        ? []
        : [{ kind: 'moved', provider: id, endpoint } as const]),
    ];
  });
}

function monitorChanges(before: NetworkState, after: NetworkState): NetworkEvent[] {
  if (before.monitors === after.monitors) return [];
  return Object.values(after.monitors)
    .filter(({ id, state }) => before.monitors[id]?.state !== state)
    .map(({ id, state, reason }) => ({ kind: 'monitor', monitor: id, state, reason }));
}
