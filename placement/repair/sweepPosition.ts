import type { ChunkCatalog, ProviderHandle, ProviderId } from '../types.ts';

const NOTE = 'scrub.orphans';

interface Noted {
  /** Visited last in the round under way. */
  readonly last?: ProviderId;
  /** Stored names after which to go on. */
  readonly after: Readonly<Record<ProviderId, string>>;
}

/**
 * Where the sweep of orphans stands. In a round every provider is visited once; a round that was broken off goes on with the next provider, and
 * comes back to the one that it was at as the last, so that whoever wears it out keeps it from nobody.
 */
export class SweepPosition {
  readonly #catalog: Pick<ChunkCatalog, 'setNote'>;
  readonly #after: Map<ProviderId, string>;
  #last: ProviderId | undefined;

  private constructor(catalog: Pick<ChunkCatalog, 'setNote'>, { last, after }: Noted) {
    this.#catalog = catalog;
    this.#last = last;
    this.#after = new Map(Object.entries(after));
  }

  static async open(catalog: Pick<ChunkCatalog, 'getNote' | 'setNote'>): Promise<SweepPosition> {
    const note = await catalog.getNote(NOTE);
    // Another form is that of an earlier version: its round begins anew.
    return new SweepPosition(catalog, note?.startsWith('{') ? (JSON.parse(note) as Noted) : { after: {} });
  }

  /** Providers that the round has still to visit. Those that are not among `handles` are forgotten. */
  remaining(handles: readonly ProviderHandle[]): ProviderHandle[] {
    const known = new Set(handles.map(({ info }) => info.id));
    for (const id of this.#after.keys()) if (!known.has(id)) this.#after.delete(id);
    const ordered = [...handles].sort((a, b) => (a.info.id < b.info.id ? -1 : 1));
    const last = this.#last;
    if (last === undefined) return ordered;
    const unseen = ordered.filter(({ info }) => info.id > last);
    return [...unseen, ...ordered.filter(({ info }) => info.id === last)];
  }

  /** Stored name after which the provider's list is to be read; undefined: from its beginning. */
  afterOf(provider: ProviderId): string | undefined {
    return this.#after.get(provider);
  }

  /** The provider is being visited, and judged up to and with the name `after`. */
  async at(provider: ProviderId, after: string | undefined): Promise<void> {
    this.#last = provider;
    if (after === undefined) this.#after.delete(provider);
    else this.#after.set(provider, after);
    await this.#save();
  }

  /** Every provider has been visited. */
  async roundEnded(): Promise<void> {
    this.#last = undefined;
    await this.#save();
  }

  async #save(): Promise<void> {
    const after = Object.fromEntries(this.#after);
    const noted: Noted = { after, ...(this.#last !== undefined && { last: this.#last }) };
    await this.#catalog.setNote(NOTE, JSON.stringify(noted));
  }
}
