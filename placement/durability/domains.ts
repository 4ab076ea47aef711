import type { Domain, DomainLevel, ProviderInfo } from '../types.ts';

/** Levels whose domains bound how many shards of one chunk they may hold. */
export const DOMAIN_LEVELS: readonly DomainLevel[] = ['region', 'site', 'operator'];

/** Name of a provider's domain at a level: a site is one of its region. */
export function domainAt({ region, site, operator }: Domain, level: DomainLevel): string {
  if (level === 'region') return region;
  return level === 'site' ? `${region}/${site}` : operator;
}

/** Where a chunk's shards may lie so that it survives the loss of any one domain, with the providers that there are. */
export class DomainMap {
  /** Providers by domain, at each level. */
  readonly #sizes: readonly { readonly level: DomainLevel; readonly sizes: readonly number[] }[];
  readonly #levels = new Map<string, readonly DomainLevel[]>();

  /** @param providers those that may hold shards for long */
  constructor(providers: readonly ProviderInfo[]) {
    this.#sizes = DOMAIN_LEVELS.map((level) => {
      const sizes = new Map<string, number>();
      for (const { domain } of providers) add(sizes, domainAt(domain, level), 1);
      return { level, sizes: [...sizes.values()] };
    });
  }

  /** Levels at which `shards` shards can lie with at most `most` of them in each domain. */
  levelsFor(shards: number, most: number): readonly DomainLevel[] {
    const key = `${shards}/${most}`;
    let levels = this.#levels.get(key);
    if (!levels) {
      levels = this.#sizes
        .filter(({ sizes }) => sizes.reduce((room, size) => room + Math.min(most, size), 0) >= shards)
        .map(({ level }) => level);
      this.#levels.set(key, levels);
    }
    return levels;
  }

  /**
   * Shards beyond the `most` that a domain may hold, at levels where the providers allow to keep to it: as few as make the others keep
   * to it, and of equally good ones the last.
   * @param places shards with their provider's domain
   * @param shards how many shards the chunk is to have
   */
  clumped(
    places: readonly { readonly index: number; readonly domain: Domain }[],
    shards: number,
    most: number,
  ): number[] {
    const levels = this.levelsFor(shards, most);
    const counts = new Map<string, number>();
    const nodesOf = (domain: Domain) => levels.map((level) => `${level} ${domainAt(domain, level)}`);
    const left = places.map(({ index, domain }) => ({ index, nodes: nodesOf(domain) }));
    for (const { nodes } of left) for (const node of nodes) add(counts, node, 1);
    const excess = ({ nodes }: { nodes: readonly string[] }) =>
      nodes.filter((node) => counts.get(node)! > most).length;
    const clumped: number[] = [];
    for (;;) {
      const worst = left.reduce((best, each, at) => {
        const over = excess(each);
        return over > 0 && (best < 0 || over >= excess(left[best]!)) ? at : best;
      }, -1);
      if (worst < 0) return clumped.sort((a, b) => a - b);
      const [removed] = left.splice(worst, 1);
      for (const node of removed!.nodes) add(counts, node, -1);
      clumped.push(removed!.index);
    }
  }
}

function add(counts: Map<string, number>, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}
