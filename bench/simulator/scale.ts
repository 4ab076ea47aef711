import { formatProfile, type Profile } from '#erasure';
import { chooseProviders, seededRandom } from '#placement';
import {
  anyLoss,
  chunkLossPerYear,
  meanYearsToLoss,
  repairThreshold,
  repairTrafficPerYear,
} from '../../placement/durability/formulas.ts';
import { planRepair } from '../../placement/repair/repairPlan.ts';
import type { ChunkRecord, ProviderHandle } from '../../placement/types.ts';
import { nextSeed } from './chance.ts';
import { gigabits, PROVIDERS } from './churn.ts';
import { short } from './format.ts';
import { quantileOf, sortedCopy } from './statistics.ts';
import { lineChart } from './svg.ts';
import type { Run, RunContext, RunResult, Table } from './types.ts';
import {
  CHUNKS,
  CHUNK_BYTES,
  MAIN_PROFILE,
  PROFILES,
  USER_BYTES,
  createWorld,
  numberOf,
  totalOf,
  type World,
} from './world.ts';

const MODELS = [
  { lossRate: 0.02, repairHours: 24 },
  { lossRate: 0.02, repairHours: 6 },
  { lossRate: 0.1, repairHours: 72 },
];

function figures(): Table {
  return {
    title: 'By the formulas, at 50 PB',
    columns: [
      'profile',
      'shard losses a year, repair',
      'repair at',
      'loss of a chunk a year',
      'chunks lost a year of 50 PB',
      'any loss a year',
      'bytes lost a year',
      'repair Gbit/s in all',
      'Mbit/s a provider',
    ],
    rows: PROFILES.flatMap((profile) =>
      MODELS.map((model) => {
        const repairAt = repairThreshold(profile, model);
        const loss = chunkLossPerYear(profile, model, repairAt);
        const traffic = gigabits(repairTrafficPerYear(profile, model.lossRate, repairAt) * USER_BYTES);
        return [
          formatProfile(profile),
          `${100 * model.lossRate} %, ${model.repairHours} h`,
          repairAt,
          loss,
          loss * CHUNKS,
          anyLoss(loss, CHUNKS),
          loss * USER_BYTES,
          traffic,
          (traffic * 1000) / PROVIDERS,
        ];
      }),
    ),
  };
}

/** Median microseconds; of the machine, and so no part of the document. */
export function timings({ seed, quick }: Pick<RunContext, 'seed' | 'quick'>): Table {
  const world = createWorld(PROVIDERS, seed);
  const random = seededRandom(seed + 6);
  const [choices, plans] = quick ? [2_000, 50] : [20_000, 300];
  return {
    title: `Microseconds at ${PROVIDERS} providers, on this machine`,
    columns: ['', 'median', 'p99'],
    rows: [
      ...PROFILES.map((profile) => [
        `choose ${formatProfile(profile)}`,
        ...choosing(world, profile, choices, random),
      ]),
      [`plan a repair of one shard, ${formatProfile(MAIN_PROFILE)}`, ...planning(world, plans, random)],
    ],
  };
}

type Source = ReturnType<typeof seededRandom>;

function choosing(world: World, profile: Profile, choices: number, random: Source): [number, number] {
  const { candidates } = world;
  return medianAndTail(choices, () => {
    const request = {
      candidates,
      count: totalOf(profile),
      perDomainMax: profile.parity,
      seed: nextSeed(random),
    };
    return () => world.noteLoad(chooseProviders(request).chosen.map(numberOf));
  });
}

function planning(world: World, plans: number, random: Source): [number, number] {
  const handles = new Map(world.providers.map((info) => [info.id, { info } as ProviderHandle]));
  const providers = { get: (id: string) => handles.get(id) };
  const { candidates } = world;
  const total = totalOf(MAIN_PROFILE);
  return medianAndTail(plans, () => {
    const seed = nextSeed(random);
    const { chosen } = chooseProviders({ candidates, count: total, perDomainMax: MAIN_PROFILE.parity, seed });
    const record: ChunkRecord = {
      id: seed.toString(16).padStart(32, '0'),
      profile: MAIN_PROFILE,
      length: CHUNK_BYTES,
      cell: 1,
      generation: 1,
      shards: chosen.map(({ id }) => ({ provider: id, root: new Uint8Array(32) })),
    };
    const health = chosen.map((_, index) => (index === 0 ? ('missing' as const) : ('healthy' as const)));
    const request = {
      record,
      health,
      lost: [0],
      providers,
      candidates,
      choose: chooseProviders,
      refused: new Set<string>(),
    };
    return () => planRepair(request);
  });
}

/** @param prepare makes what is not timed, and gives what is */
function medianAndTail(count: number, prepare: () => () => unknown): [number, number] {
  const times: number[] = [];
  for (let at = -Math.ceil(count / 4); at < count; at++) {
    const work = prepare();
    const begun = process.hrtime.bigint();
    work();
    if (at >= 0) times.push(Number(process.hrtime.bigint() - begun) / 1000);
  }
  const sorted = sortedCopy(times);
  return [quantileOf(sorted, 0.5), quantileOf(sorted, 0.99)];
}

function lossChart(): string {
  const hours = Array.from({ length: 30 }, (_, at) => 2 * 84 ** (at / 29));
  return lineChart({
    title: 'Chunks lost a year of 50 PB at 2 % shard losses a year',
    x: { label: 'hours to repair', log: true },
    y: { label: 'expected chunks lost a year', log: true },
    series: PROFILES.flatMap((profile) => {
      const planned = repairThreshold(profile, MODELS[0]!);
      const atOnce = totalOf(profile) - 1;
      return [...new Set([planned, atOnce])].map((repairAt) => ({
        name: `${formatProfile(profile)} repaired at ${repairAt}`,
        dashed: repairAt === atOnce && repairAt !== planned,
        points: hours.map(
          (repairHours) =>
            [
              repairHours,
              CHUNKS / meanYearsToLoss(profile, { lossRate: 0.02, repairHours }, repairAt),
            ] as const,
        ),
      }));
    }),
  });
}

function go(): RunResult {
  const table = figures();
  return {
    id: 'scale',
    title: 'What follows for 50 PB',
    method: `${short(CHUNKS)} chunks of 64 MiB on ${PROVIDERS} providers, at the thresholds that repairThreshold chooses for each profile, loss rate and repair time (predicted loss of a chunk at most 1e-12 a year).`,
    tables: [table],
    checks: PROFILES.map((profile) => {
      const loss = chunkLossPerYear(profile, MODELS[0]!);
      return {
        what: `${formatProfile(profile)} at 2 %, 24 h: predicted loss of a chunk a year`,
        expected: 'at most 1e-12',
        measured: loss,
        rule: 'the threshold exists for which it is',
        agrees: loss <= 1e-12,
        ...(loss > 1e-12 && {
          note: `No threshold is enough: ${short(loss * CHUNKS)} chunks of 50 PB would be lost a year. Not a profile for this scale.`,
        }),
      };
    }),
    charts: [
      {
        file: 'scale-loss',
        title: 'Chunks of 50 PB lost a year against the time to repair',
        svg: lossChart(),
      },
    ],
  };
}

export const scale: Run = { name: 'figures at 50 PB', seconds: 2, go };
