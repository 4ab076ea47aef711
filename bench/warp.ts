/**
 * warp, the S3 benchmark of the MinIO project, against Shardway and a peer in turn.
 *
 *     npm run bench:warp -- --warp /usr/local/bin/warp --peer minio=http://127.0.0.1:9100,access,secret,pid=123 [--duration 30s] [--only put,get]
 *
 * The loads are warp's own, cut down to a size that a small machine finishes. Writes warp.json and warp.md into bench/results (--out).
 */
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fileSystemOf, machine, machineLine } from './machine.ts';
import { countOf } from './s3/options.ts';
import { runCommand, say } from './s3/progress.ts';
import { peerSide, startOurs } from './s3/side.ts';
import type { Side } from './s3/side.ts';
import { WARP_LOADS, runWarp, warpTable, warpVersion } from './s3/warpRun.ts';
import type { WarpLoad, WarpSample } from './s3/warpRun.ts';
import { writeResults } from './s3/write.ts';

interface WarpOptions {
  readonly warp: string;
  readonly peer: string | undefined;
  readonly duration: string;
  readonly rounds: number;
  readonly loads: readonly WarpLoad[];
  readonly dir: string;
  readonly out: string;
}

const HELP = `npm run bench:warp -- --warp program [options]

  --warp program         path of warp
  --peer name=endpoint,access,secret[,pid=N|,cgroup=folder][,version=text][,sync=text]
  --duration 30s         of every load
  --rounds 1             of which the median is reported
  --only ${WARP_LOADS.map(({ name }) => name).join(',')}
  --dir folder           where our data is kept (on the peer's disk); default: the system's temporary folder
  --out folder           where results go; default: bench/results`;

function readWarpOptions(args: string[]): WarpOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      warp: { type: 'string' },
      peer: { type: 'string' },
      duration: { type: 'string', default: '30s' },
      rounds: { type: 'string', default: '1' },
      only: { type: 'string', default: WARP_LOADS.map(({ name }) => name).join(',') },
      dir: { type: 'string', default: tmpdir() },
      out: { type: 'string', default: resolve(import.meta.dirname, 'results') },
    },
  });
  if (values.help) return undefined;
  if (values.warp === undefined) throw new Error('--warp is missing');
  if (values.peer !== undefined) peerSide(values.peer);
  if (!/^\d+[sm]$/.test(values.duration)) throw new Error(`${values.duration} is not a duration such as 30s`);
  return {
    warp: resolve(values.warp),
    peer: values.peer,
    duration: values.duration,
    rounds: countOf(values.rounds),
    loads: values.only.split(',').map((name) => {
      const load = WARP_LOADS.find((each) => each.name === name);
      if (load === undefined) throw new Error(`${name} is no load`);
      return load;
    }),
    dir: resolve(values.dir),
    out: resolve(values.out),
  };
}

async function main(options: WarpOptions): Promise<void> {
  await mkdir(options.dir, { recursive: true });
  const ours = await startOurs(options.dir);
  try {
    const peers = options.peer === undefined ? [] : [peerSide(options.peer)];
    const sides: Side[] = [ours, ...peers];
    const samples: WarpSample[] = [];
    for (const load of options.loads) {
      for (let round = 1; round <= options.rounds; round++) {
        for (const side of sides) {
          say(`warp ${load.name}, round ${round}, ${side.name}`);
          samples.push(...(await runWarp(options.warp, load, side, options.duration)));
        }
      }
    }
    const version = await warpVersion(options.warp);
    const report = [
      '# warp',
      '',
      `${machineLine}; data on ${fileSystemOf(options.dir)}. warp ${version} shares the cores; ${options.duration} per load and side, medians of ${options.rounds} in turn.`,
      ...sides.map(({ name, version, sync }) => `- ${name} ${version}: ${sync}`),
      '',
      ...warpTable(
        samples,
        sides.map(({ name }) => name),
      ),
      '',
    ].join('\n');
    await writeResults(options.out, { 'warp.json': { machine, samples }, 'warp.md': report });
    process.stdout.write(report);
  } finally {
    await ours.stop();
  }
}

await runCommand(HELP, () => readWarpOptions(process.argv.slice(2)), main);
