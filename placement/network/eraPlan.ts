import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { createHasher, LEAF_BYTES } from '#erasure';
import { independentGroups } from '../oracle/groups.ts';
import type { LoggedAssignment, MonitorRecord, OracleParameters, ProviderRecord } from '../oracle/types.ts';
import { storedName } from '../shardName.ts';
import type { ChunkCatalog, Random, ShardPlace } from '../types.ts';
import { challengeOf } from './beacon.ts';
import { committeeOf } from './committee.ts';
import type { Identity } from './identity.ts';
import type { Holding } from './inventory.ts';
import { issueGrant } from './issueGrant.ts';
import type { Assignment, Target, Task } from './messages.ts';
import type { SampledShard, SealedSample } from './shardSample.ts';
import { signStatement, type Signed } from './signed.ts';

const hasher = createHasher();
/** Challenges that each monitor makes at a provider, so that every group has something to judge by; in a large network the sum is enough. */
const PER_MONITOR_MIN = 3;
const LARGE_NETWORK = 1000;
/** Most of a run of leaves that throughput is measured by: 1 MiB. */
const RUN_LEAVES = 64;
/** A shorter run would measure the round trip: no throughput is better than a wrong one. */
const RUN_LEAVES_MIN = 16;
/** Number of the first challenge that a run is drawn by: beyond all targets; and how many are tried for a shard that is long enough. */
const RUN_NUMBER = 1_000_000;
const RUN_TRIES = 8;
/** A grant outlives its era by this: a request under way at the close may end. */
const GRANT_SLACK_MS = 60_000;
/** Shards of the sample that are looked at for one that is still where it was. */
const PROBES_MAX = 16;
/** Leaves of a canary where no real shard shows what is usual. */
const CANARY_LEAVES_MAX = 64;

export interface PlannedProvider {
  readonly record: ProviderRecord;
  readonly holding: Holding;
  /** What the provider's clock is ahead of the gateway's. */
  readonly clockOffsetMs: number;
}

export interface EraPlanInputs {
  readonly gateway: Identity;
  readonly era: number;
  readonly beacon: string;
  readonly closesAt: number;
  readonly parameters: OracleParameters;
  readonly providers: readonly PlannedProvider[];
  readonly monitors: readonly MonitorRecord[];
  readonly catalog: ChunkCatalog;
  /** Where canaries go: not to be foreseen. */
  readonly random: Random;
}

export interface PlannedAssignment {
  readonly signed: Signed;
  readonly logged: LoggedAssignment;
}

type LoggedTarget = LoggedAssignment['tasks'][number]['targets'][number];

/** What every monitor is asked in an era, one monitor after another, for they are long. */
export async function* planEra(inputs: EraPlanInputs): AsyncGenerator<PlannedAssignment> {
  const { providers, monitors, beacon } = inputs;
  const groups = independentGroups(monitors);
  const shares = new Map<string, { provider: PlannedProvider; challenges: number }[]>();
  for (const provider of providers) {
    const committee = committeeOf(provider.record.id, monitors, groups, beacon);
    const challenges = challengesEach(inputs, committee.length);
    for (const { id } of committee) {
      const share = shares.get(id);
      if (share) share.push({ provider, challenges });
      else shares.set(id, [{ provider, challenges }]);
    }
    await turn();
  }
  for (const monitor of monitors) yield await planMonitor(inputs, monitor, shares.get(monitor.id) ?? []);
}

function challengesEach({ parameters, providers }: EraPlanInputs, monitors: number): number {
  const least = providers.length > LARGE_NETWORK ? 1 : PER_MONITOR_MIN;
  return Math.max(least, Math.ceil(parameters.challenges / monitors));
}

async function planMonitor(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  shares: readonly { provider: PlannedProvider; challenges: number }[],
): Promise<PlannedAssignment> {
  const real = shares.reduce((sum, { provider, challenges }) => sum + realTargets(provider, challenges), 0);
  const canaries = canariesPerTask(inputs, shares.length, real);
  const tasks: Task[] = [];
  const logged: LoggedAssignment['tasks'][number][] = [];
  for (const [at, { provider, challenges }] of shares.entries()) {
    const targets = await planTargets(inputs, monitor, provider, challenges, canaries.get(at) ?? 0);
    const throughput = await planThroughput(inputs, monitor, provider);
    const { id, publicKey, description } = provider.record;
    tasks.push({
      provider: id,
      publicKey,
      endpoint: description.endpoint,
      storageClass: description.storageClass,
      targets: targets.map((target) => withGrant(inputs, monitor, provider, target)),
      ...(throughput && { throughput }),
    });
    logged.push({ provider: id, targets });
    // Every target is a signature: requests go in between.
    await turn();
  }
  const assignment: Assignment = {
    version: 1,
    era: inputs.era,
    monitor: monitor.id,
    beacon: inputs.beacon,
    closesAt: inputs.closesAt,
    serviceMs: inputs.parameters.serviceMs,
    tasks,
  };
  const signed = signStatement(inputs.gateway, 'assignment', assignment);
  const hash = Buffer.from(hasher.hash(Buffer.from(signed.body))).toString('hex');
  return { signed, logged: { monitor: monitor.id, hash, tasks: logged } };
}

/** A provider that holds nothing has nothing to prove. */
function realTargets({ holding }: PlannedProvider, challenges: number): number {
  return holding.sample.size === 0 ? 0 : challenges;
}

/** How many canaries go into which of a monitor's tasks: at least one in all. */
function canariesPerTask(inputs: EraPlanInputs, tasks: number, real: number): Map<number, number> {
  const canaries = new Map<number, number>();
  if (tasks === 0) return canaries;
  const count = Math.max(1, Math.round(inputs.parameters.canaryShare * real));
  for (let i = 0; i < count; i++) {
    const at = Math.floor(inputs.random.fraction() * tasks);
    canaries.set(at, (canaries.get(at) ?? 0) + 1);
  }
  return canaries;
}

/** A target's place is the number of its challenge, canaries counted. */
async function planTargets(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
  challenges: number,
  canaries: number,
): Promise<LoggedTarget[]> {
  const count = realTargets(provider, challenges) + canaries;
  const places = new Set<number>();
  while (places.size < canaries) places.add(Math.floor(inputs.random.fraction() * count));
  const targets: LoggedTarget[] = [];
  for (let i = 0; i < count; i++) {
    const challenge = challengeOf(inputs.beacon, inputs.era, provider.record.id, monitor.id, i);
    const shard = places.has(i) ? undefined : await findShard(inputs, provider, challenge);
    if (shard) targets.push({ ...shard, leaf: leafOf(challenge, shard.length) });
    else targets.push(canary(provider.holding.sample, challenge, inputs.random));
  }
  return targets;
}

/** The shard that a challenge picks by weight of bytes, or the next that is still recorded there. */
async function findShard(
  { catalog }: EraPlanInputs,
  { record, holding: { sample } }: PlannedProvider,
  challenge: string,
): Promise<(SampledShard & { readonly root: string }) | undefined> {
  if (sample.size === 0) return undefined;
  const first = sample.placeAt(Number.parseInt(challenge.slice(0, 12), 16) / 2 ** 48);
  for (let step = 0; step < Math.min(PROBES_MAX, sample.size); step++) {
    const shard = sample.at((first + step) % sample.size);
    const place: ShardPlace | undefined = (await catalog.get(shard.chunk))?.shards[shard.index];
    if (place?.provider === record.id) return { ...shard, root: Buffer.from(place.root).toString('hex') };
  }
  return undefined;
}

function leafOf(challenge: string, length: number): number {
  return Number.parseInt(challenge.slice(12, 24), 16) % Math.ceil(length / LEAF_BYTES);
}

/** A shard that does not exist, and looks like one that does. */
function canary(sample: SealedSample, challenge: string, random: Random): LoggedTarget {
  const model =
    sample.size > 0
      ? sample.at(Math.floor(random.fraction() * sample.size))
      : { index: 0, length: LEAF_BYTES * (1 + Math.floor(random.fraction() * CANARY_LEAVES_MAX)) };
  return {
    chunk: randomBytes(16).toString('hex'),
    index: model.index,
    root: randomBytes(32).toString('hex'),
    length: model.length,
    leaf: leafOf(challenge, model.length),
    canary: 'missing',
  };
}

function withGrant(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
  { canary: _secret, ...target }: LoggedTarget,
): Target {
  return { ...target, grant: grantFor(inputs, monitor, provider, 'prove', target, 0) };
}

function grantFor(
  { gateway, closesAt }: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
  op: 'prove' | 'get',
  shard: { readonly chunk: string; readonly index: number },
  size: number,
): string {
  return issueGrant(gateway, {
    op,
    holder: monitor.id,
    provider: provider.record.id,
    shard: storedName(shard),
    size,
    expires: Math.ceil(closesAt + GRANT_SLACK_MS + provider.clockOffsetMs),
  }).text;
}

async function planThroughput(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
): Promise<Task['throughput']> {
  for (let number = RUN_NUMBER; number < RUN_NUMBER + RUN_TRIES; number++) {
    const challenge = challengeOf(inputs.beacon, inputs.era, provider.record.id, monitor.id, number);
    const shard = await findShard(inputs, provider, challenge);
    if (shard === undefined) return undefined;
    if (shard.length >= RUN_LEAVES_MIN * LEAF_BYTES)
      return runOf(inputs, monitor, provider, shard, challenge);
  }
  return undefined;
}

function runOf(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
  shard: NonNullable<Awaited<ReturnType<typeof findShard>>>,
  challenge: string,
): Task['throughput'] {
  const leaves = Math.ceil(shard.length / LEAF_BYTES);
  const count = Math.min(RUN_LEAVES, leaves);
  const first = Math.min(leafOf(challenge, shard.length), leaves - count);
  return { ...shard, first, count, grant: grantFor(inputs, monitor, provider, 'get', shard, count) };
}
