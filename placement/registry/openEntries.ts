import { forEachBounded } from '../concurrency.ts';
import { LocalDirectory, type RevivableTransport } from '../transports/localDirectory.ts';
import { identifyProviders, type KnownProvider } from './identify.ts';
import { openBucket } from './openBucket.ts';
import type { ProviderEntry } from './providerList.ts';
import { PlacementError, type Clock, type ProviderId } from '../types.ts';

const BUCKETS_AT_ONCE = 8;

interface OpenedEntry {
  readonly entry: ProviderEntry;
  readonly id: ProviderId;
  readonly storage: RevivableTransport;
}

export interface OpenedEntries {
  /** Directories first, otherwise in the order of the list. */
  readonly providers: readonly OpenedEntry[];
  /** For the operator. */
  readonly warnings: readonly string[];
}

/**
 * Finds out who is behind each configured entry, and opens its storage.
 * @throws PlacementError 'BadConfiguration': nothing is left open
 */
export async function openEntries(
  entries: readonly ProviderEntry[],
  known: readonly KnownProvider[],
  clock: Clock,
): Promise<OpenedEntries> {
  const directories = await identifyProviders(
    entries.filter(({ bucket }) => !bucket),
    known,
  );
  const buckets = await openBuckets(entries, known, clock);
  const providers = [
    ...directories.providers.map(({ entry, id }) => ({
      entry,
      id,
      storage: new LocalDirectory(entry.endpoint, id),
    })),
    ...buckets.providers,
  ];
  try {
    refuseSameIdentity(providers);
  } catch (error) {
    await closeAll(providers);
    throw error;
  }
  return { providers, warnings: [...directories.warnings, ...buckets.warnings] };
}

async function openBuckets(
  entries: readonly ProviderEntry[],
  known: readonly KnownProvider[],
  clock: Clock,
): Promise<OpenedEntries> {
  const providers: OpenedEntry[] = [];
  const warnings: string[] = [];
  try {
    await forEachBounded(entries, BUCKETS_AT_ONCE, async (entry) => {
      const { endpoint, bucket } = entry;
      if (!bucket) return;
      const opened = await openBucket({ endpoint, bucket }, known, clock);
      providers.push({ entry, id: opened.id, storage: opened.storage });
      warnings.push(...opened.warnings);
    });
  } catch (error) {
    await closeAll(providers);
    throw error;
  }
  providers.sort((a, b) => entries.indexOf(a.entry) - entries.indexOf(b.entry));
  return { providers, warnings };
}

function refuseSameIdentity(providers: readonly OpenedEntry[]): void {
  const seen = new Map<ProviderId, string>();
  for (const { entry, id } of providers) {
    const other = seen.get(id);
    if (other !== undefined) {
      throw new PlacementError(
        'BadConfiguration',
        `${other} and ${entry.endpoint} are both marked as provider ${id}: one is a copy, or both are one`,
      );
    }
    seen.set(id, entry.endpoint);
  }
}

async function closeAll(providers: readonly OpenedEntry[]): Promise<void> {
  await Promise.all(providers.map(({ storage }) => storage.close()));
}
