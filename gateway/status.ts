/** What operators are told of a running gateway. */
import { formatProfile } from '#erasure';
import { writeQuorum } from '#placement';
import type { ChunkCatalog, Maintenance, ProviderRegistry } from '#placement';
import type { GatewayStatus } from './admin/types.ts';
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

export async function awaitingReclaim({ reclaim }: Engine): Promise<GatewayStatus['awaitingReclaim']> {
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
  const { config, providers } = parts;
  const durability = await recentDurability(parts.maintenance);
  const processes = await parts.engine.peers?.processes();
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
    metadataDurability: durabilityOf(parts.kv),
    buckets: (await parts.engine.store.listBuckets()).buckets.length,
    chunksAwaitingRepair: await awaitingRepair(parts.engine.catalog),
    awaitingReclaim: await awaitingReclaim(parts.engine),
    ...(processes && { processes: processes.flatMap(processStatus) }),
    ...(durability && { durability }),
    providers: status,
    writeQuorum: quorum,
    writable: status.filter(({ writable }) => writable).length >= quorum,
  };
}

function processStatus({ place, isHolder, isSelf }: StoreProcess): NonNullable<GatewayStatus['processes']> {
  return place ? [{ ...place, background: isHolder, self: isSelf }] : [];
}
