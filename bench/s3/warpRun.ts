import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdDecompressSync } from 'node:zlib';
import { watch } from './processes.ts';
import { digits } from './report.ts';
import type { Side } from './side.ts';
import { median, ratioOf } from './statistics.ts';

const call = promisify(execFile);
const BUCKET = 'warp-bench';

export interface WarpLoad {
  readonly name: string;
  readonly args: readonly string[];
}

/** warp's own definitions; sets that are written beforehand are smaller than its defaults of 2,500 and 10,000 objects and more. */
export const WARP_LOADS: readonly WarpLoad[] = [
  { name: 'put', args: ['put', '--obj.size', '10MiB'] },
  { name: 'get', args: ['get', '--obj.size', '10MiB', '--objects', '100'] },
  { name: 'put4k', args: ['put', '--obj.size', '4KiB'] },
  { name: 'get4k', args: ['get', '--obj.size', '4KiB', '--objects', '2500'] },
  { name: 'mixed', args: ['mixed', '--obj.size', '10MiB', '--objects', '150'] },
  { name: 'stat', args: ['stat', '--obj.size', '1KiB', '--objects', '5000'] },
  { name: 'list', args: ['list', '--obj.size', '1KB', '--objects', '10000'] },
  { name: 'delete', args: ['delete', '--obj.size', '1KiB', '--batch', '100', '--objects', '20000'] },
  { name: 'versioned', args: ['versioned', '--obj.size', '1MiB', '--objects', '100'] },
  { name: 'multipart', args: ['multipart-put', '--part.size', '5MiB', '--parts', '20'] },
];

/** Of one kind of operation in one run. */
export interface WarpSample {
  readonly load: string;
  readonly side: string;
  readonly operation: string;
  readonly operationsPerSecond: number;
  /** Objects per second: a list or a batch of deletes has many to an operation. */
  readonly objectsPerSecond: number;
  readonly MBps: number;
  readonly errors: number;
  /** Of the whole command, preparation and clearing among it. */
  readonly serverCpuSeconds: number | undefined;
}

/** What is read of the file that --benchdata leaves. */
interface WarpData {
  readonly by_op_type: Readonly<
    Record<
      string,
      {
        readonly total_errors: number;
        readonly throughput_by_host: Readonly<
          Record<
            string,
            {
              readonly measure_duration_millis: number;
              readonly bytes: number;
              readonly objects: number;
              readonly ops: number;
            }
          >
        >;
      }
    >
  >;
}

export async function warpVersion(warp: string): Promise<string> {
  const { stdout } = await call(warp, ['--version']);
  return stdout.trim().replace(/^warp version /, '');
}

/** @throws Error with warp's output when it fails */
export async function runWarp(
  warp: string,
  load: WarpLoad,
  side: Side,
  duration: string,
): Promise<WarpSample[]> {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-warp-'));
  const { url, accessKey, secretKey } = side.endpoint;
  const meter = side.watched === undefined ? undefined : watch(side.watched);
  try {
    await call(
      warp,
      [
        '--no-color',
        ...load.args,
        '--host',
        new URL(url).host,
        '--lookup',
        'path',
        '--bucket',
        BUCKET,
        '--duration',
        duration,
        '--concurrent',
        '16',
        '--benchdata',
        join(folder, 'data'),
      ],
      // Keys go by the environment: arguments are for all to see.
      {
        env: { ...process.env, WARP_ACCESS_KEY: accessKey, WARP_SECRET_KEY: secretKey },
        maxBuffer: 2 ** 26,
      },
    );
    const cpu = meter?.stop().cpuSeconds;
    const packed = await readFile(join(folder, 'data.json.zst'));
    return samplesOf(JSON.parse(zstdDecompressSync(packed).toString()) as WarpData, load, side.name, cpu);
  } finally {
    meter?.stop();
    await rm(folder, { recursive: true });
  }
}

function samplesOf(
  data: WarpData,
  load: WarpLoad,
  side: string,
  serverCpuSeconds: number | undefined,
): WarpSample[] {
  return Object.entries(data.by_op_type).map(([operation, { total_errors, throughput_by_host }]) => {
    const [host] = Object.values(throughput_by_host);
    const seconds = (host?.measure_duration_millis ?? 0) / 1000;
    const rate = (count = 0): number => (seconds > 0 ? count / seconds : 0);
    return {
      load: load.name,
      side,
      operation,
      operationsPerSecond: rate(host?.ops),
      objectsPerSecond: rate(host?.objects),
      MBps: rate(host?.bytes) / 1e6,
      errors: total_errors,
      serverCpuSeconds,
    };
  });
}

/** Medians by load, operation and side, and the ratio of the first side to the second. */
export function warpTable(samples: readonly WarpSample[], sides: readonly string[]): string[] {
  const groups = Map.groupBy(samples, ({ load, operation }) => `${load} ${operation}`);
  const rows = [...groups].flatMap(([name, group]) => {
    const bySide = sides.map((side) => group.filter((sample) => sample.side === side));
    const rates = bySide.map((own) => medianOf(own, ({ objectsPerSecond }) => objectsPerSecond));
    const ratio = sides.length > 1 ? ratioOf(rates[0]!, rates[1]!, 'more') : undefined;
    return sides.map((side, at) => {
      const own = bySide[at]!;
      const errors = own.reduce((sum, each) => sum + each.errors, 0);
      const cpu = own.some(({ serverCpuSeconds }) => serverCpuSeconds === undefined)
        ? ''
        : digits(medianOf(own, ({ serverCpuSeconds }) => serverCpuSeconds!));
      const speed = [
        medianOf(own, ({ operationsPerSecond }) => operationsPerSecond),
        rates[at]!,
        medianOf(own, ({ MBps }) => MBps),
      ].map(digits);
      const shown = at === 0 && ratio !== undefined ? `${digits(ratio)}x` : '';
      return `| ${[name, side, ...speed, String(errors), cpu, shown].join(' | ')} |`;
    });
  });
  return [
    '| load, operation | server | op/s | objects/s | MB/s | errors | server CPU-seconds of the whole load | objects/s to the peer’s |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
  ];
}

const medianOf = (samples: readonly WarpSample[], value: (sample: WarpSample) => number): number =>
  samples.length === 0 ? 0 : median(samples.map(value));
