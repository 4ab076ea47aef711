/** Which shards should lie elsewhere: a pure function of a record and of how full providers are. */
import type { DomainMap } from '../durability/domains.ts';
import type { ChunkRecord, Candidate, ProviderHandle, ProviderId, ProviderInfo } from '../types.ts';
import { stays } from './repairPlan.ts';

/** Shards move only between providers whose utilisations differ by more than this: 20 points. */
export const UTILISATION_GAP = 0.2;
/** What sums of utilisations may be wrong by. */
const ROUNDING = 1e-9;

interface Fill {
  readonly info: ProviderInfo;
  /** Bytes that are not free. */
  used: number;
  /** Whether it may take new shards. */
  readonly takes: boolean;
}

export interface PlannedMove {
  readonly index: number;
  readonly from: ProviderId;
  readonly to: ProviderId;
}

/** How full providers are, kept up to date with the moves made. */
export class Fills {
  readonly #fills: ReadonlyMap<ProviderId, Fill>;

  /** @param candidates those that may take new shards */
  constructor(providers: readonly ProviderHandle[], candidates: readonly Candidate[]) {
    const taking = new Set(candidates.map(({ info }) => info.id));
    const fills = providers
      .filter(({ info }) => stays(info) && info.capacity > 0)
      .map(({ info }) => ({ info, used: info.capacity - info.free, takes: taking.has(info.id) }));
    this.#fills = new Map(fills.map((fill) => [fill.info.id, fill]));
  }

  /** Difference between the fullest provider and the emptiest that takes shards, in [0, 1]; 0 without any. */
  spread(): number {
    const all = [...this.#fills.values()];
    const fullest = all.reduce((most, fill) => Math.max(most, utilisation(fill)), 0);
    const emptiest = all.reduce(
      (least, fill) => (fill.takes ? Math.min(least, utilisation(fill)) : least),
      1,
    );
    return Math.max(0, fullest - emptiest);
  }

  moved({ from, to }: PlannedMove, bytes: number): void {
    const source = this.#fills.get(from);
    const target = this.#fills.get(to);
    if (source) source.used -= bytes;
    if (target) target.used += bytes;
  }

  /**
   * The shard of a chunk on the fullest provider, and the emptiest one that may take it: holds no other shard of the chunk, leaves no domain
   * with more of it than before, and is emptier by more than the gap even then. Undefined: the chunk lies well enough.
   * @param bytes of a shard
   */
  plan(record: ChunkRecord, bytes: number, domains: DomainMap): PlannedMove | undefined {
    const held = record.shards.flatMap((place, index) => {
      const fill = place && this.#fills.get(place.provider);
      return fill ? [{ index, fill }] : [];
    });
    held.sort((a, b) => utilisation(b.fill) - utilisation(a.fill));
    const holders = new Set(record.shards.map((place) => place?.provider));
    const { data, parity } = record.profile;
    const clumps = (places: readonly { index: number; fill: Fill }[]) =>
      domains.clumped(
        places.map(({ index, fill }) => ({ index, domain: fill.info.domain })),
        data + parity,
        parity,
      ).length;
    for (const source of held) {
      const bound = utilisation(source.fill) - UTILISATION_GAP - ROUNDING;
      const targets = [...this.#fills.values()]
        .filter((fill) => fill.takes && !holders.has(fill.info.id) && utilisation(fill, bytes) < bound)
        .sort((a, b) => utilisation(a) - utilisation(b));
      const before = targets.length > 0 ? clumps(held) : 0;
      const target = targets.find((fill) => {
        const after = held.map((each) => (each === source ? { index: source.index, fill } : each));
        return clumps(after) <= before;
      });
      if (target) return { index: source.index, from: source.fill.info.id, to: target.info.id };
    }
    return undefined;
  }
}

function utilisation({ info, used }: Fill, more = 0): number {
  return (used + more) / info.capacity;
}
