import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Case } from './cases.ts';
import type { Driver } from './driver.ts';
import type { BenchOptions } from './options.ts';
import { cpuSecondsOf, watch } from './processes.ts';
import type { Usage } from './processes.ts';
import { say, sayProgress } from './progress.ts';
import type { Side } from './side.ts';
import { median } from './statistics.ts';
import type { Load, ObjectSet, Outcome } from './types.ts';

/** One run of a load. Everything is per run; failed operations are not among the operations. */
export interface Sample extends Omit<Outcome, 'written'> {
  /** Undefined where the server's processes are not known. */
  readonly usage: Usage | undefined;
}

/** Medians of the rounds. */
export interface Figures {
  readonly operationsPerSecond: number;
  /** 10^6 bytes per second. */
  readonly MBps: number;
  readonly keysPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Microseconds of the server's CPU per operation. */
  readonly cpuUs: number | undefined;
  readonly peakRssBytes: number | undefined;
  readonly peakAnonymousBytes: number | undefined;
  /** Share of one core that the load generator used: near 1, it was the bottleneck. */
  readonly clientShare: number;
  /** Of all rounds. */
  readonly operations: number;
  readonly failed: number;
  readonly failure: string | undefined;
}

export interface Result {
  readonly case: Pick<Case, 'name' | 'workload' | 'size' | 'concurrency' | 'unit'>;
  /** By side. */
  readonly figures: Readonly<Record<string, Figures>>;
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
}

/** Emptied before and after. */
export const BUCKET = 'shardway-bench';
const FILL_CLIENTS = 32;
/** An object of this many bytes is filled by few clients. */
const LARGE = 8 * 2 ** 20;
/** Before a run, until the server has done what it does after answering. */
const QUIET_SECONDS_MAX = 5;
const QUIET_SHARE = 0.05;
const WARM_UP_SECONDS = 1;

/** Runs cases on all sides in turn. */
export class Bench {
  readonly #driver: Driver;
  readonly #sides: readonly Side[];
  readonly #options: BenchOptions;
  readonly #filled = new Set<string>();

  constructor(driver: Driver, sides: readonly Side[], options: BenchOptions) {
    this.#driver = driver;
    this.#sides = sides;
    this.#options = options;
  }

  /** @throws Error when what is read is not what was written, or a preparation fails */
  async run(one: Case, sides = this.#sides): Promise<Result> {
    const samples = Object.fromEntries(sides.map(({ name }) => [name, [] as Sample[]]));
    await this.prepare(sides, one);
    for (const side of sides) await this.#turn(side, one, 0, WARM_UP_SECONDS);
    for (let round = 1; round <= this.#options.rounds; round++) {
      for (const side of sides) {
        const sample = await this.#turn(side, one, round, this.#options.seconds);
        samples[side.name]!.push(sample);
        say(`${one.name}, round ${round}, ${side.name}: ${line(sample)}`);
      }
    }
    const figures = Object.fromEntries(
      Object.entries(samples).map(([name, each]) => [name, figuresOf(each)]),
    );
    const { name, workload, size, concurrency, unit } = one;
    return { case: { name, workload, size, concurrency, unit }, figures, samples };
  }

  /** Writes what the case reads, once, and reads some of it back. */
  async prepare(sides: readonly Side[], { needs }: Case): Promise<void> {
    if (needs === undefined) return;
    const { objects, folders } = needs;
    for (const side of sides) {
      const id = `${side.name} ${objects.prefix}`;
      if (!this.#filled.has(id)) await this.#fill(side, objects, folders);
      this.#filled.add(id);
      if (folders) continue;
      await this.#verify(side, objects, [0, Math.floor(objects.count / 2), objects.count - 1]);
    }
  }

  async #fill(side: Side, objects: ObjectSet, folders: boolean): Promise<void> {
    const what = `${side.name}: writing ${objects.prefix}`;
    const concurrency = objects.size >= LARGE ? 4 : FILL_CLIENTS;
    await this.#driver.run(
      side.endpoint,
      BUCKET,
      { kind: 'fill', objects, from: 0, concurrency, folders },
      { progress: sayProgress(what) },
    );
  }

  async #verify(side: Side, objects: ObjectSet, numbers: readonly number[]): Promise<void> {
    await this.#driver.run(side.endpoint, BUCKET, { kind: 'verify', objects, numbers });
  }

  /** Round 0 warms up. */
  async #turn(side: Side, one: Case, round: number, seconds: number): Promise<Sample> {
    const consumed = one.consumes?.(round);
    if (consumed !== undefined) await this.#fill(side, consumed, false);
    const load = one.load(round);
    await quiet(side);
    const sample = await this.#measure(
      side,
      load,
      one.concurrency,
      round > 0 ? (one.secondsMax ?? seconds) : seconds,
    );
    if (load.kind === 'put' && sample.written.length > 0) {
      await this.#verify(side, { prefix: load.prefix, size: load.size, count: 0 }, sample.written);
    }
    const left = one.leaves?.(round);
    if (left !== undefined) {
      await this.#driver.run(side.endpoint, BUCKET, { kind: 'purge', prefix: left });
    }
    const { written: _, ...rest } = sample;
    return rest;
  }

  async #measure(
    side: Side,
    load: Load,
    concurrency: number,
    seconds: number,
  ): Promise<Sample & Pick<Outcome, 'written'>> {
    let meter: ReturnType<typeof watch> | undefined;
    const began = (): void => {
      if (side.watched !== undefined) meter = watch(side.watched);
    };
    const task = { kind: 'load', load, concurrency, seconds } as const;
    const outcome = await this.#driver.run(side.endpoint, BUCKET, task, { began });
    return { ...outcome, usage: meter?.stop() };
  }
}

/** Writes of the run before are on disk, and the server idles, as far as that can be waited for. */
async function quiet({ watched }: Side): Promise<void> {
  await promisify(execFile)('sync');
  if (watched === undefined) return;
  for (let waited = 0; waited < QUIET_SECONDS_MAX; waited += 0.25) {
    const before = cpuSecondsOf(watched);
    await new Promise((resolve) => setTimeout(resolve, 250));
    if (cpuSecondsOf(watched) - before <= QUIET_SHARE * 0.25) return;
  }
}

/** Medians over the rounds. */
export function figuresOf(samples: readonly Sample[]): Figures {
  const of = (value: (sample: Sample) => number): number => median(samples.map(value));
  const known = samples.flatMap((sample) =>
    sample.usage === undefined ? [] : [{ ...sample, usage: sample.usage }],
  );
  const usage = (value: (sample: (typeof known)[number]) => number): number | undefined =>
    known.length === 0 ? undefined : median(known.map(value));
  return {
    operationsPerSecond: of(({ operations, seconds }) => operations / seconds),
    MBps: of(({ bytes, seconds }) => bytes / 1e6 / seconds),
    keysPerSecond: of(({ keys, seconds }) => keys / seconds),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    cpuUs: usage(({ usage, operations }) => (usage.cpuSeconds * 1e6) / Math.max(1, operations)),
    peakRssBytes: usage((sample) => sample.usage.peakRssBytes),
    peakAnonymousBytes: usage((sample) => sample.usage.peakAnonymousBytes),
    clientShare: of(({ clientCpu, seconds }) => clientCpu / seconds),
    operations: samples.reduce((sum, { operations }) => sum + operations, 0),
    failed: samples.reduce((sum, { failed }) => sum + failed, 0),
    failure: samples.find(({ failure }) => failure !== undefined)?.failure,
  };
}

function line(sample: Sample): string {
  const { operationsPerSecond, MBps, p99Ms, cpuUs, failed, failure } = figuresOf([sample]);
  const parts = [
    `${operationsPerSecond.toFixed(operationsPerSecond < 100 ? 1 : 0)} op/s`,
    ...(sample.bytes > 0 ? [`${MBps.toFixed(1)} MB/s`] : []),
    `p99 ${p99Ms.toFixed(1)} ms`,
    ...(cpuUs === undefined ? [] : [`CPU ${cpuUs.toFixed(0)} µs/op`]),
    ...(failed === 0 ? [] : [`${failed} FAILED: ${failure}`]),
  ];
  return parts.join(', ');
}
