/**
 * The parent of a gateway's workers. It holds the data folder, and nothing else of the gateway: it starts workers, starts them anew when they
 * die or stand still, has one of them answer on the admin listener, and ends them one after another.
 */
import cluster from 'node:cluster';
import type { Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { countedBy } from './allMetrics.ts';
import type { MetricValues } from './allMetrics.ts';
import type { Summary } from './banner.ts';
import type { Config } from './config.ts';
import { lockDirectory } from './metadata/directoryLock.ts';
import { makeDurableDirectory } from './metadata/durableDirectory.ts';
import { LOST } from './worker.ts';
import type { FromWorker, ToWorker } from './workerMessages.ts';

/** Pauses before a worker that died is started anew: doubled each time, until one has lived for a while. */
const RESTART_MS = { first: 500, most: 30_000, lived: 60_000 } as const;
/** Starts of a new worker, when workers are replaced, before the old ones are left to go on. */
const ADD_TRIES_MAX = 3;
/** Seconds without a sign of life, counted by the parent's own ticks, after which a worker is killed: it may hold the store's lock. */
const SILENT_TICKS_MAX = 20;
const TICK_MS = 1_000;
/** Wait for metrics of the others. */
const COLLECT_MS = 2_000;
/** How long the worker that does the background work next is waited for, until another answers for the gateway. */
const LEADER_MS = 5_000;
const LOCK_TRIES_MAX = 100;
const LOCK_PAUSE_MS = 100;
/** Over its time for draining, a worker that does not end is killed. */
const STOP_GRACE_MS = 5_000;

interface Running {
  readonly worker: Worker;
  readonly since: number;
  session: string | undefined;
  silentTicks: number;
  readonly exited: Promise<number>;
  isStopping: boolean;
  /** As it told them last. */
  metrics: MetricValues;
}

interface Collection {
  readonly asker: Running;
  readonly askerId: number;
  readonly waiting: Set<Running>;
  readonly timer: NodeJS.Timeout;
}

export interface Workers {
  readonly summary: Summary;
  /** Ends all, each with a part of the time, the last with all that is left. */
  stop(drainMs: number): Promise<void>;
  /** Replaces one after another; the port stays served. */
  replace(drainMs: number): Promise<void>;
}

/** Resolves when all of them serve; undefined when the first could not start, which has said why. */
export async function startWorkers(config: Config): Promise<Workers | { readonly exitCode: number }> {
  const release = await holdData(config);
  const parent = new Parent(config.workers);
  const outcome = await parent.start();
  if (typeof outcome === 'number') {
    release();
    return { exitCode: outcome };
  }
  return {
    summary: outcome,
    async stop(drainMs) {
      await parent.stop(drainMs);
      release();
    },
    replace: (drainMs) => parent.replace(drainMs),
  };
}

/** Waits a moment for workers whose parent has just died: they end by themselves. @throws MetadataError 'Unavailable' */
async function holdData({ metadata, data }: Config): Promise<() => void> {
  if (metadata !== 'lmdb') return () => undefined;
  const directory = join(data, 'metadata');
  makeDurableDirectory(directory);
  for (let tries = 1; ; tries++) {
    try {
      const lock = lockDirectory(directory);
      return () => lock.release();
    } catch (error) {
      if (tries >= LOCK_TRIES_MAX) throw error;
      await wait(LOCK_PAUSE_MS);
    }
  }
}

class Parent {
  readonly #count: number;
  readonly #group = randomBytes(8).toString('hex');
  readonly #running = new Set<Running>();
  readonly #collections = new Map<number, Collection>();
  #admin: Running | undefined;
  /** Who is to answer once the present one has ended to. */
  #nextAdmin: Running | undefined;
  #leaderTimer: NodeJS.Timeout | undefined;
  #collected = 0;
  /** Counted by workers that have ended. */
  #former: MetricValues = [];
  #adding: Promise<void> = Promise.resolve();
  #restartMs: number = RESTART_MS.first;
  #isStopping = false;
  #ticker: NodeJS.Timeout | undefined;

  constructor(count: number) {
    this.#count = count;
  }

  async start(): Promise<Summary | number> {
    // Workers accept for themselves. Dealt out in turn by the parent, connections are spread a little more evenly, but one on its way to a worker
    // that dies is never answered, and one given to a worker that stands still waits for it.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    // The first makes what is to be made, such as keys; the others find it.
    const first = await this.#fork();
    if (typeof first === 'number') return first;
    const others = await Promise.all(Array.from({ length: this.#count - 1 }, () => this.#fork()));
    for (const outcome of others) if (typeof outcome === 'number') void this.#replace(Date.now(), false);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    return first;
  }

  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#leaderTimer);
    const until = performance.now() + drainMs;
    for (const running of this.#running) tell(running, { kind: 'unready' });
    // Who answers for the gateway goes last.
    const order = [...this.#running].sort((a, b) => Number(a === this.#admin) - Number(b === this.#admin));
    const ended: Promise<unknown>[] = [];
    for (const [index, running] of order.entries()) {
      const left = Math.max(0, until - performance.now());
      const ending = this.#end(running, left);
      ended.push(ending);
      const next = new AbortController();
      const share = wait(left / (order.length - index), undefined, { signal: next.signal });
      await Promise.race([ending, share.catch(() => undefined)]);
      next.abort();
    }
    await Promise.all(ended);
  }

  async replace(drainMs: number): Promise<void> {
    const former = [...this.#running];
    for (const running of former) {
      // The new one does not start: the old ones go on.
      if (!(await this.#add())) return;
      await this.#end(running, drainMs);
    }
  }

  /** Starts one more. Not every failure is the settings': on a busy machine one may be taken for dead before it serves. */
  async #add(): Promise<boolean> {
    for (let tries = 1; !this.#isStopping; tries++) {
      const outcome = await this.#fork();
      if (typeof outcome !== 'number') return true;
      process.stderr.write(`A new worker did not start, it ended with ${outcome}\n`);
      if (tries >= ADD_TRIES_MAX) break;
      await wait(RESTART_MS.first * tries);
    }
    return false;
  }

  /** Resolves when it serves; to its exit code when it does not come to that. */
  async #fork(): Promise<Summary | number> {
    const worker = cluster.fork();
    const exited = Promise.withResolvers<number>();
    const ready = Promise.withResolvers<Summary>();
    const running: Running = {
      worker,
      since: Date.now(),
      session: undefined,
      silentTicks: 0,
      exited: exited.promise,
      isStopping: false,
      metrics: [],
    };
    this.#running.add(running);
    worker.on('message', (message: FromWorker) => {
      running.silentTicks = 0;
      if (message.kind === 'ready') ready.resolve(message.summary);
      this.#heard(running, message);
    });
    worker.on('error', () => undefined);
    worker.once('exit', (code, signal) => {
      exited.resolve(code ?? 1);
      this.#ended(running, code ?? 1, signal ?? undefined);
    });
    return await Promise.race([ready.promise, exited.promise]);
  }

  #heard(running: Running, message: FromWorker): void {
    switch (message.kind) {
      case 'alive':
        return;
      case 'hello':
        this.#admin ??= running;
        tell(running, {
          kind: 'begin',
          group: this.#group,
          workers: this.#count,
          admin: this.#admin === running,
        });
        return;
      case 'ready':
        running.session = message.session;
        return;
      case 'leading':
        this.#giveAdmin(running);
        return;
      case 'adminEnded':
        if (this.#admin === running) this.#admin = undefined;
        if (this.#nextAdmin) this.#giveAdmin(this.#nextAdmin);
        return;
      case 'collect':
        running.metrics = message.own;
        this.#collect(running, message.id);
        return;
      case 'counted':
        running.metrics = message.metrics;
        return;
      case 'collected':
        running.metrics = message.metrics;
        this.#arrived(running, message.id);
    }
  }

  /** One at a time answers: the address is the same. */
  #giveAdmin(running: Running): void {
    clearTimeout(this.#leaderTimer);
    if (this.#admin === running || this.#isStopping) return;
    if (this.#admin) {
      this.#nextAdmin = running;
      tell(this.#admin, { kind: 'admin', on: false });
      return;
    }
    this.#nextAdmin = undefined;
    this.#admin = running;
    tell(running, { kind: 'admin', on: true });
  }

  #collect(asker: Running, askerId: number): void {
    const id = ++this.#collected;
    const waiting = new Set([...this.#running].filter((one) => one !== asker && one.session !== undefined));
    const timer = setTimeout(() => this.#answer(id), COLLECT_MS);
    this.#collections.set(id, { asker, askerId, waiting, timer });
    for (const one of waiting) tell(one, { kind: 'collect', id });
    if (waiting.size === 0) this.#answer(id);
  }

  #arrived(running: Running, id: number): void {
    const collection = this.#collections.get(id);
    if (collection?.waiting.delete(running) && collection.waiting.size === 0) this.#answer(id);
  }

  #answer(id: number): void {
    const collection = this.#collections.get(id);
    if (!collection) return;
    this.#collections.delete(id);
    clearTimeout(collection.timer);
    // Of one that does not answer, what it told before: a counter never falls.
    const others = [...this.#running].filter((one) => one !== collection.asker).map(({ metrics }) => metrics);
    const all = [...others, this.#former];
    tell(collection.asker, { kind: 'collected', id: collection.askerId, all });
  }

  /** What a worker has counted stays counted; what it counted after its last word goes with it. */
  #retire({ metrics }: Running): void {
    const add = async (): Promise<void> => {
      this.#former = await countedBy([this.#former, metrics]);
    };
    this.#adding = this.#adding.then(add).catch(() => undefined);
  }

  /** Nobody waits for the answer of one that has ended; what it has counted is added before others are answered. */
  #forgo(running: Running): void {
    for (const id of this.#collections.keys()) void this.#adding.then(() => this.#arrived(running, id));
  }

  #ended(running: Running, code: number, signal?: string): void {
    this.#running.delete(running);
    this.#retire(running);
    this.#forgo(running);
    if (this.#nextAdmin === running) this.#nextAdmin = undefined;
    if (this.#admin === running && !this.#isStopping) {
      this.#admin = undefined;
      // Whoever comes to do the background work says so soon; where that is a process of another machine, nobody does.
      this.#leaderTimer = setTimeout(() => {
        const [any] = [...this.#running].filter(({ session }) => session !== undefined);
        if (any && !this.#admin) this.#giveAdmin(any);
      }, LEADER_MS);
      if (this.#nextAdmin) this.#giveAdmin(this.#nextAdmin);
    }
    const { session } = running;
    if (session !== undefined) for (const other of this.#running) tell(other, { kind: 'exited', session });
    if (this.#isStopping || running.isStopping || session === undefined) return;
    const how = signal === undefined ? `with ${code}` : `by ${signal}`;
    if (code !== LOST)
      process.stderr.write(`Worker ${running.worker.process.pid} ended ${how}: another one is started\n`);
    void this.#replace(running.since, code === LOST);
  }

  async #replace(since: number, atOnce: boolean): Promise<void> {
    if (Date.now() - since >= RESTART_MS.lived) this.#restartMs = RESTART_MS.first;
    for (let tries = 0; ; tries++) {
      if (tries > 0 || !atOnce) {
        const pause = this.#restartMs;
        this.#restartMs = Math.min(RESTART_MS.most, pause * 2);
        await wait(pause);
      }
      if (this.#isStopping || typeof (await this.#fork()) !== 'number') return;
    }
  }

  async #end(running: Running, drainMs: number): Promise<void> {
    running.isStopping = true;
    tell(running, { kind: 'stop', drainMs });
    const kill = setTimeout(() => running.worker.process.kill('SIGKILL'), drainMs + STOP_GRACE_MS);
    await running.exited;
    clearTimeout(kill);
  }

  #tick(): void {
    for (const running of this.#running) {
      if (++running.silentTicks < SILENT_TICKS_MAX) continue;
      process.stderr.write(`Worker ${running.worker.process.pid} stands still: it is ended\n`);
      running.worker.process.kill('SIGKILL');
    }
  }
}

function tell({ worker }: Running, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => undefined);
}
