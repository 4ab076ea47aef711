import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Comparison } from '../../../bench/s3/comparison.ts';
import type { Result } from '../../../bench/s3/measure.ts';
import { run } from '../../support/programs.ts';
import { startServer } from '../../support/server.ts';

const BENCH = resolve(import.meta.dirname, '../../../bench');
const QUICK = ['--quick', '--sizes', '4KiB', '--concurrency', '3'];

/** Starting servers and waiting for a busy machine's disk. */
const TIMEOUT_MS = 300_000;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shardway-quick-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function bench(program: string, ...args: string[]): Promise<string> {
  const places = ['--dir', join(folder, 'data'), '--out', join(folder, 'out')];
  const script = join(BENCH, program);
  const { stdout } = await run(process.execPath, [
    '--conditions=shardway-source',
    script,
    ...QUICK,
    ...places,
    ...args,
  ]);
  return stdout;
}

async function resultsOf<Content>(name: string): Promise<Content> {
  return JSON.parse(await readFile(join(folder, 'out', name), 'utf8')) as Content;
}

/** Every figure is there, and they agree with each other. */
function expectWhole({ case: one, figures, samples }: Result): void {
  for (const [side, each] of Object.entries(figures)) {
    expect(each, `${one.name} ${side}`).toMatchObject({ failed: 0 });
    const sum = samples[side]!.reduce((total, { operations }) => total + operations, 0);
    expect(each.operations).toBe(sum);
    for (const { operations, bytes, keys, seconds, p50Ms, p99Ms, maxMs, usage } of samples[side]!) {
      expect(operations).toBeGreaterThan(0);
      expect(each.operationsPerSecond).toBeCloseTo(operations / seconds);
      expect(bytes).toBe(one.unit === 'bytes' ? operations * 4096 : 0);
      expect(keys > 0).toBe(one.unit === 'keys');
      expect(p50Ms).toBeGreaterThan(0);
      expect(p99Ms).toBeGreaterThanOrEqual(p50Ms);
      expect(maxMs).toBeGreaterThanOrEqual(p99Ms);
      expect(usage!.cpuSeconds).toBeGreaterThanOrEqual(0);
      expect(usage!.peakRssBytes).toBeGreaterThan(usage!.peakAnonymousBytes);
      expect(usage!.peakAnonymousBytes).toBeGreaterThan(0);
    }
  }
}

test(
  'npm run bench measures a gateway: every figure is there, and counts add up',
  async () => {
    const report = await bench('index.ts', '--only', 'put,get,head,list', '--keys', '1500');
    const { sides, results } = await resultsOf<{ sides: object[]; results: Result[] }>('s3.json');
    expect(sides).toMatchObject([{ name: 'shardway', sync: expect.stringContaining('synced') as string }]);
    expect(results.map((result) => result.case.name)).toEqual([
      'put 4 KiB ×3',
      'get 4 KiB ×3',
      'head ×3',
      'list 1500 keys, flat',
    ]);
    results.forEach(expectWhole);
    const [list] = results.at(-1)!.samples['shardway']!;
    expect([list?.operations, list?.keys]).toEqual([2, 1500]);
    expect(report).toContain('| put 4 KiB ×3 | shardway |');
    expect(await readdir(join(folder, 'data'))).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'npm run bench:compare takes turns with a peer and says the ratios, with drives away too',
  async () => {
    const peer = await startServer({ data: join(folder, 'peer') });
    try {
      const drives = [1, 2, 3, 4, 5, 6].map((number) => join(peer.data, 'providers', String(number)));
      const report = await bench(
        'compare.ts',
        '--only',
        'put,degraded',
        '--settle',
        '1',
        '--peer-drives',
        drives.join(),
        '--peer',
        `other=${peer.endpoint},${peer.accessKey},${peer.secretKey},pid=${peer.pid}`,
      );
      expect(report).not.toContain(peer.secretKey);
      const { results, comparisons } = await resultsOf<{ results: Result[]; comparisons: Comparison[] }>(
        'compare-other.json',
      );
      results.forEach(expectWhole);
      expect(results.map(({ figures }) => Object.keys(figures))).toEqual([
        ['shardway', 'other'],
        ['shardway', 'other'],
      ]);
      for (const { speed, p99, memory } of comparisons) {
        for (const ratio of [speed, p99, memory]) expect(ratio!.median).toBeGreaterThan(0);
      }
      expect(comparisons.map(({ name }) => name)).toEqual(['put 4 KiB ×3', 'degraded 4 KiB ×3']);
      expect(await readFile(join(folder, 'out/compare-other.svg'), 'utf8')).toContain('put 4 KiB ×3');
      expect((await readdir(join(peer.data, 'providers'))).sort()).toEqual(['1', '2', '3', '4', '5', '6']);
    } finally {
      await peer.stop();
    }
  },
  TIMEOUT_MS,
);
