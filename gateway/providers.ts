import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatProfile } from '#erasure';
import type { Profile } from '#erasure';
import {
  PlacementError,
  defaultProviderList,
  measured,
  openProviders,
  parseProviderList,
  systemClock,
  writeQuorum,
} from '#placement';
import type {
  CallOutcome,
  ChunkCatalog,
  KnownProvider,
  ProviderEntry,
  ProviderId,
  ProviderRegistry,
} from '#placement';
import type { Metrics } from './admin/metrics.ts';
import type { GatewayStatus } from './admin/types.ts';
import { settingError } from './config.ts';
import type { Config } from './config.ts';
import type { Logger } from './log.ts';

const PROVIDERS_NOTE = 'providers.known';
/** The registry probes every 10 s; a change is told soon after the probe that saw it. */
const WATCH_EVERY_MS = 5_000;
/** Folders that one warning names. */
const NAMED_MAX = 3;

type ProviderStatus = GatewayStatus['providers'][number];

/**
 * Opens the providers under the identities of the last run, and keeps them for the next.
 * @throws ConfigError, PlacementError
 */
export async function openRegistry(
  config: Config,
  catalog: ChunkCatalog,
  hooks: {
    readonly metrics: () => Metrics | undefined;
    readonly onOutcome: (id: ProviderId, outcome: CallOutcome) => void;
  },
): Promise<{ providers: ProviderRegistry; warnings: readonly string[] }> {
  const note = await catalog.getNote(PROVIDERS_NOTE);
  const known = note === undefined ? [] : (JSON.parse(note) as KnownProvider[]);
  const entries = await orConfigError(() => providerEntries(config));
  const mustKnow = isShared(config) && known.length > 0 && entries.length > 0;
  // Asked before any is made: where another machine has the same paths, folders would be made under the identities of its.
  if (mustKnow && entries.every(isMissing)) throw otherProviders(config, known);
  const providers = await orConfigError(async () =>
    openProviders({
      entries,
      known,
      clock: systemClock,
      onOutcome: hooks.onOutcome,
      decorate: (transport, info) =>
        measured(transport, systemClock, ({ kind, latencyMs, failure }) =>
          hooks.metrics()?.onProviderCall({
            provider: info.id,
            kind,
            outcome: failure ?? 'ok',
            seconds: latencyMs / 1000,
          }),
        ),
    }),
  );
  if (mustKnow && known.every(({ id }) => providers.get(id) === undefined)) {
    await providers.close();
    throw otherProviders(config, known);
  }
  const identities = JSON.stringify(providers.identities());
  if (identities !== note) await catalog.setNote(PROVIDERS_NOTE, identities);
  const left = known.filter(({ id, endpoint }) => providers.get(id) === undefined && existsSync(endpoint));
  const warnings = [
    ...providers.warnings,
    ...leftWarnings(left.map(({ endpoint }) => endpoint)),
    ...(awaitsMembers(config)
      ? []
      : shortageWarnings(
          config.profile,
          providerStatus(providers).filter(({ writable }) => writable).length,
        )),
  ];
  return { providers, warnings };
}

const isMissing = ({ bucket, endpoint }: ProviderEntry): boolean =>
  bucket === undefined && !existsSync(endpoint);

/** What this gateway wrote no other one could read. */
function otherProviders(config: Config, known: readonly KnownProvider[]): Error {
  const why =
    config.providers === undefined
      ? `must be given: without a list this gateway would write to folders of its own below ${config.data}, and`
      : 'names none of them:';
  const theirs = namesOf(known.map(({ endpoint }) => endpoint));
  return settingError(
    'providers',
    `${why} the shared store's providers are ${theirs}. Give every gateway the same list; new providers are added to it`,
  );
}

/** Registered providers are admitted later, and have yet to answer. */
function awaitsMembers({ providers, networkListen }: Config): boolean {
  return providers?.length === 0 && networkListen !== undefined;
}

/** One line, however many folders an edited list leaves behind. */
function leftWarnings(endpoints: readonly string[]): string[] {
  if (endpoints.length === 0) return [];
  return [
    `Providers used before are not configured now, and what they hold cannot be read: ${namesOf(endpoints)}`,
  ];
}

function namesOf(endpoints: readonly string[]): string {
  const more = endpoints.length > NAMED_MAX ? ` and ${endpoints.length - NAMED_MAX} more` : '';
  return `${endpoints.slice(0, NAMED_MAX).join(', ')}${more}`;
}

/** Gateways of other data folders may use the same metadata. */
export const isShared = ({ metadata }: Config): boolean => !['lmdb', 'memory'].includes(metadata);

/** What the operator should know when fewer providers are usable than the profile has shards. */
export function shortageWarnings(profile: Profile, usable: number): string[] {
  const shards = profile.data + profile.parity;
  const quorum = writeQuorum(profile);
  if (usable >= shards) return [];
  return [
    usable < quorum
      ? `Profile ${formatProfile(profile)} needs ${quorum} usable providers to write and there are ${usable}: uploads are refused`
      : `Profile ${formatProfile(profile)} has ${shards} shards and ${usable} providers are usable: uploads start without full redundancy`,
  ];
}

export function providerStatus(providers: ProviderRegistry): GatewayStatus['providers'] {
  const writable = new Set(
    providers
      .candidates()
      .filter(({ weight }) => weight > 0)
      .map(({ info }) => info.id),
  );
  return providers.all().map(({ info }) => ({
    id: info.id,
    endpoint: info.endpoint,
    state: info.state,
    reachable: info.reachable !== false,
    writable: writable.has(info.id),
    capacityBytes: info.capacity,
    freeBytes: info.free,
    ...(info.score !== undefined && { score: info.score }),
  }));
}

/** Logs a provider that goes and one that comes back. Returns what ends it. */
export function watchProviders(providers: ProviderRegistry, log: Logger): () => void {
  let before = providerStatus(providers);
  const timer = setInterval(() => {
    const now = providerStatus(providers);
    for (const { id, endpoint, state, writable } of changed(before, now)) {
      if (writable) log.info({ provider: id, endpoint, state }, 'provider is usable again');
      else log.warn({ provider: id, endpoint, state }, 'provider is not usable for writes');
    }
    before = now;
  }, WATCH_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Those of `now` that became usable or unusable since `before`. */
export function changed(
  before: readonly ProviderStatus[],
  now: readonly ProviderStatus[],
): readonly ProviderStatus[] {
  const writable = new Map(before.map((provider) => [provider.id, provider.writable]));
  return now.filter((provider) => (writable.get(provider.id) ?? true) !== provider.writable);
}

/** Without a list of its own: k+m folders, and any that an earlier, wider profile has filled. */
async function providerEntries(config: Config): Promise<ProviderEntry[]> {
  // Registered providers alone may be enough.
  if (config.providers?.length === 0) return [];
  if (config.providers !== undefined) {
    return parseProviderList(config.providers.join(','), (name) => config.bucketCredentials.get(name));
  }
  const { data, parity } = config.profile;
  return defaultProviderList(defaultRoot(config), widest(await ownFolders(config), data + parity));
}

const defaultRoot = ({ data }: Config): string => join(data, 'providers');

/** Names of what lies where a gateway without a list has its providers. */
async function ownFolders(config: Config): Promise<string[]> {
  return await readdir(defaultRoot(config)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** The greater of `shards` and the highest number that names a folder. */
export function widest(names: readonly string[], shards: number): number {
  const numbers = names.filter((name) => /^[1-9]\d{0,2}$/.test(name)).map(Number);
  return Math.max(shards, ...numbers);
}

async function orConfigError<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof PlacementError && error.kind === 'BadConfiguration') {
      throw settingError('providers', `cannot be used: ${error.message}`, error);
    }
    throw error;
  }
}
