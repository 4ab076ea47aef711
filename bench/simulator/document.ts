/** Results as Markdown and as text for a terminal. */
import { short } from './format.ts';
import type { Check, RunResult, Table } from './types.ts';

/** @param command that makes it again; @param charts folder of the SVG files, as links have it */
export function document(
  results: readonly RunResult[],
  command: string,
  seed: number,
  charts: string,
): string {
  const checks = results.flatMap((result) => result.checks.map((check) => ({ ...check, run: result.title })));
  const off = checks.filter(({ agrees }) => !agrees);
  return [
    '# Simulation',
    '',
    `Written by \`${command}\` with seed ${seed}; every number in it comes from that run, and the same seed gives the same numbers.`,
    'The code that decides is the product’s own (choosing, repair classification and urgency, durability formulas, oracle); only time, chance and the parties’ conduct are simulated. ' +
      'A sampled chunk stands for many of the 50 PB: it takes the bandwidth of all of them, so that hours and Gbit/s are those of the whole system.',
    '',
    `${checks.length - off.length} of ${checks.length} comparisons agree.`,
    '',
    ...(off.length === 0 ? [] : ['## What does not agree', '', ...off.map(disagreement), '']),
    ...results.flatMap((result) => section(result, charts)),
  ].join('\n');
}

function disagreement({
  run,
  what,
  expected,
  measured,
  rule,
  note,
}: Check & { readonly run: string }): string {
  const why = note === undefined ? '' : ` ${note}`;
  return `- **${run}: ${what}.** Expected ${short(expected)}, found ${short(measured)} (${rule}).${why}`;
}

function section({ title, method, tables, checks, charts }: RunResult, folder: string): string[] {
  return [
    `## ${title}`,
    '',
    method,
    '',
    ...tables.flatMap((table) => [`### ${table.title}`, '', ...markdown(table), '']),
    ...charts.flatMap(({ file, title }) => [`![${title}](${folder}/${file}.svg)`, '']),
    ...(checks.length === 0 ? [] : [...markdown(checkTable(checks)), '']),
    ...checks.flatMap(({ agrees, what, note }) =>
      agrees && note !== undefined ? [`${what}: ${note}`, ''] : [],
    ),
  ];
}

function checkTable(checks: readonly Check[]): Table {
  return {
    title: 'Comparisons',
    columns: ['comparison', 'expected', 'found', 'rule', 'agrees'],
    rows: checks.map(({ what, expected, measured, rule, agrees }) => [
      what,
      expected,
      measured,
      rule,
      agrees ? 'yes' : '**no**',
    ]),
  };
}

function markdown({ columns, rows }: Table): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map((row) => line(row.map(short)))];
}

/** A table in columns, for a terminal. */
export function text({ title, columns, rows }: Table): string {
  const cells = [columns, ...rows.map((row) => row.map(short))];
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
  return [title, ...lines].join('\n');
}

/** Tables and comparisons of all runs, for a terminal. */
export function report(results: readonly RunResult[]): string {
  return results
    .map(({ title, tables, checks }) => {
      const comparisons = checks.length === 0 ? [] : [text(checkTable(checks)).replaceAll('**no**', 'NO')];
      return [`== ${title} ==`, ...tables.map(text), ...comparisons].join('\n\n');
    })
    .join('\n\n');
}
