import { join, resolve } from 'node:path';
import { PlacementError, type Domain } from '../types.ts';

/** A provider as the configuration names it. */
export interface ProviderEntry {
  /** Absolute path of a directory. */
  readonly endpoint: string;
  readonly domain: Domain;
}

const DEFAULT_COUNT = 6;

/**
 * Reads a list of providers, separated by commas: `path` or `region/site/operator=path`. A path alone is a failure
 * domain of its own.
 * @throws PlacementError 'BadConfiguration'
 */
export function parseProviderList(text: string): ProviderEntry[] {
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map(parseEntry);
  if (entries.length === 0) throw new PlacementError('BadConfiguration', 'The list of providers is empty');
  return entries;
}

/** The embedded default: directories `1`, `2`, … in `root`, each a failure domain of its own; six of them, or as many as a chunk has shards. */
export function defaultProviderList(root: string, shards: number): ProviderEntry[] {
  const count = Math.max(DEFAULT_COUNT, shards);
  return Array.from({ length: count }, (_, index) => ownDomain(join(root, String(index + 1))));
}

function parseEntry(entry: string): ProviderEntry {
  const match = /^([^/=]+)\/([^/=]+)\/([^/=]+)=(.+)$/.exec(entry);
  if (match) {
    const [, region, site, operator, path] = match as unknown as [string, string, string, string, string];
    return { endpoint: resolve(path), domain: { region, site, operator } };
  }
  if (/^[^/]*=/.test(entry) || /^[a-z][a-z0-9+.-]*:\/\//i.test(entry)) {
    throw new PlacementError(
      'BadConfiguration',
      `A provider is written as a path, or as region/site/operator=path; got '${entry}'`,
    );
  }
  return ownDomain(entry);
}

function ownDomain(path: string): ProviderEntry {
  const endpoint = resolve(path);
  return { endpoint, domain: { region: 'local', site: endpoint, operator: endpoint } };
}
