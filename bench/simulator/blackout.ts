import type { Profile } from '#erasure';
import { seededRandom } from '#placement';
import { lossWhenProvidersFail, repairThreshold } from '../../placement/durability/formulas.ts';
import { SUSPENDED_GRACE_MS } from '../../placement/repair/leavers.ts';
import { classify, type ShardHealth } from '../../placement/repair/repairPlan.ts';
import { Outages } from '../../placement/repair/repairSchedule.ts';
import type { ChunkRecord, ProviderHandle, ProviderState } from '../../placement/types.ts';
import { placeSample, type ChunkSample } from './chunkSample.ts';
import { PLANNED, PROVIDERS, REPAIR_BITS_PER_PROVIDER } from './churn.ts';
import { percent, short } from './format.ts';
import { GOOD, OracleLab, type Seen } from './lab.ts';
import { lineChart } from './svg.ts';
import type { Check, Run, RunContext, RunResult } from './types.ts';
import { MAIN_PROFILE, createWorld, totalOf, type World } from './world.ts';

const OUTAGE_HOURS = 6;
const WATCHED_HOURS = 48;
const STEPS_HOUR = 12;
const HOUR_MS = 3_600_000;
const ROOT = new Uint8Array(32);
/** The grace of the product's own defaults, and one that is longer than the outage. */
const GRACE_HOURS = [0, 0.25, 12] as const;

/** How the oracle takes it: the state of a provider of that region, hour by hour. */
function states(): ProviderState[] {
  const lab = new OracleLab({ providers: 1 });
  lab.warmUp(50);
  const down: Seen = {
    answered: 0,
    latencyMs: 0,
    bytesPerSecond: 0,
    audits: GOOD.audits.map(() => 'unreachable' as const),
  };
  return Array.from(
    { length: WATCHED_HOURS },
    (_, hour) => lab.era(() => (hour < OUTAGE_HOURS ? down : GOOD))[0]!.state,
  );
}

/** Chunks by how many of their shards lie in the region. */
function hitCounts({ profile, count, places }: ChunkSample, world: World, region: number): number[] {
  const total = totalOf(profile);
  const hits = Array.from({ length: total + 1 }, () => 0);
  for (let chunk = 0; chunk < count; chunk++) {
    let hit = 0;
    for (let at = chunk * total; at < (chunk + 1) * total; at++)
      if (world.regions[places[at]!] === region) hit++;
    hits[hit]! += 1;
  }
  return hits;
}

interface Placed {
  readonly sample: ChunkSample;
  readonly hits: readonly number[];
}

interface Policy {
  readonly name: string;
  readonly graceHours: number;
  readonly repairAt: number;
  /** State of the region's providers by hour; the oracle's, or always active. */
  readonly states: readonly ProviderState[];
}

/** Whether a chunk with so many shards in the region would be repaired at that moment, as the product classifies it. */
function wouldRepair(profile: Profile, hit: number, hours: number, policy: Policy): boolean {
  const total = totalOf(profile);
  const isDown = hours < OUTAGE_HOURS;
  const state = policy.states[Math.floor(hours)] ?? 'active';
  const stateOf = (index: number): ProviderState => (index < hit ? state : 'active');
  const record: ChunkRecord = {
    id: '',
    profile,
    length: 1,
    cell: 1,
    generation: 1,
    shards: Array.from({ length: total }, (_, index) => ({ provider: `p${index}`, root: ROOT })),
  };
  const health = record.shards.map((_, index): ShardHealth =>
    index < hit && isDown ? 'unreachable' : 'healthy',
  );
  const outages = new Outages();
  outages.observe(record, health, 0);
  const providers = {
    get: (id: string) => ({ info: { id, state: stateOf(Number(id.slice(1))) } }) as ProviderHandle,
  };
  const { action, healthy } = classify(record, health, providers, {
    mayReturn: (provider) => outages.mayReturn(provider, hours * HOUR_MS, policy.graceHours * HOUR_MS),
  });
  return action === 'repair' && healthy <= policy.repairAt;
}

interface Storm {
  readonly policy: Policy;
  /** Gbit/s by step. */
  readonly traffic: readonly (readonly [hours: number, gigabits: number])[];
  readonly movedBytes: number;
  readonly repairedChunks: number;
  /** What would be moved if bandwidth did not end it. */
  readonly wantedBytes: number;
}

/** Repairs that the bandwidth allows, chunks with most shards in the region first, as if all were examined all the time: the worst case. */
function storm({ sample, hits }: Placed, policy: Policy): Storm {
  const { profile, weight, shardBytes } = sample;
  const bytesPerStep = (REPAIR_BITS_PER_PROVIDER * PROVIDERS) / 8 / (STEPS_HOUR / 3600);
  const left = hits.map((count) => count * weight);
  const traffic: [number, number][] = [];
  const wanted = new Set<number>();
  let moved = 0;
  let repaired = 0;
  for (let step = -STEPS_HOUR; step < WATCHED_HOURS * STEPS_HOUR; step++) {
    const hours = step / STEPS_HOUR;
    let room = bytesPerStep;
    for (let hit = step < 0 ? 0 : left.length - 1; hit > 0; hit--) {
      if (left[hit] === 0 || !wouldRepair(profile, hit, hours, policy)) continue;
      wanted.add(hit);
      const each = shardBytes * (profile.data + hit);
      const chunks = Math.min(left[hit]!, room / each);
      left[hit]! -= chunks;
      room -= chunks * each;
      repaired += chunks;
    }
    moved += bytesPerStep - room;
    traffic.push([hours, ((bytesPerStep - room) * 8 * STEPS_HOUR) / 3600 / 1e9]);
  }
  let wantedBytes = 0;
  for (const hit of wanted) wantedBytes += hits[hit]! * weight * shardBytes * (profile.data + hit);
  return { policy, traffic, movedBytes: moved, repairedChunks: repaired, wantedBytes };
}

/** No oracle: the region's providers stay active throughout. */
const ALWAYS: readonly ProviderState[] = [];

/** With at most m − 1 shards in a region, one is always to spare. */
function tightPolicy(profile: Profile): Policy {
  const repairAt = repairThreshold(profile, PLANNED);
  const most = profile.parity - 1;
  return { name: `12 h grace, at most ${most} shards a region`, graceHours: 12, repairAt, states: ALWAYS };
}

function policies(profile: Profile, judged: readonly ProviderState[]): Policy[] {
  const repairAt = repairThreshold(profile, PLANNED);
  const atOnce = totalOf(profile) - 1;
  return [
    { name: `no grace, repair at ${atOnce}`, graceHours: 0, repairAt: atOnce, states: ALWAYS },
    ...GRACE_HOURS.map((graceHours) => ({
      name: `${graceHours} h grace, repair at ${repairAt}`,
      graceHours,
      repairAt,
      states: ALWAYS,
    })),
    {
      name: `12 h grace, repair at ${repairAt}, with the oracle's states`,
      graceHours: 12,
      repairAt,
      states: judged,
    },
  ];
}

function unreadable(hits: readonly number[], { parity }: Profile): number {
  return hits.reduce((sum, count, hit) => sum + (hit > parity ? count : 0), 0);
}

function go(context: RunContext): RunResult {
  const profile = MAIN_PROFILE;
  const count = context.quick ? 20_000 : 200_000;
  const { regionShares } = createWorld(PROVIDERS, context.seed);
  const share = Math.max(...regionShares);
  const region = regionShares.indexOf(share);
  const random = seededRandom(context.seed + 7);
  const placed = (perDomainMax: number, number: number): Placed => {
    // Groups are kept for the candidates that they were made of: other limits, other candidates.
    const world = createWorld(PROVIDERS, context.seed);
    const progress = (share: number): void => context.progress((0.9 * (number + share)) / 3);
    const sample = placeSample(world, profile, count, random, { perDomainMax, progress });
    return { sample, hits: hitCounts(sample, world, region) };
  };
  const ruled = placed(profile.parity, 0);
  const free = placed(totalOf(profile), 1);
  const tight = placed(profile.parity - 1, 2);
  const judged = states();
  const storms = [
    ...policies(profile, judged).map((policy) => storm(ruled, policy)),
    storm(tight, tightPolicy(profile)),
  ];
  const expected = lossWhenProvidersFail(
    PROVIDERS,
    Math.round(PROVIDERS * share),
    totalOf(profile),
    profile.parity,
  );
  const found = { ruled: unreadable(ruled.hits, profile), free: unreadable(free.hits, profile) };
  const spent = ruled.hits[profile.parity]!;
  return {
    id: 'blackout',
    title: 'A region goes dark for six hours',
    method:
      `The largest of ten regions, with ${percent(share)} of all capacity, is off for ${OUTAGE_HOURS} h. ${count.toLocaleString('en-US')} chunks of 10+6 placed with the domain rule (at most 6 ` +
      'shards in a region, site or operator) and as many without. What repair does is decided by the product’s classification, as if all chunks were examined all the time ' +
      `(the worst case: in life reads and scrubs find them bit by bit), within ${REPAIR_BITS_PER_PROVIDER / 1e6} Mbit/s a provider. The outage destroys nothing, and what is moved is moved for nothing.`,
    tables: [
      {
        title: 'Unreadable while the region is off',
        columns: ['', 'unreadable share', 'of 50 PB in chunks', 'share without a shard to spare'],
        rows: [
          ['with the domain rule', found.ruled / count, found.ruled * ruled.sample.weight, spent / count],
          [
            'without',
            found.free / count,
            found.free * free.sample.weight,
            free.hits[profile.parity]! / count,
          ],
        ],
      },
      {
        title: 'Repair that the outage sets off',
        columns: ['policy', 'chunks repaired', 'PB moved', 'PB wanted', 'peak Gbit/s'],
        rows: storms.map(({ policy, movedBytes, wantedBytes, repairedChunks, traffic }) => [
          policy.name,
          Math.round(repairedChunks),
          movedBytes / 1e15,
          wantedBytes / 1e15,
          Math.max(...traffic.map(([, gigabits]) => gigabits)),
        ]),
      },
      {
        title: 'The oracle on a provider of the region',
        columns: ['from hour', 'state'],
        rows: changes(judged),
      },
    ],
    checks: checksOf(found, { count, expected }, storms, judged),
    charts: [
      {
        file: 'blackout',
        title: 'Repair traffic while a region is off (hours 0 to 6) and after',
        svg: lineChart({
          title: 'Repair traffic set off by a six-hour outage of a region',
          x: { label: 'hours', min: -1, max: 36 },
          y: { label: 'Gbit/s in all', min: 0 },
          series: storms.map(({ policy, traffic }, number) => ({
            name: policy.name,
            points: traffic.filter(([hours]) => hours <= 36),
            dashed: number % 2 === 1,
          })),
        }),
      },
    ],
  };
}

function changes(judged: readonly ProviderState[]): [number, string][] {
  return judged.flatMap((state, hour): [number, string][] =>
    state === judged[hour - 1] ? [] : [[hour, state]],
  );
}

function checksOf(
  found: { readonly ruled: number; readonly free: number },
  { count, expected }: { readonly count: number; readonly expected: number },
  storms: readonly Storm[],
  judged: readonly ProviderState[],
): Check[] {
  const wanted = (index: number): number => storms[index]!.wantedBytes / storms[0]!.wantedBytes;
  const suspendedHours = judged.filter((state) => state === 'suspended').length;
  const graceHours = SUSPENDED_GRACE_MS / HOUR_MS;
  const avoided = (index: number): Check => ({
    what: `repair storm avoided: ${storms[index]!.policy.name}`,
    expected: 'at most 1 % of what is wanted without grace',
    measured: percent(wanted(index)),
    rule: 'of the bytes that repair wants to move',
    agrees: wanted(index) <= 0.01,
    ...(wanted(index) > 0.01 && { note: stormNote(storms[index]!) }),
  });
  return [
    {
      what: 'unreadable chunks with the domain rule',
      expected: 0,
      measured: found.ruled,
      rule: 'none',
      agrees: found.ruled === 0,
    },
    {
      what: 'unreadable share without the domain rule',
      expected,
      measured: found.free / count,
      rule: 'within a factor of 2 of the hypergeometric chance: copysets make chunks alike, and operators keep to regions',
      agrees: found.free / count > expected / 2 && found.free / count < 2 * expected,
    },
    ...[2, 3, 4, 5].map(avoided),
    {
      what: 'a suspended region is waited for like one that is not, and is not moved away once it is back',
      expected: short(storms[3]!.movedBytes / 1e15),
      measured: short(storms[4]!.movedBytes / 1e15),
      rule: 'PB moved with a grace of 12 h: no more with the oracle’s states than without',
      agrees: storms[4]!.movedBytes <= storms[3]!.movedBytes,
    },
    {
      what: 'no evacuation of the region: suspended for less than the evacuation grace',
      expected: `less than ${graceHours} h`,
      measured: `${suspendedHours} h`,
      rule: 'hours that the oracle keeps a provider suspended that was down for six',
      agrees: suspendedHours < graceHours,
      ...(suspendedHours >= graceHours && {
        note: 'Everything is moved away from a provider that has been back for long: its way back is slower than the grace.',
      }),
    },
  ];
}

function stormNote({ policy, repairedChunks }: Storm): string {
  const chunks = `${short(Math.round(repairedChunks))} chunks are rebuilt for nothing.`;
  return policy.graceHours < OUTAGE_HOURS
    ? `The grace ends before the outage does: ${chunks}`
    : `A chunk with no shard to spare is not waited for, and the rule lets a region hold all m that may be lost: ${chunks}`;
}

export const blackout: Run = { name: 'regional blackout', seconds: 14, go };
