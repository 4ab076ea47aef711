/**
 * The network over virtual time, driven by the product's own decisions: `npm run simulate`. Writes docs/simulation.md with its charts and
 * bench/results/simulation.json.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { machine } from './machine.ts';
import { runCommand } from './s3/progress.ts';
import { document, report, text } from './simulator/document.ts';
import { RUNS, runAll, type Progress } from './simulator/runs.ts';
import { timings } from './simulator/scale.ts';
import type { RunResult, Table } from './simulator/types.ts';

const COMMAND = 'npm run simulate';
const REDRAW_MS = 500;

const HELP = `${COMMAND} -- [options]

The network over virtual time. Prints what came out and writes docs/simulation.md, its charts and bench/results/simulation.json.

  --quick        small samples; writes nothing
  --only name    runs whose name has this in it; writes nothing: ${RUNS.map(({ name }) => name).join(', ')}
  --seed 1       of all that is random`;

interface SimulateOptions {
  readonly quick: boolean;
  readonly seed: number;
  readonly runs: typeof RUNS;
}

function readSimulateOptions(args: string[]): SimulateOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
    },
  });
  if (values.help) return undefined;
  const seed = Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 31) {
    throw new Error(`--seed takes a whole number from 0 to 2147483647, got ${values.seed}`);
  }
  const runs = RUNS.filter(({ name }) => name.includes(values.only));
  if (runs.length === 0) {
    throw new Error(`--only takes part of one of: ${RUNS.map(({ name }) => name).join(', ')}`);
  }
  return { quick: values.quick, seed, runs };
}

async function main({ quick, seed, runs }: SimulateOptions): Promise<void> {
  const begun = performance.now();
  const results = await runAll(runs, { seed, quick }, progressLine());
  const measured = timings({ seed, quick });
  const seconds = (performance.now() - begun) / 1000;
  process.stderr.write(`\r\x1b[Kdone in ${seconds.toFixed(0)} s\n`);
  process.stdout.write(`${report(results)}\n\n${text(measured)}\n`);
  if (!quick && runs.length === RUNS.length) await write(results, measured, seed, seconds);
}

async function write(
  results: readonly RunResult[],
  measured: Table,
  seed: number,
  seconds: number,
): Promise<void> {
  const docs = new URL('../docs/', import.meta.url);
  const charts = new URL('simulation/', docs);
  await mkdir(charts, { recursive: true });
  for (const { file, svg } of results.flatMap((result) => result.charts)) {
    await writeFile(new URL(`${file}.svg`, charts), svg);
  }
  await writeFile(new URL('simulation.md', docs), document(results, COMMAND, seed, 'simulation'));
  const plain = results.map(({ id, title, tables, checks }) => ({ id, title, tables, checks }));
  const json = { seed, machine, seconds: Math.round(seconds), timings: measured, results: plain };
  await writeFile(
    new URL('results/simulation.json', import.meta.url),
    `${JSON.stringify(json, undefined, 2)}\n`,
  );
}

/** On stderr: what is running, how far everything is, and how long the rest will take. */
function progressLine(): (progress: Progress) => void {
  let drawnAt = -Infinity;
  return ({ name, share, etaSeconds }) => {
    const now = performance.now();
    if (now - drawnAt < REDRAW_MS) return;
    drawnAt = now;
    const line = `${(100 * share).toFixed(0).padStart(3)} %  ${name}  ETA ${etaSeconds.toFixed(0)} s`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };
}

await runCommand(HELP, () => readSimulateOptions(process.argv.slice(2)), main);
