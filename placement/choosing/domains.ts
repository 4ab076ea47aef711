import { DOMAIN_LEVELS, type Domain, type DomainLevel, type ProviderInfo } from '../types.ts';

/** Domains that each provider lies in: one of every level. */
export const NODES_EACH = DOMAIN_LEVELS.length;

/** Most shards of a chunk in one domain, by level in the order of DOMAIN_LEVELS. */
export type Limits = readonly [region: number, site: number, operator: number];

/** One name for a domain of any level. Sites of the same name in two regions are two. */
export function domainName({ region, site, operator }: Domain, level: DomainLevel): string {
  switch (level) {
    case 'region':
      return region;
    case 'site':
      return `${region}\0${site}`;
    case 'operator':
      return operator;
  }
}

/** Levels at which no domain has more than `max` of the providers. */
export function survivedLevels(providers: readonly ProviderInfo[], max: number): DomainLevel[] {
  return DOMAIN_LEVELS.filter((level) => {
    const counts = new Map<string, number>();
    for (const { domain } of providers) {
      const name = domainName(domain, level);
      const count = (counts.get(name) ?? 0) + 1;
      if (count > max) return false;
      counts.set(name, count);
    }
    return true;
  });
}
