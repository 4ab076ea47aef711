import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.ts';
import { announce, contentOf, folderKeyOf, keyOf } from './content.ts';
import { runLanes } from './lanes.ts';
import { startLoad } from './loads.ts';
import { Signer } from './signer.ts';
import { largeReads, largeUpload } from './large.ts';
import type { Endpoint, Load, ObjectSet, Outcome, Task } from './types.ts';
import { each, expectSame } from './work.ts';
import type { Work } from './work.ts';

/** Preparations end when they are done. */
const NO_END_SECONDS = 24 * 3600;

export interface Events {
  /** The connections are open, the first request goes out. */
  began(): void;
  progress(done: number, of: number): void;
}

/** @throws Error what a preparation failed with; a load counts its failures instead */
export async function runTask(
  endpoint: Endpoint,
  bucket: string,
  task: Task,
  events: Events,
): Promise<Outcome> {
  const lanes = 'concurrency' in task ? task.concurrency : 1;
  const signer = new Signer(endpoint);
  const clients = Array.from({ length: lanes }, () => new Client(endpoint.url, signer, bucket));
  const work = prepare(task, lanes);
  try {
    await Promise.all(clients.map((client) => client.open()));
    await work.begin?.(clients[0]!);
    events.began();
    const seconds = task.kind === 'load' ? task.seconds : NO_END_SECONDS;
    const onDone = (done: number): void => events.progress(done, work.of);
    const abandon = task.kind === 'load' && task.abandon === true;
    const outcome = await runLanes(clients, work.next, seconds, onDone, abandon);
    if (task.kind !== 'load' && outcome.failure !== undefined) {
      throw new Error(`${task.kind} at ${endpoint.url}: ${outcome.failure}`);
    }
    await work.finish?.(clients[0]!);
    return { ...outcome, written: work.written?.() ?? [] };
  } finally {
    for (const client of clients) client.close();
  }
}

function prepare(task: Task, lanes: number): Work {
  switch (task.kind) {
    case 'load': {
      announce(sizeOf(task.load));
      return { ...startLoad(task.load, lanes), of: 0 };
    }
    case 'fill':
      return fill(task.objects, task.from, task.folders);
    case 'verify':
      return each(task.numbers, async (client, number) => {
        const { prefix, size } = task.objects;
        announce(size);
        expectSame(await client.read(keyOf(prefix, number)), contentOf(number, size), keyOf(prefix, number));
      });
    case 'bucket':
      return each([0], (client) => client.makeBucket());
    case 'purge':
      return purge(task.prefix);
    case 'large':
      return largeUpload(task);
    case 'readLarge':
      return largeReads(task);
  }
}

/** Of the bodies that the load sends. */
function sizeOf(load: Load): number {
  if (load.kind === 'put') return load.size;
  if (load.kind === 'mixed') return load.objects.size;
  return load.kind === 'multipart' ? load.partBytes : 0;
}

function fill({ prefix, count, size }: ObjectSet, from: number, folders: boolean): Work {
  announce(size);
  const name = folders ? folderKeyOf : keyOf;
  let number = from;
  return {
    of: count - from,
    next: () => {
      if (number >= count) return undefined;
      const at = number++;
      return async (client) => {
        await patiently(() => client.put(name(prefix, at), contentOf(at, size)));
        return { bytes: size };
      };
    },
  };
}

/** What is not measured waits as every SDK does when it is asked to. */
async function patiently(work: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await work();
      return;
    } catch (error) {
      if (
        tries >= 10 ||
        !(error instanceof Error) ||
        !/ 503 (SlowDown|ServiceUnavailable)/.test(error.message)
      )
        throw error;
      await sleep(200 * tries);
    }
  }
}

/** Page by page until none is left; listed anew each time. */
function purge(prefix: string): Work {
  let ended = false;
  return {
    of: 0,
    next: () => {
      if (ended) return undefined;
      return async (client) => {
        const { text } = await client.list(prefix, undefined);
        const keys = [...text.matchAll(/<Key>([^<]+)</g)].map((match) => match[1]!);
        if (keys.length === 0) ended = true;
        else await client.removeAll(keys);
        return { keys: keys.length };
      };
    },
  };
}
