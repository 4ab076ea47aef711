import type { ChunkCatalog, Clock, ProviderId, Providers, ProviderState } from '../types.ts';

const NOTE = 'evacuate.suspended';
/**
 * Downtime shorter than this is no reason to move what lies there. A region that was away for six hours stays suspended for 26: its availability
 * has to recover first.
 */
export const SUSPENDED_GRACE_MS = 2 * 86_400_000;

/** States in which shards are moved away at once. 'gone': whatever was written there against expectation. */
const AT_ONCE: ReadonlySet<ProviderState> = new Set(['exiting', 'disqualified', 'gone']);

/** Whether what lies at a provider in this state is moved away, or will be in time. */
export function isLeaving(state: ProviderState): boolean {
  return AT_ONCE.has(state) || state === 'suspended';
}

/**
 * Providers whose shards are to be moved away now: those that leave or were sent away, and those that have been suspended for two days.
 * Remembers since when, so that a restart does not begin them anew.
 */
export async function providersToEvacuate(
  deps: { readonly catalog: ChunkCatalog; readonly providers: Pick<Providers, 'all'>; readonly clock: Clock },
  graceMs: number = SUSPENDED_GRACE_MS,
): Promise<ProviderId[]> {
  const infos = deps.providers.all().map(({ info }) => info);
  const now = deps.clock.now();
  const note = await deps.catalog.getNote(NOTE);
  const before = new Map(note ? (JSON.parse(note) as [ProviderId, number][]) : []);
  const since = new Map(
    infos
      .filter(({ state }) => state === 'suspended')
      .map(({ id }) => [id, Math.min(now, before.get(id) ?? now)]),
  );
  const text = JSON.stringify([...since]);
  if (text !== (note ?? '[]')) await deps.catalog.setNote(NOTE, text);
  return infos
    .filter(({ id, state }) => AT_ONCE.has(state) || now - (since.get(id) ?? now) >= graceMs)
    .map(({ id }) => id);
}

/** Providers that were evacuated lately, or could not be. */
export class Rests {
  readonly #until = new Map<ProviderId, number>();

  /** Those of `providers` that do not rest. Others, which have changed their minds, are forgotten. */
  awake(providers: readonly ProviderId[], now: number): ProviderId[] {
    for (const id of this.#until.keys()) if (!providers.includes(id)) this.#until.delete(id);
    return providers.filter((id) => (this.#until.get(id) ?? 0) <= now);
  }

  /** @param until ms since the epoch */
  rest(provider: ProviderId, until: number): void {
    this.#until.set(provider, until);
  }
}
