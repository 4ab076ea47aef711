import { formatProfile, type Profile } from '#erasure';
import { seededRandom, type Random } from '#placement';
import { anyLoss, lossWhenProvidersFail } from '../../placement/durability/formulas.ts';
import { pick } from './chance.ts';
import { placeSample, type ChunkSample } from './chunkSample.ts';
import { percent } from './format.ts';
import { lineChart } from './svg.ts';
import type { Check, Run, RunContext, RunResult } from './types.ts';
import { CHUNKS, PROFILES, createWorld, totalOf, type World } from './world.ts';

const PROVIDERS = 5_000;
const FAILING = 0.01;
/** Three copies, as in Cidon et al., USENIX ATC 2013: 5,000 nodes, 1 % fail, 99.99 % → 0.15 % with scatter width 2. */
const THREE_COPIES: Profile = { data: 1, parity: 2 };
/** Chunks a node in their RAMCloud setting: 8,000 on each, three copies of each chunk. */
const COPIES_EACH = 8_000;
const CIDON = { random: 0.9999, copysets: 0.0015 };

interface Sets {
  readonly profile: Profile;
  /** Distinct sets of providers, their members' numbers one after another. */
  readonly members: Uint16Array;
  readonly count: number;
  readonly scatter: number;
  /** Draws in the last tenth of the sample that met a set never seen: near 0, all are known. */
  readonly fresh: number;
}

function distinctSets({ profile, count, places }: ChunkSample): Sets {
  const size = totalOf(profile);
  const seen = new Set<string>();
  const members: number[] = [];
  let fresh = 0;
  for (let chunk = 0; chunk < count; chunk++) {
    const set = places.slice(chunk * size, (chunk + 1) * size).sort();
    const key = set.join();
    if (seen.has(key)) continue;
    seen.add(key);
    members.push(...set);
    if (chunk >= 0.9 * count) fresh++;
  }
  const peers = Array.from({ length: PROVIDERS }, () => new Set<number>());
  for (let at = 0; at < members.length; at += size) {
    const set = members.slice(at, at + size);
    for (const member of set) for (const other of set) if (other !== member) peers[member]!.add(other);
  }
  const scatter = peers.reduce((sum, { size }) => sum + size, 0) / PROVIDERS;
  return {
    profile,
    members: Uint16Array.from(members),
    count: seen.size,
    scatter,
    fresh: fresh / (0.1 * count),
  };
}

/** Share of trials in which some set loses more than m of its members. */
function lossInTrials({ profile, members }: Sets, failing: number, trials: number, random: Random): number {
  const size = totalOf(profile);
  const failed = new Uint8Array(PROVIDERS);
  let lost = 0;
  for (let trial = 0; trial < trials; trial++) {
    const hit: number[] = [];
    while (hit.length < failing) {
      const provider = pick(random, PROVIDERS);
      if (failed[provider] === 1) continue;
      failed[provider] = 1;
      hit.push(provider);
    }
    for (let at = 0; at < members.length; at += size) {
      let dead = 0;
      for (let place = at; place < at + size; place++) dead += failed[members[place]!]!;
      if (dead <= profile.parity) continue;
      lost++;
      break;
    }
    for (const provider of hit) failed[provider] = 0;
  }
  return lost / trials;
}

interface Row {
  readonly name: string;
  readonly chunks: number;
  readonly sets: Sets;
  readonly random: number;
  readonly withSets: number;
  readonly measured: number;
}

const trialsOf = ({ quick }: RunContext): number => (quick ? 2_000 : 15_000);

function measure(world: World, profile: Profile, chunks: number, name: string, context: RunContext): Row {
  const random = seededRandom(context.seed + 4 + profile.data);
  const sets = distinctSets(placeSample(world, profile, context.quick ? 20_000 : 400_000, random));
  const failing = PROVIDERS * FAILING;
  const one = lossWhenProvidersFail(PROVIDERS, failing, totalOf(profile), profile.parity);
  return {
    name,
    chunks,
    sets,
    random: anyLoss(one, chunks),
    withSets: anyLoss(one, sets.count),
    measured: lossInTrials(sets, failing, trialsOf(context), random),
  };
}

/** Over how many fail together, for the three copies: the curve of the paper. */
function curves(row: Row, context: RunContext) {
  const random = seededRandom(context.seed + 5);
  const shares = [0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05];
  const { profile } = row.sets;
  const chance = (share: number, sets: number): number =>
    anyLoss(
      lossWhenProvidersFail(PROVIDERS, Math.round(PROVIDERS * share), totalOf(profile), profile.parity),
      sets,
    );
  return lineChart({
    title: 'Any chunk lost when providers fail together (three copies)',
    x: { label: '% of 5,000 providers that fail at once', min: 0 },
    y: { label: 'probability', log: true, max: 1 },
    series: [
      {
        name: 'without copysets, formula',
        dashed: true,
        points: shares.map((share) => [100 * share, chance(share, row.chunks)]),
      },
      {
        name: 'with copysets, formula',
        dashed: true,
        points: shares.map((share) => [100 * share, chance(share, row.sets.count)]),
      },
      {
        name: 'with copysets, trials',
        points: shares.map((share) => [
          100 * share,
          lossInTrials(row.sets, Math.round(PROVIDERS * share), context.quick ? 300 : 4_000, random),
        ]),
      },
    ],
  });
}

function checksOf(rows: readonly Row[], trials: number): Check[] {
  const [three] = rows;
  const bound = (row: Row): number =>
    4 * Math.sqrt((row.withSets * (1 - row.withSets)) / trials) + 1 / trials;
  return [
    {
      what: 'three copies without copysets, as Cidon et al.',
      expected: percent(CIDON.random, 4),
      measured: percent(three!.random, 4),
      rule: 'at least 99.9 %',
      agrees: three!.random > 0.999,
    },
    {
      what: 'three copies with copysets, as Cidon et al.',
      expected: percent(CIDON.copysets),
      measured: percent(three!.measured),
      rule: 'the same order of magnitude: within a factor of 3',
      agrees: three!.measured < 3 * CIDON.copysets && three!.measured > CIDON.copysets / 3,
      note: `Their 0.15 % is one permutation of the nodes, 1,667 sets; here every provider is in at least two groups, ${three!.sets.count} sets, and the chance is as much larger.`,
    },
    ...rows.map((row): Check => ({
      what: `${row.name}: trials against sets × hypergeometric`,
      expected: row.withSets,
      measured: row.measured,
      rule: 'within four standard deviations',
      agrees: Math.abs(row.measured - row.withSets) <= bound(row),
      ...(row.sets.fresh > 0 && {
        note: `${percent(row.sets.fresh)} of the last tenth of the draws met a set never seen before: there are more than were counted.`,
      }),
    })),
  ];
}

function go(context: RunContext): RunResult {
  const world = createWorld(PROVIDERS, context.seed);
  const equal = createWorld(PROVIDERS, context.seed, 'equal');
  const rows: Row[] = [];
  const take = (row: Row): void => {
    rows.push(row);
    context.progress(rows.length / (PROFILES.length + 2));
  };
  take(measure(equal, THREE_COPIES, (PROVIDERS * COPIES_EACH) / 3, 'three copies, equal nodes', context));
  for (const profile of PROFILES) take(measure(world, profile, CHUNKS, formatProfile(profile), context));
  return {
    id: 'copysets',
    title: 'Copysets: many providers failing at once',
    method:
      `1 % of ${PROVIDERS} providers fail at the same moment, drawn at random. Without copysets every chunk has a set of its own; with them, the sets are those that ` +
      'chooseProviders made for a large sample of chunks. Both by the hypergeometric chance of one set; with copysets also by trials over the very sets.',
    tables: [
      {
        title: 'Any chunk lost when 1 % fail at once',
        columns: [
          'profile',
          'chunks',
          'sets with copysets',
          'peers of a provider',
          'without copysets',
          'with, formula',
          'with, trials',
        ],
        rows: rows.map(({ name, chunks, sets, random, withSets, measured }) => [
          name,
          Math.round(chunks),
          sets.count,
          sets.scatter,
          random,
          withSets,
          measured,
        ]),
      },
    ],
    checks: checksOf(rows, trialsOf(context)),
    charts: [
      {
        file: 'copysets',
        title: 'Loss when providers fail together, with and without copysets',
        svg: curves(rows[0]!, context),
      },
    ],
  };
}

export const copysetLoss: Run = { name: 'copysets', seconds: 35, go };
