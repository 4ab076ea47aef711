import { resolve } from 'node:path';
import type { S3Location } from '../transports/s3BucketCalls.ts';
import { parseBucketLocation, type BucketCredentials } from './bucketLocation.ts';
import { PlacementError, type Domain } from '../types.ts';

/** A provider as the configuration names it. */
export interface ProviderEntry {
  /** Absolute path of a directory, or s3://bucket/prefix, which a service other than AWS follows. */
  readonly endpoint: string;
  readonly domain: Domain;
  /** Only of a bucket. */
  readonly bucket?: S3Location;
}

const DEFAULT_COUNT = 6;

/**
 * Reads a list of providers, separated by commas: `path` or `region/site/operator=path`, where a path may also be that of a bucket
 * (bucketLocation.ts). A path alone is a failure domain of its own.
 * @param credentials of buckets, by the names that the list gives
 * @throws PlacementError 'BadConfiguration'
 */
export function parseProviderList(
  text: string,
  credentials: BucketCredentials = () => undefined,
): ProviderEntry[] {
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => parseEntry(entry, credentials));
  if (entries.length === 0) throw new PlacementError('BadConfiguration', 'The list of providers is empty');
  return entries;
}

/** The embedded default: directories `1`, `2`, … in `root`, each a failure domain of its own; six of them, or as many as a chunk has shards. */
export function defaultProviderList(root: string, shards: number): ProviderEntry[] {
  const count = Math.max(DEFAULT_COUNT, shards);
  return Array.from({ length: count }, (_, index) =>
    ownDomain({ endpoint: resolve(root, String(index + 1)) }),
  );
}

function parseEntry(entry: string, credentials: BucketCredentials): ProviderEntry {
  const match = /^([^/=]+)\/([^/=]+)\/([^/=]+)=(.+)$/.exec(entry);
  const [, region, site, operator, path = entry] = match ?? [];
  const isBucket = /^s3:/i.test(path);
  if (!isBucket && isNoPath(entry, match !== null)) {
    throw new PlacementError(
      'BadConfiguration',
      `A provider is written as a path, or as region/site/operator=path; got '${entry}'`,
    );
  }
  const place = isBucket ? parseBucketLocation(path, credentials) : { endpoint: resolve(path) };
  if (region !== undefined && site !== undefined && operator !== undefined) {
    return { ...place, domain: { region, site, operator } };
  }
  return ownDomain(place);
}

function isNoPath(entry: string, hasDomain: boolean): boolean {
  return !hasDomain && (/^[^/]*=/.test(entry) || /^[a-z][a-z0-9+.-]*:\/\//i.test(entry));
}

function ownDomain(place: Omit<ProviderEntry, 'domain'>): ProviderEntry {
  const { endpoint } = place;
  return { ...place, domain: { region: 'local', site: endpoint, operator: endpoint } };
}
