import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** Sections, in the order they are run. */
export const WORKLOADS = [
  'put',
  'get',
  'head',
  'mixed',
  'list',
  'folders',
  'delete',
  'multipart',
  'degraded',
] as const;
export type Workload = (typeof WORKLOADS)[number];
export const SECTIONS = ['codec', ...WORKLOADS] as const;
export type Section = (typeof SECTIONS)[number];

export interface BenchOptions {
  readonly sections: readonly Section[];
  /** Bytes of an object. */
  readonly sizes: readonly number[];
  readonly concurrency: readonly number[];
  readonly rounds: number;
  /** Of each side in each round. */
  readonly seconds: number;
  /** In the bucket that is listed. */
  readonly keys: number;
  /** Providers or drives taken away for degraded reads: m of k+m. */
  readonly lost: number;
  /** After the drives are gone, until reads are measured. */
  readonly settleSeconds: number;
  /** DeleteObjects requests of a run. */
  readonly batches: number;
  readonly dir: string;
  readonly out: string;
  readonly peer: string | undefined;
  readonly peerDrives: readonly string[];
  /** A running gateway to be measured instead of one that is started. */
  readonly server: string | undefined;
  /** Combinations that move more than this at a time are left out unless sizes and concurrency were both asked for. */
  readonly inFlightMax: number;
  /** The command line, for the report. */
  readonly said: string;
}

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const UNITS: Readonly<Record<string, number>> = { B: 1, KiB, MiB, GiB: 2 ** 30 };

export const HELP = `
  --quick                small counts, a second a workload, one round: to see that all works
  --only put,get,…       sections: ${SECTIONS.join(', ')}
  --sizes 4KiB,1MiB,…    of objects, for put, get and degraded
  --concurrency 1,16,64  clients at a time
  --rounds 3             of which the median is reported
  --seconds 10           of each workload, side and round
  --keys 1000000         in the listed bucket
  --lost 2               providers or drives taken away for degraded reads
  --settle 15            seconds after the drives have gone until reads are measured
  --dir folder           where our data is kept (on the peer's disk); default: the system's temporary folder
  --out folder           where results go; default: bench/results
  --server endpoint,access,secret[,pid=N]      measure a running gateway instead of starting one
  --peer name=endpoint,access,secret[,pid=N|,cgroup=folder][,version=text][,sync=text]
  --peer-drives a,b,…    the peer's drives, for degraded reads

A peer's bucket shardway-bench is emptied before and after.
`;

/** @throws Error for wrong use; undefined when help was asked for */
export function readOptions(args: string[], defaultSections: readonly Section[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      only: { type: 'string' },
      sizes: { type: 'string' },
      concurrency: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      keys: { type: 'string' },
      lost: { type: 'string', default: '2' },
      settle: { type: 'string', default: '15' },
      dir: { type: 'string', default: tmpdir() },
      out: { type: 'string', default: resolve(import.meta.dirname, '../results') },
      peer: { type: 'string' },
      'peer-drives': { type: 'string' },
      server: { type: 'string' },
    },
  });
  if (values.help) return undefined;
  const quick = values.quick;
  const both = values.sizes !== undefined && values.concurrency !== undefined;
  return {
    sections: values.only === undefined ? defaultSections : values.only.split(',').map(sectionOf),
    sizes: (values.sizes ?? (quick ? '4KiB,1MiB' : '4KiB,64KiB,1MiB,10MiB,100MiB')).split(',').map(bytesOf),
    concurrency: (values.concurrency ?? (quick ? '1,16' : '1,16,64')).split(',').map(countOf),
    rounds: countOf(values.rounds ?? (quick ? '1' : '3')),
    seconds: countOf(values.seconds ?? (quick ? '1' : '10')),
    keys: countOf(values.keys ?? (quick ? '2500' : '1000000')),
    lost: countOf(values.lost),
    settleSeconds: countOf(values.settle),
    batches: quick ? 2 : 10,
    dir: resolve(values.dir),
    out: resolve(values.out),
    peer: values.peer,
    peerDrives: values['peer-drives']?.split(',') ?? [],
    server: values.server,
    inFlightMax: both ? Infinity : 2048 * MiB,
    said: args.map((each) => each.replace(/^([\w.-]+=)?(http[^,]*),[^,]*,[^,]*/, '$1$2,…')).join(' '),
  };
}

function sectionOf(text: string): Section {
  const section = SECTIONS.find((each) => each === text);
  if (section === undefined) throw new Error(`${text} is none of ${SECTIONS.join(', ')}`);
  return section;
}

export function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new Error(`${text} is not a whole number from 1 on`);
  return count;
}

/** As 4KiB, 1MiB; a bare number is bytes. */
export function bytesOf(text: string): number {
  const match = /^(\d+)([KMG]iB|B)?$/.exec(text);
  if (match === null || Number(match[1]) === 0) throw new Error(`${text} is not a size such as 64KiB`);
  return Number(match[1]) * UNITS[match[2] ?? 'B']!;
}

/** As 4 KiB. */
export function formatBytes(bytes: number): string {
  const unit = ['GiB', 'MiB', 'KiB'].find((each) => bytes >= UNITS[each]!) ?? 'B';
  return `${Number((bytes / UNITS[unit]!).toPrecision(4))} ${unit}`;
}
