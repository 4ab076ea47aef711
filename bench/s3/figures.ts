import { lineChart, ratioChart } from '../charts.ts';
import type { Comparison } from './comparison.ts';
import type { Figures, Result } from './measure.ts';
import type { Workload } from './options.ts';

interface Curve {
  readonly file: string;
  readonly title: string;
  readonly unit: string;
  readonly value: (figures: Figures) => number | undefined;
}

const CURVES: readonly Curve[] = [
  { file: 'rate', title: 'operations', unit: 'operations/s', value: (each) => each.operationsPerSecond },
  { file: 'cpu', title: 'server CPU', unit: 'µs of CPU per operation', value: (each) => each.cpuUs },
  { file: 'p99', title: '99th percentile', unit: 'ms', value: (each) => each.p99Ms },
];
const BY_SIZE: readonly Workload[] = ['put', 'get', 'degraded'];

/** Charts over sizes by name of the file: of every workload that has several. */
export function sizeCharts(prefix: string, results: readonly Result[]): Record<string, string> {
  const charts: Record<string, string> = {};
  for (const workload of BY_SIZE) {
    const own = results.filter((result) => result.case.workload === workload);
    if (new Set(own.map((result) => result.case.size)).size < 2) continue;
    for (const { file, title, unit, value } of CURVES) {
      charts[`${prefix}-${workload}-${file}.svg`] = lineChart({
        title: `${workload.toUpperCase()} by size: ${title}`,
        x: { label: 'KiB of the object', log: true },
        y: { label: unit, log: true },
        series: seriesOf(own, value),
      });
    }
  }
  return charts;
}

function seriesOf(results: readonly Result[], value: Curve['value']) {
  const names = [...new Set(results.flatMap(({ figures }) => Object.keys(figures)))];
  const clients = [...new Set(results.map((result) => result.case.concurrency))];
  return names.flatMap((name, side) =>
    clients.map((concurrency) => ({
      name: `${name} ×${concurrency}`,
      dots: true,
      dashed: side > 0,
      points: results
        .filter((result) => result.case.concurrency === concurrency)
        .map(({ case: { size = 0 }, figures }) => [size / 1024, value(figures[name]!) ?? 0] as const),
    })),
  );
}

/** Ratios of speed and of CPU, by name of the file. */
export function comparisonCharts(
  prefix: string,
  peer: string,
  comparisons: readonly Comparison[],
): Record<string, string> {
  const chart = (title: string, ratio: 'speed' | 'cpu'): string =>
    ratioChart(
      `Shardway against ${peer}: ${title}`,
      comparisons.flatMap((each) => {
        const { name: label, target } = each;
        const known = each[ratio];
        return known === undefined ? [] : [{ label, ratio: known.median, target }];
      }),
    );
  return {
    [`${prefix}.svg`]: chart('operations per second', 'speed'),
    [`${prefix}-cpu.svg`]: chart('server CPU per operation', 'cpu'),
  };
}
