import { measured } from './growth.ts';
import type { Cost, Work } from './growth.ts';
import { BUCKET } from './measure.ts';
import { formatBytes } from './options.ts';
import { digits } from './report.ts';

const KEY = 'large/object';
const PART_BYTES = 64 * 2 ** 20;
/** A multipart upload has at most so many parts (Amazon S3). */
const PARTS_MAX = 10_000;
const UPLOADERS = 4;
const RANGES = 200;
const CROWD_OBJECT_BYTES = 2 ** 30;

export interface LargeResult {
  readonly bytes: number;
  readonly partBytes: number;
  readonly upload: Cost;
  readonly reads: Cost;
}

export interface CrowdResult {
  readonly uploads: number;
  readonly cost: Cost;
}

/** One object in parts of repeated data; ranges of it compared byte by byte, then all of it read. Removed afterwards. */
export async function largeObject(work: Work & { readonly bytes: number }): Promise<LargeResult> {
  const partBytes = Math.max(Math.min(PART_BYTES, work.bytes), Math.ceil(work.bytes / PARTS_MAX));
  const { bytes } = work;
  const upload = await measured(
    work,
    { kind: 'large', key: KEY, bytes, partBytes, concurrency: UPLOADERS },
    'parts of the large object',
  );
  const reads = await measured(
    work,
    { kind: 'readLarge', key: KEY, bytes, partBytes, ranges: RANGES },
    'ranges of the large object',
  );
  await work.driver.run(work.side.endpoint, BUCKET, { kind: 'purge', prefix: KEY });
  return { bytes, partBytes, upload, reads };
}

/** Many large uploads at once, broken off in the end. */
export async function crowd(work: Work & { readonly uploads: number }): Promise<CrowdResult> {
  const load = { kind: 'putRepeated', prefix: 'crowd/', size: CROWD_OBJECT_BYTES } as const;
  const seconds = work.seconds * 3;
  const cost = await measured(
    work,
    { kind: 'load', load, concurrency: work.uploads, seconds, abandon: true },
    'uploads',
  );
  await work.driver.run(work.side.endpoint, BUCKET, { kind: 'purge', prefix: 'crowd/' });
  return { uploads: work.uploads, cost };
}

export function largeLines({ bytes, partBytes, upload, reads }: LargeResult): string[] {
  return [
    '',
    `## One object of ${formatBytes(bytes)}`,
    '',
    `Parts of ${formatBytes(partBytes)}, ${UPLOADERS} at a time; then ${RANGES} ranges of 1 MiB, compared byte by byte, and the whole, by one client.`,
    '',
    '| work | MB/s | server CPU-seconds per GB | peak RSS | without files |',
    '|---|---|---|---|---|',
    memoryRow('upload', upload),
    memoryRow('ranges and whole', reads),
    '',
  ];
}

export function crowdLines({ uploads, cost }: CrowdResult): string[] {
  return [
    '',
    `## ${uploads} uploads of 1 GiB at once`,
    '',
    `Broken off after ${digits(cost.seconds)} s, ${formatBytes(cost.bytes)} sent by then. Target: a resident set of at most 512 MiB.`,
    '',
    '| work | MB/s | server CPU-seconds per GB | peak RSS | without files |',
    '|---|---|---|---|---|',
    memoryRow('uploads', cost),
    '',
  ];
}

function memoryRow(name: string, { bytes, seconds, usage }: Cost): string {
  const rate = digits(bytes / 1e6 / seconds);
  const cpu = digits((usage.cpuSeconds * 1e9) / bytes);
  const memory = [usage.peakRssBytes, usage.peakAnonymousBytes].map(
    (each) => `${Math.round(each / 2 ** 20)} MiB`,
  );
  return `| ${[name, rate, cpu, ...memory].join(' | ')} |`;
}
