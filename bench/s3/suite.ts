import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { casesOf } from './cases.ts';
import { takeAway } from './drives.ts';
import { Driver } from './driver.ts';
import { BUCKET, Bench } from './measure.ts';
import type { Result } from './measure.ts';
import { WORKLOADS } from './options.ts';
import type { BenchOptions, Workload } from './options.ts';
import { say, sayProgress } from './progress.ts';
import { peerSide, startOurs } from './side.ts';
import type { Side } from './side.ts';

export interface Suite {
  readonly sides: readonly Pick<Side, 'name' | 'version' | 'sync'>[];
  readonly results: readonly Result[];
  /** What was left out, and why. */
  readonly notes: readonly string[];
}

/** Starts our gateway, or takes the running one, and measures it and the peer in turn. */
export async function runSuite(options: BenchOptions): Promise<Suite> {
  await mkdir(options.dir, { recursive: true });
  const ours =
    options.server === undefined
      ? await startOurs(options.dir)
      : peerSide(`shardway=${options.server},sync=as its settings say`);
  const peers = options.peer === undefined ? [] : [peerSide(options.peer, options.peerDrives)];
  const others = options.server === undefined ? peers : [ours, ...peers];
  const driver = new Driver();
  try {
    for (const { endpoint } of [ours, ...peers]) await driver.run(endpoint, BUCKET, { kind: 'bucket' });
    await tidy(others, driver);
    const suite = await measureAll([ours, ...peers], driver, options);
    await tidy(others, driver);
    return suite;
  } finally {
    driver.stop();
    await ours.stop();
  }
}

async function measureAll(sides: readonly Side[], driver: Driver, options: BenchOptions): Promise<Suite> {
  const bench = new Bench(driver, sides, options);
  const notes: string[] = [];
  const results: Result[] = [];
  const wanted = WORKLOADS.filter((workload) => options.sections.includes(workload));
  for (const workload of wanted) {
    if (workload === 'degraded') results.push(...(await degraded(bench, sides, options, notes)));
    else results.push(...(await all(bench, workload, options)));
  }
  return { sides: sides.map(({ name, version, sync }) => ({ name, version, sync })), results, notes };
}

async function all(bench: Bench, workload: Workload, options: BenchOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (const one of casesOf(workload, options)) results.push(await bench.run(one));
  return results;
}

/** GETs while the first drives of every side whose drives are known are away. */
async function degraded(
  whole: Bench,
  sides: readonly Side[],
  options: BenchOptions,
  notes: string[],
): Promise<Result[]> {
  const able = sides.filter(({ drives }) => drives.length > options.lost);
  for (const { name } of sides.filter((side) => !able.includes(side))) {
    notes.push(`No degraded reads of ${name}: its drives are not known.`);
  }
  if (able.length === 0) return [];
  const cases = casesOf('degraded', options);
  for (const one of cases) await whole.prepare(able, one);
  const back = takeAway(able.flatMap(({ drives }) => drives.slice(0, options.lost)));
  try {
    say(`${options.lost} drives are away; waiting ${options.settleSeconds} s`);
    await sleep(options.settleSeconds * 1000);
    const results: Result[] = [];
    for (const one of cases) results.push(await whole.run(one, able));
    return results;
  } finally {
    back();
  }
}

/** A store that we did not make is its owner's: what was written goes, and what a run left that was broken off. */
async function tidy(others: readonly Side[], driver: Driver): Promise<void> {
  for (const { name, endpoint } of others) {
    const progress = sayProgress(`${name}: removing what was written`);
    await driver.run(endpoint, BUCKET, { kind: 'purge', prefix: '' }, { progress });
  }
}
