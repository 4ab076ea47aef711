import { lineChart } from '../charts.ts';
import type { Driver } from './driver.ts';
import { BUCKET } from './measure.ts';
import { watch } from './processes.ts';
import type { Usage } from './processes.ts';
import { say, sayProgress } from './progress.ts';
import { digits } from './report.ts';
import type { Side } from './side.ts';
import { FOLDER_KEYS } from './types.ts';
import type { Load, ObjectSet, Outcome, Task } from './types.ts';

/** Clients of everything but filling. */
const CLIENTS = 16;
/** Else the first point would pay for what is compiled once. */
const WARM_UP_SECONDS = 2;
const OBJECT_BYTES = 1024;
const PREFIX = 'grown/';
const OPERATIONS = ['fill', 'put', 'get', 'head', 'list'] as const;
type Operation = (typeof OPERATIONS)[number];

export interface Work {
  readonly driver: Driver;
  readonly side: Side;
  readonly seconds: number;
}

export interface Cost extends Outcome {
  /** Microseconds of the server's CPU per operation. */
  readonly cpuUs: number;
  readonly usage: Usage;
}

/** Costs with so many objects in the bucket. */
export interface Point {
  readonly objects: number;
  readonly costs: Readonly<Record<Operation, Cost>>;
}

/** Runs one task and counts what it costs the server. @throws Error when an operation fails */
export async function measured({ driver, side }: Work, task: Task, what: string): Promise<Cost> {
  if (side.watched === undefined) throw new Error('the server’s process is not known');
  const watched = side.watched;
  let meter = watch(watched);
  const outcome = await driver.run(side.endpoint, BUCKET, task, {
    began: () => {
      meter.stop();
      meter = watch(watched);
    },
    progress: sayProgress(what),
  });
  const usage = meter.stop();
  if (outcome.failed > 0) throw new Error(`${what}: ${outcome.failed} failed, ${outcome.failure}`);
  return { ...outcome, usage, cpuUs: (usage.cpuSeconds * 1e6) / Math.max(1, outcome.operations) };
}

/** Fills the bucket to one number after the other and measures at each. */
export async function growth(
  work: Work & { readonly points: readonly number[]; readonly concurrency: number },
): Promise<Point[]> {
  const result: Point[] = [];
  let from = 0;
  for (const count of work.points) {
    const objects: ObjectSet = { prefix: PREFIX, count, size: OBJECT_BYTES };
    const task = { kind: 'fill', objects, from, concurrency: work.concurrency, folders: false } as const;
    const fill = await measured(work, task, `filling to ${count}`);
    from = count;
    const load = async (what: string, load: Load): Promise<Cost> => {
      const task = { kind: 'load', load, concurrency: CLIENTS } as const;
      // Filling has warmed up PUT, and its keys are to be new.
      if (what !== 'put') await measured(work, { ...task, seconds: WARM_UP_SECONDS }, what);
      return await measured(work, { ...task, seconds: work.seconds }, what);
    };
    const prefix = `new/${count}/`;
    const costs = {
      fill,
      put: await load('put', { kind: 'put', prefix, size: OBJECT_BYTES, bytesMax: Infinity }),
      get: await load('get', { kind: 'get', objects }),
      head: await load('head', { kind: 'head', objects }),
      list: await load('list', { kind: 'firstPage', prefix: PREFIX, keys: count }),
    };
    await work.driver.run(work.side.endpoint, BUCKET, { kind: 'purge', prefix });
    result.push({ objects: count, costs });
    say(
      `${count} objects: ${OPERATIONS.map((each) => `${each} ${digits(costs[each].cpuUs)} µs`).join(', ')}`,
    );
  }
  return result;
}

export function pointTable(points: readonly Point[]): string[] {
  const rows = points.flatMap(({ objects, costs }) =>
    OPERATIONS.map((operation) => {
      const { cpuUs, operations, seconds, p50Ms, p99Ms, usage } = costs[operation];
      const rss = `${Math.round(usage.peakRssBytes / 2 ** 20)} MiB`;
      const anonymous = `${Math.round(usage.peakAnonymousBytes / 2 ** 20)} MiB`;
      const cells = [operations / seconds, p50Ms, p99Ms, cpuUs].map(digits);
      return `| ${[objects.toLocaleString('en-US'), operation, ...cells, rss, anonymous].join(' | ')} |`;
    }),
  );
  return [
    `Objects of ${OBJECT_BYTES} bytes in one bucket. Fill: PUTs of the objects themselves; put, get, head, list: ${CLIENTS} clients once they are there;`,
    `a list is the first page of ${FOLDER_KEYS.toLocaleString('en-US')} keys.`,
    '',
    '| objects | operation | op/s | p50 ms | p99 ms | server CPU µs/op | peak RSS | without files |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

export function scaleCharts(points: readonly Point[]): Record<string, string> {
  const chart = (title: string, unit: string, value: (cost: Cost) => number): string =>
    lineChart({
      title,
      x: { label: 'objects in the bucket', log: true },
      y: { label: unit, log: true },
      series: OPERATIONS.map((operation) => ({
        name: operation,
        dots: true,
        points: points.map(({ objects, costs }) => [objects, value(costs[operation])] as const),
      })),
    });
  return {
    'scale-cpu.svg': chart('Server CPU as the bucket grows', 'µs of CPU per operation', ({ cpuUs }) => cpuUs),
    'scale-p99.svg': chart('99th percentile as the bucket grows', 'ms', ({ p99Ms }) => p99Ms),
  };
}
