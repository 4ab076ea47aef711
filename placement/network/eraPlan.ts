import { setImmediate as turn } from 'node:timers/promises';
import { createHasher, LEAF_BYTES } from '#erasure';
import { independentGroups } from '../oracle/groups.ts';
import type { LoggedAssignment, MonitorRecord, OracleParameters, ProviderRecord } from '../oracle/types.ts';
import { storedName } from '../shardName.ts';
import type { ChunkCatalog, Random, ShardPlace } from '../types.ts';
import type { Canaries } from './canaries.ts';
import { challengeOf } from './beacon.ts';
import { committeeOf } from './committee.ts';
import type { Identity } from './identity.ts';
import type { Holding } from './inventory.ts';
import { issueGrant } from './issueGrant.ts';
import type { Assignment, Target, Task } from './messages.ts';
import type { SampledShard } from './shardSample.ts';
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
/** Most targets of a task: see messages.ts. */
const TARGETS_MAX = 1000;

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
  readonly canaries: Canaries;
  /** Where a canary goes if a monitor has drawn none: not to be foreseen. */
  readonly random: Random;
}

export interface PlannedAssignment {
  readonly signed: Signed;
  readonly logged: LoggedAssignment;
}

type LoggedTarget = LoggedAssignment['tasks'][number]['targets'][number];

/** What every monitor is asked in an era, one monitor after another, for they are long. */
export async function* planEra(inputs: EraPlanInputs): AsyncGenerator<PlannedAssignment> {
  const { providers, monitors, beacon, parameters } = inputs;
  const groups = independentGroups(monitors, parameters);
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
  const planned: Planned[] = [];
  for (const { provider, challenges } of shares) {
    planned.push({ provider, targets: await planTargets(inputs, monitor, provider, challenges) });
    await turn();
  }
  await ensureCanary(inputs, monitor, planned);
  const tasks: Task[] = [];
  for (const { provider, targets } of planned) {
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
  const logged = planned.map(({ provider, targets }) => ({ provider: provider.record.id, targets }));
  return { signed, logged: { monitor: monitor.id, hash, tasks: logged } };
}

interface Planned {
  readonly provider: PlannedProvider;
  readonly targets: LoggedTarget[];
}

/**
 * A target's place is the number of its challenge, canaries counted. How many there are shows nothing: canaries are drawn like shards, and
 * the number is such that shards alone may be expected to be as many as they should. A provider that holds nothing has nothing to prove.
 */
async function planTargets(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
  challenges: number,
): Promise<LoggedTarget[]> {
  const { sample } = provider.holding;
  const count = sample.size === 0 ? 0 : Math.ceil(challenges / (1 - sample.canaryShare));
  const targets: LoggedTarget[] = [];
  for (let i = 0; i < Math.min(count, TARGETS_MAX); i++) {
    const challenge = challengeFor(inputs, monitor, provider, i);
    const found = await findShard(inputs, provider, challenge);
    // Of those that were counted none is left there.
    const shard = found ?? { ...sample.at(0), canary: true };
    targets.push(await targetOf(inputs, provider, shard, challenge));
  }
  return targets;
}

/** Every monitor has a canary to be known by. */
async function ensureCanary(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  planned: readonly Planned[],
): Promise<void> {
  if (planned.some(({ targets }) => targets.some(({ canary }) => canary !== undefined))) return;
  const asked = planned.filter(({ targets }) => targets.length > 0);
  const choices = asked.length > 0 ? asked : planned;
  const chosen = choices[Math.floor(inputs.random.fraction() * choices.length)];
  if (chosen === undefined) return;
  const { provider, targets } = chosen;
  const { sample } = provider.holding;
  const place = Math.floor(inputs.random.fraction() * targets.length);
  const shard =
    sample.size > 0
      ? { ...sample.at(Math.floor(inputs.random.fraction() * sample.size)), canary: true }
      : inputs.canaries.madeUp(provider.record.id);
  targets[place] = await targetOf(inputs, provider, shard, challengeFor(inputs, monitor, provider, place));
}

function challengeFor(
  { beacon, era }: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
  number: number,
): string {
  return challengeOf(beacon, era, provider.record.id, monitor.id, number);
}

/** Shards and canaries alike: nothing but the mark, which is not sent, tells them apart. */
async function targetOf(
  { catalog, canaries }: EraPlanInputs,
  { record, holding }: PlannedProvider,
  shard: SampledShard & { readonly root?: string },
  challenge: string,
): Promise<LoggedTarget> {
  const { index, length } = shard;
  const isNamed = !shard.canary || holding.sample.size === 0;
  const chunk = isNamed ? shard.chunk : await canaries.nameBeside(catalog, record.id, shard);
  return {
    chunk,
    index,
    root: shard.root ?? canaries.rootOf(chunk, index),
    length,
    leaf: leafOf(challenge, length),
    ...(shard.canary && { canary: 'missing' }),
  };
}

/** The shard or canary that a challenge picks by weight of bytes, or the next one if it is a shard that is recorded there no longer. */
async function findShard(
  { catalog }: EraPlanInputs,
  { record, holding: { sample } }: PlannedProvider,
  challenge: string,
): Promise<(SampledShard & { readonly root?: string }) | undefined> {
  if (sample.size === 0) return undefined;
  const first = sample.placeAt(Number.parseInt(challenge.slice(0, 12), 16) / 2 ** 48);
  for (let step = 0; step < Math.min(PROBES_MAX, sample.size); step++) {
    const shard = sample.at((first + step) % sample.size);
    if (shard.canary) return shard;
    const place: ShardPlace | undefined = (await catalog.get(shard.chunk))?.shards[shard.index];
    if (place?.provider === record.id) return { ...shard, root: Buffer.from(place.root).toString('hex') };
  }
  return undefined;
}

function leafOf(challenge: string, length: number): number {
  return Number.parseInt(challenge.slice(12, 24), 16) % Math.ceil(length / LEAF_BYTES);
}

function withGrant(
  inputs: EraPlanInputs,
  monitor: MonitorRecord,
  provider: PlannedProvider,
  target: LoggedTarget,
): Target {
  const { chunk, index, root, length, leaf } = target;
  return { chunk, index, root, length, leaf, grant: grantFor(inputs, monitor, provider, 'prove', target, 0) };
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
    const challenge = challengeFor(inputs, monitor, provider, number);
    const shard = await findShard(inputs, provider, challenge);
    if (shard === undefined) return undefined;
    const { chunk, index, root, length } = shard;
    const leaves = Math.ceil(length / LEAF_BYTES);
    if (root === undefined || length < RUN_LEAVES_MIN * LEAF_BYTES) continue;
    const count = Math.min(RUN_LEAVES, leaves);
    const first = Math.min(leafOf(challenge, length), leaves - count);
    const grant = grantFor(inputs, monitor, provider, 'get', { chunk, index }, count);
    return { chunk, index, root, length, first, count, grant };
  }
  return undefined;
}
