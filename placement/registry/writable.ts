import type { ProviderState } from '../types.ts';

const WRITABLE: ReadonlySet<ProviderState> = new Set(['vetting', 'active', 'degraded']);

/** Whether new shards may go to a provider in this state. */
export function takesShards(state: ProviderState): boolean {
  return WRITABLE.has(state);
}
