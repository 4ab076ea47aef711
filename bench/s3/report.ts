import { fileSystemOf, machineLine } from '../machine.ts';
import type { Comparison, Ratio } from './comparison.ts';
import { verdict } from './comparison.ts';
import type { Figures, Result } from './measure.ts';
import { formatBytes } from './options.ts';
import type { BenchOptions } from './options.ts';
import type { Suite } from './suite.ts';

/** What was run, on what, and what an answer promises. */
export function heading(title: string, command: string, suite: Suite, options: BenchOptions): string[] {
  const { rounds, seconds, dir } = options;
  return [
    `# ${title}`,
    '',
    `\`npm run ${command}${options.said === '' ? '' : ` -- ${options.said}`}\``,
    '',
    `${machineLine}; data on ${fileSystemOf(dir)}. The load generator, a process of its own, shares the cores.`,
    `Medians of ${rounds} round${rounds === 1 ? '' : 's'}, in which the servers take turns, of ${seconds} s each; lists and deletes go once around.`,
    'Bodies are random and unsigned (UNSIGNED-PAYLOAD); what is read is hot in the page cache; every status and length is checked, contents in samples.',
    '',
    '| server | version | PUT is answered when |',
    '|---|---|---|',
    ...suite.sides.map(({ name, version, sync }) => `| ${name} | ${version} | ${sync} |`),
    '',
  ];
}

/** One row per case and side. */
export function figureTable(results: readonly Result[]): string[] {
  const head =
    'work|server|op/s|MB/s|keys/s|p50 ms|p99 ms|server CPU µs/op|peak RSS|without files|failed|client';
  const columns = head.split('|');
  const rows = results.flatMap(({ case: { name, unit }, figures }) =>
    Object.entries(figures).map(([side, each]) => row([name, side, ...cells(each, unit)])),
  );
  return [row(columns), `|${'---|'.repeat(columns.length)}`, ...rows, '', ...failures(results)];
}

function cells(figures: Figures, unit: Result['case']['unit']): string[] {
  const { cpuUs, peakRssBytes, peakAnonymousBytes, failed, clientShare } = figures;
  const bytes = (value: number | undefined): string => (value === undefined ? '' : formatMiB(value));
  return [
    digits(figures.operationsPerSecond),
    unit === 'bytes' ? digits(figures.MBps) : '',
    unit === 'keys' ? digits(figures.keysPerSecond) : '',
    digits(figures.p50Ms),
    digits(figures.p99Ms),
    cpuUs === undefined ? '' : digits(cpuUs),
    bytes(peakRssBytes),
    bytes(peakAnonymousBytes),
    String(failed),
    `${(clientShare * 100).toFixed(0)} %`,
  ];
}

function failures(results: readonly Result[]): string[] {
  const lines = results.flatMap(({ case: { name }, figures }) =>
    Object.entries(figures)
      .filter(([, { failed }]) => failed > 0)
      .map(
        ([side, { failed, failure }]) => `- ${name}, ${side}: ${failed} failed, the first with “${failure}”.`,
      ),
  );
  return lines.length === 0 ? [] : [...lines, ''];
}

/** Ratios of ours to the peer's, beside their targets. */
export function comparisonTable(comparisons: readonly Comparison[]): string[] {
  const columns = 'work|speed|rounds|server CPU|p50|p99|memory|target|by speed|by CPU'.split('|');
  const rows = comparisons.map(({ name, speed, cpu, p50, p99, memory, target }) =>
    row([
      name,
      times(speed),
      speed === undefined ? '' : `${digits(speed.least)} – ${digits(speed.most)}`,
      times(cpu),
      times(p50),
      times(p99),
      times(memory),
      target === undefined ? '' : `${target}x`,
      verdict(speed, target),
      verdict(cpu, target),
    ]),
  );
  return [
    'Ours as a multiple of the peer’s: above 1 ours is faster, takes less CPU, less time, less memory. Medians of the rounds’ ratios.',
    '',
    row(columns),
    `|${'---|'.repeat(columns.length)}`,
    ...rows,
    '',
  ];
}

const times = (ratio: Ratio | undefined): string => (ratio === undefined ? '' : `${digits(ratio.median)}x`);
const row = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
const formatMiB = (bytes: number): string => formatBytes(Math.round(bytes / 2 ** 20) * 2 ** 20);

/** Three figures that mean something. */
export function digits(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
