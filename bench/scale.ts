/**
 * What an operation costs as the store grows, what one large object takes, and what many large uploads at once take in memory.
 *
 *     npm run bench:scale                    10,000, 100,000 and 1,000,000 objects; one of 10 GiB; 64 uploads of 1 GiB
 *     npm run bench:scale -- --full          5,000,000 objects too
 *     npm run bench:scale -- --points 1000,2000 --bytes 64MiB --seconds 1 --only objects,large
 *
 * Starts a gateway of its own; --dir says where its data is kept (two to three times the bytes written). Writes scale.json, scale.md and
 * scale-*.svg into bench/results (--out).
 */
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, machineLine } from './machine.ts';
import { Driver } from './s3/driver.ts';
import { BUCKET } from './s3/measure.ts';
import { bytesOf, countOf, formatBytes } from './s3/options.ts';
import { runCommand, say } from './s3/progress.ts';
import { growth, pointTable, scaleCharts } from './s3/growth.ts';
import { crowd, crowdLines, largeLines, largeObject } from './s3/largeWork.ts';
import { startOurs } from './s3/side.ts';
import { writeResults } from './s3/write.ts';

const PARTS = ['objects', 'large', 'crowd'] as const;
type Part = (typeof PARTS)[number];

interface ScaleOptions {
  readonly only: readonly Part[];
  /** Numbers of objects at which the costs are measured, ascending. */
  readonly points: readonly number[];
  readonly bytes: number;
  readonly seconds: number;
  readonly concurrency: number;
  readonly uploads: number;
  readonly dir: string;
  readonly out: string;
}

const HELP = `npm run bench:scale -- [options]

  --full                 5,000,000 objects too
  --points 10000,…       numbers of objects at which costs are measured
  --bytes 10GiB          of the large object
  --seconds 10           of every measurement; three times as long for the uploads of 1 GiB
  --concurrency 64       clients that fill
  --uploads 64           of 1 GiB at a time
  --only ${PARTS.join(',')}
  --dir folder           where data is kept; default: the system's temporary folder
  --out folder           where results go; default: bench/results`;

function readScaleOptions(args: string[]): ScaleOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      points: { type: 'string' },
      bytes: { type: 'string', default: '10GiB' },
      seconds: { type: 'string', default: '10' },
      concurrency: { type: 'string', default: '64' },
      uploads: { type: 'string', default: '64' },
      only: { type: 'string', default: PARTS.join(',') },
      dir: { type: 'string', default: tmpdir() },
      out: { type: 'string', default: resolve(import.meta.dirname, 'results') },
    },
  });
  if (values.help) return undefined;
  const points = values.points ?? `10000,100000,1000000${values.full ? ',5000000' : ''}`;
  return {
    only: values.only.split(',').map(partOf),
    points: points
      .split(',')
      .map(countOf)
      .sort((a, b) => a - b),
    bytes: bytesOf(values.bytes),
    seconds: countOf(values.seconds),
    concurrency: countOf(values.concurrency),
    uploads: countOf(values.uploads),
    dir: resolve(values.dir),
    out: resolve(values.out),
  };
}

function partOf(text: string): Part {
  const part = PARTS.find((each) => each === text);
  if (part === undefined) throw new Error(`${text} is none of ${PARTS.join(', ')}`);
  return part;
}

interface Findings {
  points?: Awaited<ReturnType<typeof growth>>;
  large?: Awaited<ReturnType<typeof largeObject>>;
  crowd?: Awaited<ReturnType<typeof crowd>>;
}

function reportOf(
  { points, large, crowd: many }: Findings,
  charts: readonly string[],
  { version, sync }: { readonly version: string; readonly sync: string },
): string {
  return [
    '# As work grows',
    '',
    `${machineLine}. Shardway ${version}; ${sync}. The load generator shares the cores; one run each.`,
    '',
    ...(points === undefined ? [] : pointTable(points)),
    ...charts.map((name) => `![${name}](${name})`),
    ...(large === undefined ? [] : largeLines(large)),
    ...(many === undefined ? [] : crowdLines(many)),
    '',
  ].join('\n');
}

async function main(options: ScaleOptions): Promise<void> {
  await mkdir(options.dir, { recursive: true });
  const ours = await startOurs(options.dir);
  const driver = new Driver();
  const wants = (part: Part): boolean => options.only.includes(part);
  try {
    await driver.run(ours.endpoint, BUCKET, { kind: 'bucket' });
    const work = { driver, side: ours, ...options };
    let report = '';
    const found: Findings = {};
    // After each part: hours of work are not lost with the last of it.
    const keep = async (): Promise<void> => {
      const charts = found.points && found.points.length > 1 ? scaleCharts(found.points) : {};
      report = reportOf(found, Object.keys(charts), ours);
      const json = { machine, version: ours.version, ...found };
      await writeResults(options.out, { 'scale.json': json, 'scale.md': report, ...charts });
    };
    if (wants('large')) {
      say(`one object of ${formatBytes(options.bytes)}`);
      found.large = await largeObject(work);
      await keep();
    }
    if (wants('crowd')) {
      say(`${options.uploads} uploads of 1 GiB`);
      found.crowd = await crowd(work);
      await keep();
    }
    if (wants('objects')) {
      found.points = await growth(work);
      await keep();
    }
    process.stdout.write(report);
  } finally {
    driver.stop();
    await ours.stop();
  }
}

await runCommand(HELP, () => readScaleOptions(process.argv.slice(2)), main);
