/**
 * What Shardway's S3 API costs and how fast it is; and the codec beneath it (bench/codec.ts).
 *
 *     npm run bench                                         everything: about 40 minutes and 10 GB in --dir
 *     npm run bench -- --quick                              to see that it works
 *     npm run bench -- --only put,get --sizes 4KiB --concurrency 16 --rounds 1 --seconds 30
 *     NODE_OPTIONS=--cpu-prof npm run bench -- …            profiles the gateway (and this process) too
 *     npm run bench -- --only get --server http://127.0.0.1:9000,access,secret,pid=123     a gateway that runs already
 *     npm run bench -- --help
 *
 * Prints a Markdown table and writes s3.json, s3.md and s3-*.svg into bench/results (--out). Settings of the gateway are taken from
 * SHARDWAY_… variables.
 */
import { runCodec } from './codec.ts';
import { machine } from './machine.ts';
import { sizeCharts } from './s3/figures.ts';
import { HELP, SECTIONS, readOptions } from './s3/options.ts';
import type { BenchOptions } from './s3/options.ts';
import { runCommand } from './s3/progress.ts';
import { figureTable, heading } from './s3/report.ts';
import { runSuite } from './s3/suite.ts';
import { writeResults } from './s3/write.ts';

async function main(options: BenchOptions): Promise<void> {
  if (options.sections.includes('codec')) process.stdout.write(`${await runCodec(options.out)}\n`);
  if (options.sections.every((section) => section === 'codec')) return;
  const suite = await runSuite({ ...options, peer: undefined });
  const charts = sizeCharts('s3', suite.results);
  const report = [
    ...heading('S3', 'bench', suite, options),
    ...figureTable(suite.results),
    ...suite.notes,
    ...Object.keys(charts).map((name) => `![${name}](${name})`),
    '',
  ].join('\n');
  await writeResults(options.out, { 's3.json': { machine, ...suite }, 's3.md': report, ...charts });
  process.stdout.write(report);
}

await runCommand(
  `npm run bench -- [options]\n${HELP}`,
  () => readOptions(process.argv.slice(2), SECTIONS),
  main,
);
