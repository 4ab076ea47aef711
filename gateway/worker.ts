/** A worker: one of the processes that a gateway's parent starts, which share its port and its store. */
import { setTimeout as delay } from 'node:timers/promises';
import { startGateway } from './app.ts';
import type { Gateway } from './app.ts';
import type { MetricValues } from './allMetrics.ts';
import type { Config } from './config.ts';
import { GivenRole } from './role.ts';
import type { FromWorker, ToWorker } from './workerMessages.ts';

const ALIVE_MS = 1_000;
/** How long the others are waited for when metrics are asked for. */
const COLLECT_MS = 3_000;
/** Requests of a process that was declared dead: their writes are refused anyhow. */
export const LOST_DRAIN_MS = 5_000;
/** Longest time that everything else of it may take to end. */
export const LOST_STOP_MS = 20_000;
/** Least memory for uploads; the setting's own minimum. */
const UPLOAD_BYTES_MIN = 16 * 1024 * 1024;

/** Exit code of a worker that was declared dead and is to be started anew. */
export const LOST = 75;

const say = (message: FromWorker): void => void process.send?.(message);
/** Resolves once it is on its way. */
const said = async (message: FromWorker): Promise<void> =>
  await new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));

/** Serves until the parent says otherwise. Resolves to the exit code. @throws as `startGateway` */
export async function runWorker(config: Config, version: string): Promise<number> {
  // The parent is told of signals, too, and ends its workers one after another.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  // Without its parent nobody could stop it. An exit would wait for the store's writer, which may be waiting for this very thread, and the next
  // gateway for this process; what was acknowledged is durable, and the rest is a crash's.
  process.prependListener('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  const begun = Promise.withResolvers<ToWorker & { kind: 'begin' }>();
  const ended = Promise.withResolvers<number>();
  const collections = new Collections(async () => (await gateway?.metrics()) ?? []);
  const admin = new GivenRole(false, (error) => ended.reject(error));
  const started = Promise.withResolvers<Gateway>();
  started.promise.catch(() => undefined);
  let gateway: Gateway | undefined;

  process.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'begin':
        begun.resolve(message);
        return;
      case 'admin':
        void admin.set(message.on).then(() => !message.on && say({ kind: 'adminEnded' }));
        return;
      case 'exited':
        gateway?.exited(message.session);
        return;
      case 'unready':
        gateway?.unready();
        return;
      case 'stop':
        void stopCounted(started.promise, message.drainMs).then(() => ended.resolve(0), ended.reject);
        return;
      case 'collect':
        void gateway?.metrics().then((metrics) => say({ kind: 'collected', id: message.id, metrics }));
        return;
      case 'collected':
        collections.arrived(message.id, message.all);
    }
  });
  setInterval(() => say({ kind: 'alive' }), ALIVE_MS).unref();
  say({ kind: 'hello' });
  const { group, workers, admin: isAdmin } = await begun.promise;
  await admin.set(isAdmin);
  const uploadMemory = Math.max(UPLOAD_BYTES_MIN, Math.floor(config.uploadMemory / workers));
  const place = { group, admin, collect: () => collections.ask() };
  const readCache = Math.floor(config.readCache / workers);
  gateway = await startGateway({ ...config, uploadMemory, readCache }, version, place);
  started.resolve(gateway);
  const { summary, session, leadership } = gateway;
  say({ kind: 'ready', session, summary });
  await leadership.whileHeld(async () => {
    say({ kind: 'leading' });
    return async () => undefined;
  });
  return await Promise.race([ended.promise, endWhenLost(gateway)]);
}

/** What it has counted outlives it. */
async function stopCounted(started: Promise<Gateway>, drainMs: number): Promise<void> {
  const gateway = await started;
  await gateway.stop(drainMs);
  await said({ kind: 'counted', metrics: await gateway.metrics() });
}

async function endWhenLost(gateway: Gateway): Promise<number> {
  await gateway.lost;
  process.stderr.write('This worker was taken for dead, as after a long standstill: it starts anew\n');
  // Whatever hangs ends with the process.
  await Promise.race([gateway.stop(LOST_DRAIN_MS).catch(() => undefined), delay(LOST_STOP_MS)]);
  return LOST;
}

/** Questions to the other workers that have not been answered. */
class Collections {
  readonly #open = new Map<number, (all: readonly MetricValues[]) => void>();
  readonly #own: () => Promise<MetricValues>;
  #last = 0;

  constructor(own: () => Promise<MetricValues>) {
    this.#own = own;
  }

  async ask(): Promise<readonly MetricValues[]> {
    const id = ++this.#last;
    const answer = Promise.withResolvers<readonly MetricValues[]>();
    this.#open.set(id, answer.resolve);
    const timer = setTimeout(() => this.arrived(id, []), COLLECT_MS);
    try {
      say({ kind: 'collect', id, own: await this.#own() });
      return await answer.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  arrived(id: number, all: readonly MetricValues[]): void {
    this.#open.get(id)?.(all);
    this.#open.delete(id);
  }
}
