/** Implementations of one thing against each other, on one thread of this process. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './machine.ts';

export const ROUNDS = 9;
/** Each side of a round runs at least this long. */
const ROUND_MS = 25;

export interface Contest {
  readonly work: string;
  /** Bytes that one call handles. */
  readonly bytes: number;
  /** The sides, by name; the ratio is of the first to the last. */
  readonly sides: Readonly<Record<string, () => unknown>>;
}

export interface Result {
  readonly work: string;
  readonly GBps: Readonly<Record<string, number>>;
  readonly ratio: number;
}

/** Ms of some calls. */
export type Stopwatch = (call: () => unknown, calls: number) => number;

export const elapsedMs: Stopwatch = (call, calls) => {
  const start = performance.now();
  for (let index = 0; index < calls; index++) call();
  return performance.now() - start;
};

/** Processor time: other work on the machine does not count. */
export const spentMs: Stopwatch = (call, calls) => {
  const start = process.cpuUsage();
  for (let index = 0; index < calls; index++) call();
  const { user, system } = process.cpuUsage(start);
  return Math.max(user + system, 1) / 1000;
};

/** Medians over rounds in which the sides take turns, so that a slow moment of the machine meets all of them. */
export function compete({ work, bytes, sides }: Contest, took: Stopwatch): Result {
  const runs = Object.entries(sides).map(([name, call]) => {
    return { name, call, calls: callsPerRound(call, took), rates: [] as number[] };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const { call, calls, rates } of runs) rates.push((calls * bytes) / 1e6 / took(call, calls));
  }
  const medians = runs.map(({ rates }) => median(rates));
  const GBps = Object.fromEntries(runs.map(({ name }, index) => [name, medians[index]!]));
  return { work, GBps, ratio: medians[0]! / medians[medians.length - 1]! };
}

/** Warms a call up too: code is compiled in steps while it runs. */
export function callsPerRound(call: () => unknown, took: Stopwatch): number {
  for (let calls = 1, warm = 0; ; calls *= 2) {
    const ms = took(call, calls);
    warm += ms;
    if (ms >= ROUND_MS / 2 && warm >= 12 * ROUND_MS) return Math.ceil((calls * ROUND_MS) / ms);
  }
}

/** The command line of a benchmark that is told nothing but where its results go; undefined when help was asked for. */
export function readFolder(): string | undefined {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', default: false },
      out: { type: 'string', default: resolve(import.meta.dirname, 'results') },
    },
  });
  return values.help ? undefined : resolve(values.out);
}

/** @param digits of the ratio behind its point */
export function resultTable(title: string, results: readonly Result[], digits: number): string {
  const names = Object.keys(results[0]?.GBps ?? {});
  const rows = results.map(({ work, GBps, ratio }) => {
    const rates = names.map((name) => GBps[name]!.toFixed(2));
    return `| ${[work, ...rates, ratio.toFixed(digits)].join(' | ')} |`;
  });
  return [
    `## ${title}`,
    '',
    `| ${['work', ...names, 'ratio'].join(' | ')} |`,
    `|${'---|'.repeat(names.length + 2)}`,
    ...rows,
    '',
  ].join('\n');
}
