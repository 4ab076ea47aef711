/** What operators are told of a running gateway. */
import { formatProfile } from '#erasure';
import { writeQuorum } from '#placement';
import type { ChunkCatalog, Maintenance, ProviderRegistry } from '#placement';
import type { AwaitingReclaim, GatewayStatus } from './admin/types.ts';
import type { Config } from './config.ts';
import type { StoreProcess } from './engine/peers.ts';
import type { Engine } from './engine/store.ts';
import { durabilityOf } from './metadata/durability.ts';
import { metadataName } from './metadata/name.ts';
import type { KeyValueStore } from './metadata/types.ts';
import { providerStatus } from './providers.ts';

/** An operator who asks is told figures no older, as long as there are so few chunks that looking at all takes a second. */
const DURABILITY_AGE_MS = 10_000;
const SURVEYED_AT_ONCE = 20_000;
/** To walk all of a great deletion would cost more than the figure is worth. */
const RECLAIM_COUNTED_MAX = 10_000;

export async function awaitingRepair(catalog: ChunkCatalog): Promise<number> {
  let count = 0;
  for (let after: string | undefined; ;) {
    const page = await catalog.repairQueue(after, 1000);
    count += page.length;
    after = page.at(-1);
    if (after === undefined) return count;
  }
}

export async function awaitingReclaim({ reclaim }: Engine): Promise<AwaitingReclaim> {
  return { ...(await reclaim.waiting(RECLAIM_COUNTED_MAX)), countedMax: RECLAIM_COUNTED_MAX };
}

/** The last report; made anew where that takes a moment only. */
async function recentDurability(maintenance: Maintenance): Promise<GatewayStatus['durability']> {
  const last = await maintenance.durability();
  if (last.ageMs < DURABILITY_AGE_MS || last.whole.chunks > SURVEYED_AT_ONCE) return last;
  return { ...(await maintenance.surveyDurability()), ageMs: 0 };
}

export async function gatewayStatus(parts: {
  config: Config;
  kv: KeyValueStore;
  version: string;
  endpoint: string;
  started: number;
  engine: Engine;
  providers: ProviderRegistry;
  maintenance: Maintenance;
}): Promise<GatewayStatus> {
  const { config, providers, kv } = parts;
  const stored = await storedFigures(parts).catch((error: unknown) => {
    // What can be told without the store is what its operator needs now.
    if (durabilityOf(kv).reachable) throw error;
    return undefined;
  });
  // What an operator asks about now, not what the last probe saw.
  await providers.probe();
  const status = providerStatus(providers);
  const quorum = writeQuorum(config.profile);
  return {
    version: parts.version,
    endpoint: parts.endpoint,
    uptimeSeconds: (Date.now() - parts.started) / 1000,
    region: config.region,
    profile: formatProfile(config.profile),
    metadata: metadataName(config.metadata),
    metadataDurability: durabilityOf(kv),
    ...stored,
    providers: status,
    writeQuorum: quorum,
    writable: stored !== undefined && status.filter(({ writable }) => writable).length >= quorum,
  };
}

/** @throws EngineError 'Unavailable', MetadataError: the store is away */
async function storedFigures({ engine, maintenance }: { engine: Engine; maintenance: Maintenance }) {
  const durability = await recentDurability(maintenance);
  const processes = await engine.peers?.processes();
  return {
    buckets: (await engine.store.listBuckets()).buckets.length,
    chunksAwaitingRepair: await awaitingRepair(engine.catalog),
    awaitingReclaim: await awaitingReclaim(engine),
    ...(processes && { processes: processes.map(processStatus) }),
    ...(durability && { durability }),
  } satisfies Partial<GatewayStatus>;
}

function processStatus({
  place,
  isHolder,
  isSelf,
}: StoreProcess): NonNullable<GatewayStatus['processes']>[number] {
  return { ...place, background: isHolder, self: isSelf };
}
