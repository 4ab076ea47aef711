import type { NetworkOverview } from '#placement';
import type { AwaitingReclaim, GatewayStatus } from '../admin/types.ts';
import { gigabytes, percent } from './shared.ts';

type ProviderStatus = GatewayStatus['providers'][number];

/** What `shardway status` shows of a running gateway. */
export function statusText(status: GatewayStatus): string {
  const { durability, network, providers } = status;
  const away = providers.filter(({ reachable }) => !reachable);
  return [
    `Shardway ${status.version} at ${status.endpoint}, up ${Math.round(status.uptimeSeconds)} s`,
    `region ${status.region}, profile ${status.profile}, metadata ${status.metadata}${status.buckets === undefined ? '' : `, ${status.buckets} buckets`}`,
    ...metadataLines(status.metadataDurability),
    writableLine(status),
    ...(status.chunksAwaitingRepair === undefined
      ? []
      : [`${status.chunksAwaitingRepair} chunks await repair`]),
    ...(status.awaitingReclaim === undefined ? [] : reclaimLines(status.awaitingReclaim)),
    ...processLines(status.processes ?? []),
    ...(durability === undefined ? [] : durabilityLines(durability)),
    ...(network === undefined ? [] : networkLines(network)),
    ...(away.length === 0 ? [] : [`UNREACHABLE: ${away.map(nameOf).join(', ')}`]),
    'Providers:',
    ...providers.map(providerLine),
  ].join('\n');
}

function metadataLines({ state, reasons, reachable }: GatewayStatus['metadataDurability']): string[] {
  return [
    ...(reachable ? [] : ['The metadata store CANNOT BE REACHED']),
    ...(state === 'strong'
      ? []
      : [
          'Metadata durability=WEAK: acknowledged writes may be lost',
          ...reasons.map((reason) => `  ${reason}`),
        ]),
  ];
}

function writableLine({ writable, writeQuorum, metadataDurability }: GatewayStatus): string {
  if (writable) return `Writable: a write needs ${writeQuorum} durable shards`;
  if (!metadataDurability.reachable) return 'NOT writable, nor readable, without its metadata';
  return `NOT writable: too few usable providers: a write needs ${writeQuorum} durable shards`;
}

function reclaimLines({ bodies, chunks, countedMax }: AwaitingReclaim): string[] {
  if (bodies + chunks === 0) return [];
  const counted = (count: number): string => (count < countedMax ? String(count) : `${count} or more`);
  return [
    `${counted(bodies)} deleted bodies and ${counted(chunks)} chunks wait for their space to be reclaimed`,
  ];
}

function processLines(processes: NonNullable<GatewayStatus['processes']>): string[] {
  if (processes.length === 0) return [];
  const gateways = new Set(processes.map(({ host, data }) => JSON.stringify([host, data])));
  const holder = processes.find(({ background }) => background);
  return [
    `Processes that serve this store: ${processes.length}, of ${gateways.size} ${gateways.size === 1 ? 'gateway' : 'gateways'}`,
    holder === undefined
      ? 'NO process does the background work at the moment: another takes it over within seconds'
      : holder.data === undefined
        ? 'Background work: a gateway of an earlier version'
        : `Background work: process ${holder.pid} of the gateway with data folder ${holder.data} on ${holder.host}`,
  ];
}

function nameOf({ id, endpoint }: ProviderStatus): string {
  return `${id} (${endpoint})`;
}

function providerLine(provider: ProviderStatus): string {
  const state = `${provider.state}${provider.reachable ? '' : ', unreachable'}${provider.writable ? '' : ' (no writes)'}`;
  return `  ${provider.id}  ${state}  score ${percent(provider.score)}  ${gigabytes(provider.freeBytes)} free of ${gigabytes(provider.capacityBytes)}  ${provider.endpoint}`;
}

function networkLines({ era, closesAt, groups, groupsMin, providers, monitors }: NetworkOverview): string[] {
  if (Object.keys({ ...providers, ...monitors }).length === 0) {
    return ['Network: no provider and no HyperNode has registered'];
  }
  const isOpen = closesAt !== undefined;
  return [
    isOpen ? `Era ${era} is open until ${new Date(closesAt).toISOString()}` : 'No era is open',
    `HyperNodes: ${monitors['active'] ?? 0} active, in ${groups} independent groups; ${
      groups < groupsMin ? `TOO FEW: ${groupsMin} are needed to decide anything` : `${groupsMin} are needed`
    }`,
    ...applicants(providers['applied'] ?? 0, 'provider'),
    ...applicants(monitors['applied'] ?? 0, 'hypernode'),
  ];
}

function applicants(count: number, role: 'provider' | 'hypernode'): string[] {
  if (count === 0) return [];
  const [who, wait] = count === 1 ? [role, 'waits'] : [`${role}s`, 'wait'];
  return [
    `${count} ${who} ${wait} for approval: \`shardway ${role}s list\`, then \`shardway ${role}s approve <id>\``,
  ];
}

function durabilityLines(durability: NonNullable<GatewayStatus['durability']>): string[] {
  const { whole, byBucket, ageMs } = durability;
  const nines = (value: number): string => (value > 50 ? 'over 50' : value.toFixed(1));
  if (whole.chunks === 0) return ['Durability: nothing is stored yet'];
  return [
    `Durability: ${nines(whole.nines)} nines a chunk and year; expected loss ${whole.expectedLossBytes.toExponential(1)} bytes of ${gigabytes(whole.bytes)} a year; repair at ${whole.repairAt} of ${whole.profile.data + whole.profile.parity} shards${ageMs > 60_000 ? ` (as of ${Math.round(ageMs / 60_000)} min ago)` : ''}`,
    ...whole.worstDomain.map(
      ({ level, domain, chunks }) =>
        `  loss of the worst ${level} (${domain}): ${chunks === 0 ? 'every chunk stays readable' : `${chunks} chunks could not be read`}`,
    ),
    ...Object.entries(byBucket).map(
      ([bucket, one]) => `  bucket ${bucket}: ${nines(one.nines)} nines, ${gigabytes(one.bytes)}`,
    ),
  ];
}
