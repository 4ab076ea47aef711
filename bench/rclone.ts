/**
 * Uploads and downloads one tree with rclone, to Shardway and to any other S3 server, in alternation, and reports the ratio:
 * `npm run bench:rclone`. Writes rclone.json and rclone.md into bench/results (--out).
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeFile, makeTree, run } from '../test/support/programs.ts';
import { startServer } from '../test/support/server.ts';
import { machine, machineLine, median } from './machine.ts';
import { countOf } from './s3/options.ts';
import { runCommand, say } from './s3/progress.ts';
import { writeResults } from './s3/write.ts';

interface Target {
  readonly name: string;
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Process whose CPU time is counted, with its threads. */
  readonly pid: number;
}

interface Sample {
  readonly seconds: number;
  /** CPU-seconds of the server. */
  readonly cpu: number;
}

const WORKS = ['upload', 'download'] as const;
type Work = (typeof WORKS)[number];

const HELP = `npm run bench:rclone -- [options]

Uploads and downloads one tree of small files and a large one with the rclone on PATH, compares what came back, and counts time and
the server's CPU time. Prints a table and writes rclone.json and rclone.md.

  --peer name=endpoint,access-key,secret-key,server-pid    another server, in alternation
  --files 10000        small ones
  --large-mib 1024     MiB of the large one
  --rounds 3           of which the median is reported
  --out folder         where results go; default: bench/results`;

interface RcloneOptions {
  readonly peer: Target | undefined;
  readonly files: number;
  readonly largeMiB: number;
  readonly rounds: number;
  readonly out: string;
}

function readRcloneOptions(args: string[]): RcloneOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      peer: { type: 'string' },
      files: { type: 'string', default: '10000' },
      'large-mib': { type: 'string', default: '1024' },
      rounds: { type: 'string', default: '3' },
      out: { type: 'string', default: resolve(import.meta.dirname, 'results') },
    },
  });
  if (values.help) return undefined;
  return {
    peer: values.peer === undefined ? undefined : peerOf(values.peer),
    files: countOf(values.files),
    largeMiB: countOf(values['large-mib']),
    rounds: countOf(values.rounds),
    out: resolve(values.out),
  };
}

function peerOf(text: string): Target {
  const [name = '', rest = ''] = text.split(/=(.*)/s);
  const [endpoint = '', accessKey = '', secretKey = '', pid = ''] = rest.split(',');
  if (name === '' || secretKey === '' || !/^\d+$/.test(pid)) {
    throw new Error('--peer takes name=endpoint,access-key,secret-key,server-pid');
  }
  return { name, endpoint, accessKey, secretKey, pid: Number(pid) };
}

/** User and system time of a process so far, in seconds (proc(5), fields 14 and 15). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function rclone(target: Target, ...args: string[]): Promise<Sample> {
  const cpu = cpuSeconds(target.pid);
  const began = performance.now();
  await run('rclone', [...args, '--transfers', '16', '--checkers', '16'], {
    env: {
      RCLONE_CONFIG: '/nonexistent',
      RCLONE_CONFIG_S_TYPE: 's3',
      RCLONE_CONFIG_S_PROVIDER: 'Other',
      RCLONE_CONFIG_S_ENDPOINT: target.endpoint,
      RCLONE_CONFIG_S_REGION: 'us-east-1',
      RCLONE_CONFIG_S_ACCESS_KEY_ID: target.accessKey,
      RCLONE_CONFIG_S_SECRET_ACCESS_KEY: target.secretKey,
    },
  });
  return { seconds: (performance.now() - began) / 1000, cpu: cpuSeconds(target.pid) - cpu };
}

async function main(options: RcloneOptions): Promise<void> {
  const { peer, files, largeMiB, rounds } = options;
  const work = mkdtempSync(join(tmpdir(), 'shardway-bench-'));
  const server = await startServer({ data: join(work, 'shardway') });
  const targets: Target[] = [{ ...server, name: 'shardway' }];
  if (peer !== undefined) targets.push(peer);
  const tree = join(work, 'tree');
  say(`making ${files} files and one of ${largeMiB} MiB`);
  await makeTree(tree, files);
  await makeFile(join(tree, 'large.bin'), largeMiB * 2 ** 20);

  const samples = new Map<string, Record<Work, Sample[]>>(
    targets.map(({ name }) => [name, { upload: [], download: [] }]),
  );
  for (let round = 1; round <= rounds; round++) {
    // The order changes from round to round, so that none always comes second.
    for (const target of round % 2 === 1 ? targets : targets.toReversed()) {
      const back = join(work, 'back');
      const bucket = `s:bench-${round}`;
      execFileSync('sync');
      const upload = await rclone(target, 'copy', tree, bucket);
      const download = await rclone(target, 'copy', bucket, back);
      await run('diff', ['-r', '--brief', tree, back]);
      rmSync(back, { recursive: true });
      await rclone(target, 'purge', bucket);
      samples.get(target.name)?.upload.push(upload);
      samples.get(target.name)?.download.push(download);
      say(
        `round ${round} ${target.name}: up ${upload.seconds.toFixed(1)} s, down ${download.seconds.toFixed(1)} s`,
      );
    }
  }
  await server.stop();
  rmSync(work, { recursive: true });
  const text = report(targets, samples, options);
  await writeResults(options.out, {
    'rclone.json': { machine, files, largeMiB, samples: Object.fromEntries(samples) },
    'rclone.md': text,
  });
  process.stdout.write(text);
}

function report(
  targets: readonly Target[],
  samples: ReadonlyMap<string, Record<Work, Sample[]>>,
  { files, largeMiB, rounds }: RcloneOptions,
): string {
  const of = (name: string, work: Work, field: keyof Sample): number =>
    median((samples.get(name)?.[work] ?? []).map((sample) => sample[field]));
  const lines = [
    `# rclone: ${files} files and one of ${largeMiB} MiB, medians of ${rounds} rounds in alternation`,
    '',
    `${machineLine}; client and server on the same cores`,
    '',
    '| work | server | seconds | server CPU-seconds |',
    '|---|---|---|---|',
  ];
  for (const work of WORKS) {
    for (const { name } of targets) {
      lines.push(
        `| ${work} | ${name} | ${of(name, work, 'seconds').toFixed(1)} | ${of(name, work, 'cpu').toFixed(1)} |`,
      );
    }
  }
  const [ours, peer] = targets;
  if (ours !== undefined && peer !== undefined) {
    lines.push(
      '',
      'Speed of ours as a multiple of the peer’s (above 1 we are faster; for CPU, cheaper):',
      '',
    );
    for (const work of WORKS) {
      const ratio = (field: keyof Sample): string =>
        (of(peer.name, work, field) / of(ours.name, work, field)).toFixed(2);
      lines.push(`- ${work}: ${ratio('seconds')}x in time, ${ratio('cpu')}x in server CPU`);
    }
  }
  return `${lines.join('\n')}\n`;
}

await runCommand(HELP, () => readRcloneOptions(process.argv.slice(2)), main);
