/**
 * The same work on Shardway and on any other S3 server, in turn, and the ratios beside their targets.
 *
 *     npm run bench:compare -- --peer minio=http://127.0.0.1:9100,access,secret,pid=123 --peer-drives /mnt/d1,/mnt/d2,… --dir /mnt/ours
 *     npm run bench:compare -- --help
 *
 * The peer runs already, on the disk that --dir is on. Writes compare-<peer>.json, .md and .svg into bench/results (--out).
 */
import { machine } from './machine.ts';
import { comparisonOf } from './s3/comparison.ts';
import { comparisonCharts, sizeCharts } from './s3/figures.ts';
import { HELP, WORKLOADS, readOptions } from './s3/options.ts';
import type { BenchOptions } from './s3/options.ts';
import { runCommand } from './s3/progress.ts';
import { comparisonTable, figureTable, heading } from './s3/report.ts';
import { peerSide } from './s3/side.ts';
import { runSuite } from './s3/suite.ts';
import { writeResults } from './s3/write.ts';

async function main(options: BenchOptions): Promise<void> {
  const suite = await runSuite(options);
  const [ours, peer] = suite.sides.map(({ name }) => name) as [string, string];
  const comparisons = suite.results.flatMap((result) => comparisonOf(result, ours, peer) ?? []);
  const prefix = `compare-${peer}`;
  const charts = {
    ...comparisonCharts(prefix, peer, comparisons),
    ...sizeCharts(prefix, suite.results),
  };
  const report = [
    ...heading(`Shardway against ${peer}`, 'bench:compare', suite, options),
    ...comparisonTable(comparisons),
    ...figureTable(suite.results),
    ...suite.notes,
    ...Object.keys(charts).map((name) => `![${name}](${name})`),
    '',
  ].join('\n');
  await writeResults(options.out, {
    [`${prefix}.json`]: { machine, ...suite, comparisons },
    [`${prefix}.md`]: report,
    ...charts,
  });
  process.stdout.write(report);
}

await runCommand(
  `npm run bench:compare -- --peer … [options]\n${HELP}`,
  () => {
    const options = readOptions(process.argv.slice(2), WORKLOADS);
    if (options?.peer === undefined && options !== undefined) throw new Error('--peer is missing');
    if (options?.peer !== undefined) peerSide(options.peer);
    return options;
  },
  main,
);
