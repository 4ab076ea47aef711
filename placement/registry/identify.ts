import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { errorCode } from '../transports/fileCalls.ts';
import { LocalDirectory } from '../transports/localDirectory.ts';
import { contents, formatDirectory, readMarker } from '../transports/providerDirectory.ts';
import type { ProviderEntry } from './providerList.ts';
import { PlacementError, type ProviderId } from '../types.ts';

/** Which provider was last found at an endpoint. */
export interface KnownProvider {
  readonly endpoint: string;
  readonly id: ProviderId;
}

interface IdentifiedProvider {
  readonly entry: ProviderEntry;
  readonly id: ProviderId;
}

export interface Identification {
  readonly providers: readonly IdentifiedProvider[];
  /** For the operator: directories that were lost, or are not what they were. */
  readonly warnings: readonly string[];
}

/**
 * Finds out who is at each configured directory and makes new directories providers. The marker in a directory
 * decides; where it is missing, what was known from the last run.
 * @throws PlacementError 'BadConfiguration' for a directory or an identity that occurs twice, or one that cannot be used
 */
export async function identifyProviders(
  entries: readonly ProviderEntry[],
  known: readonly KnownProvider[],
): Promise<Identification> {
  const warnings: string[] = [];
  await refuseSameDirectory(entries);
  const markers = await Promise.all(entries.map((entry) => markerOf(entry, known, warnings)));
  refuseSameIdentity(entries, markers);
  const providers: IdentifiedProvider[] = [];
  for (const [index, entry] of entries.entries()) {
    const knownId = known.find(({ endpoint }) => endpoint === entry.endpoint)?.id;
    const marker = markers[index];
    if (marker !== undefined) {
      if (knownId !== undefined && knownId !== marker) {
        warnings.push(`${entry.endpoint} was provider ${knownId} and is now ${marker}`);
      }
      providers.push({ entry, id: marker });
    } else {
      // A provider that was found elsewhere has moved, and is not missing here.
      const missing = knownId !== undefined && !markers.includes(knownId) ? knownId : undefined;
      const id = missing ?? randomBytes(16).toString('hex');
      await settle(entry.endpoint, id, missing !== undefined, warnings);
      providers.push({ entry, id });
    }
  }
  await Promise.all(providers.map((provider) => prepare(provider, warnings)));
  return { providers, warnings };
}

/** Makes a directory without a marker a provider's, unless it is a known one's and may come back. */
async function settle(path: string, id: ProviderId, isKnown: boolean, warnings: string[]): Promise<void> {
  try {
    const found = await contents(path);
    if (isKnown && found !== 'ours' && found !== 'missing') {
      const what = found === 'empty' ? 'is empty; perhaps its disk is not mounted' : 'holds other files';
      warnings.push(`${path} of provider ${id} ${what}. It is not used until it is repaired.`);
      return;
    }
    if (found === 'foreign')
      throw new PlacementError('BadConfiguration', `${path} holds files that are not a provider's`);
    await formatDirectory(path, id);
    if (isKnown) {
      const what =
        found === 'missing'
          ? 'was missing and has been made anew, without its shards'
          : 'had lost its marker';
      warnings.push(`${path} of provider ${id} ${what}`);
    }
  } catch (error) {
    if (error instanceof PlacementError) throw error;
    if (!isKnown)
      throw new PlacementError('BadConfiguration', `${path} cannot be used: ${text(error)}`, {
        cause: error,
      });
    warnings.push(`${path} of provider ${id} cannot be used: ${text(error)}`);
  }
}

async function markerOf(
  { endpoint }: ProviderEntry,
  known: readonly KnownProvider[],
  warnings: string[],
): Promise<ProviderId | undefined> {
  try {
    return await readMarker(endpoint);
  } catch (error) {
    if (error instanceof PlacementError) throw error;
    const id = known.find((one) => one.endpoint === endpoint)?.id;
    if (id === undefined) {
      throw new PlacementError('BadConfiguration', `${endpoint} cannot be read: ${text(error)}`, {
        cause: error,
      });
    }
    warnings.push(`${endpoint} of provider ${id} cannot be read: ${text(error)}`);
    return id;
  }
}

async function prepare({ entry, id }: IdentifiedProvider, warnings: string[]): Promise<void> {
  try {
    if ((await readMarker(entry.endpoint)) === id) await LocalDirectory.prepare(entry.endpoint);
  } catch (error) {
    warnings.push(`${entry.endpoint} of provider ${id} cannot be used: ${text(error)}`);
  }
}

async function refuseSameDirectory(entries: readonly ProviderEntry[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const { endpoint } of entries) {
    const real = await realpath(endpoint).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return endpoint;
      throw new PlacementError('BadConfiguration', `${endpoint} cannot be read: ${text(error)}`, {
        cause: error,
      });
    });
    const other = seen.get(real);
    if (other !== undefined) {
      throw new PlacementError('BadConfiguration', `${other} and ${endpoint} are the same directory`);
    }
    seen.set(real, endpoint);
  }
}

function refuseSameIdentity(
  entries: readonly ProviderEntry[],
  markers: readonly (ProviderId | undefined)[],
): void {
  for (const [index, marker] of markers.entries()) {
    const other = marker === undefined ? index : markers.indexOf(marker);
    if (other !== index) {
      throw new PlacementError(
        'BadConfiguration',
        `${entries[other]!.endpoint} and ${entries[index]!.endpoint} are both marked as provider ${marker}: one is a copy`,
      );
    }
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
