import { chooseProviders, seededRandom } from '#placement';
import { nextSeed } from './chance.ts';
import { percent } from './format.ts';
import { quantileOf, sortedCopy } from './statistics.ts';
import { barChart } from './svg.ts';
import type { Run, RunContext, RunResult } from './types.ts';
import { MAIN_PROFILE, createWorld, numberOf, totalOf } from './world.ts';

const PROVIDERS = 5_000;
const TARGET = 0.05;
const BIN = 0.01;

function go(context: RunContext): RunResult {
  const chunks = context.quick ? 40_000 : 3_000_000;
  const world = createWorld(PROVIDERS, context.seed);
  const random = seededRandom(context.seed + 3);
  const shards = new Float64Array(PROVIDERS);
  const total = totalOf(MAIN_PROFILE);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const seed = nextSeed(random);
    const { candidates } = world;
    const { chosen } = chooseProviders({ candidates, count: total, perDomainMax: MAIN_PROFILE.parity, seed });
    const numbers = chosen.map(numberOf);
    for (const number of numbers) shards[number]! += 1;
    world.noteLoad(numbers);
    if (chunk % 4096 === 0) context.progress(chunk / chunks);
  }
  const weight = world.weights.reduce((sum, each) => sum + each, 0);
  const fair = world.weights.map((each) => (each / weight) * chunks * total);
  const ratios = sortedCopy(shards.map((found, at) => found / fair[at]!));
  const within = ratios.filter((ratio) => Math.abs(ratio - 1) <= TARGET).length / PROVIDERS;
  // What pure chance would leave: a Poisson count's standard deviation, and how many it would put within the target.
  const noise = fair.reduce((sum, each) => sum + 1 / Math.sqrt(each), 0) / PROVIDERS;
  const spread = Math.sqrt(ratios.reduce((sum, ratio) => sum + (ratio - 1) ** 2, 0) / PROVIDERS);
  return {
    id: 'balance',
    title: 'Load against weight',
    method:
      `${chunks.toLocaleString('en-US')} chunks of 10+6 placed on ${PROVIDERS} providers of heavy-tailed capacity with chooseProviders, the domain rule and copysets on, ` +
      'each provider’s load fading by half in 2,000 chunks. The ratio is shards received over the share that the weight asks for.',
    tables: [
      {
        title: 'Shards received / fair share',
        columns: [
          'least',
          '1 %',
          'median',
          '99 %',
          'most',
          'standard deviation',
          'of chance alone',
          `within ${percent(TARGET)}`,
        ],
        rows: [
          [
            ratios[0]!,
            quantileOf(ratios, 0.01),
            quantileOf(ratios, 0.5),
            quantileOf(ratios, 0.99),
            ratios.at(-1)!,
            spread,
            noise,
            percent(within, 4),
          ],
        ],
      },
    ],
    checks: [
      {
        what: 'load is in proportion to weight',
        expected: `all providers within ${percent(TARGET)}`,
        measured: percent(within, 4),
        rule: 'share of the providers',
        agrees: within === 1,
        ...(within < 1 && {
          note:
            `Chance alone would leave a standard deviation of ${percent(noise)} in a sample of this size; copysets give a provider a whole number of groups, ` +
            'rounded to its weight, and the domain rule keeps some from where they would fit.',
        }),
      },
    ],
    charts: [
      {
        file: 'balance',
        title: 'Load over weight of 5,000 providers',
        svg: barChart({
          title: 'Shards received over fair share, 5,000 providers',
          x: { label: 'ratio' },
          y: { label: 'providers' },
          bars: histogram(ratios),
        }),
      },
    ],
  };
}

function histogram(sorted: readonly number[]): { label: string; value: number }[] {
  const first = Math.floor(Math.max(0.7, sorted[0]!) / BIN);
  const last = Math.floor(Math.min(1.3, sorted.at(-1)!) / BIN);
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const [low, high] = [(first + at) * BIN, (first + at + 1) * BIN];
    return { label: low.toFixed(2), value: sorted.filter((ratio) => ratio >= low && ratio < high).length };
  });
}

export const balance: Run = { name: 'load balance', seconds: 75, go };
