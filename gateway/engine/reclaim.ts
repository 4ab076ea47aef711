/**
 * Frees what nothing needs any more: bodies that were overwritten or deleted, parts of uploads that are over, chunks that lost their last
 * reference, leftovers of dead sessions and of writes given up. Every step can be cut anywhere and run again.
 */
import type { Context } from './context.ts';
import { compactPacks } from './compact.ts';
import { clearAbandoned, clearDeadSessions, liveSessions } from './deadSessions.ts';
import { Deletions } from './deletions.ts';
import { deleteDoomed } from './doomed.ts';
import { toEngineError } from './errors.ts';
import { dropGarbage } from './garbage.ts';
import { completedKey, idAt, KIND, ofKind } from './keys.ts';
import { inGroups, scanPages } from './scan.ts';

const PAGE = 256;
/** Side by side, they wait for readers together. */
const PARTITIONS_AT_ONCE = 16;
/** Kind and time before the upload's id. */
const UPLOAD_AT = 9;

interface ReclaimReport {
  /** Reserved chunk ids of dead sessions that were looked after. */
  readonly reservedIds: number;
  /** Bodies and uploads whose references were taken. */
  readonly garbage: number;
  /** Chunks deleted from the providers. */
  readonly chunks: number;
  /** Bodies moved out of packs that were mostly holes. */
  readonly compacted: number;
  /** Chunks written for nothing by this process. */
  readonly abandoned: number;
  /** Answers of completed uploads forgotten. */
  readonly expired: number;
  /** Left for another run: a provider did not answer, or a record changed meanwhile. */
  readonly failed: number;
}

/** What waits to be freed. */
interface Waiting {
  /** Bodies and uploads that nothing names any more. */
  readonly bodies: number;
  /** Chunks that have lost a reference, and go with the last. */
  readonly chunks: number;
}

export interface Reclaim {
  /** One whole pass. Passes queue up; none runs beside another. */
  runOnce(): Promise<ReclaimReport>;
  /** Runs a pass now and then until `stop`. `onError` hears of passes that failed. */
  start(onError?: (error: unknown) => void): void;
  /** Counts up to `most` of each. @throws EngineError */
  waiting(most: number): Promise<Waiting>;
  /** Resolves once no pass is under way. */
  stop(): Promise<void>;
}

/** Among several processes: each clears up after itself, and the holder of the lease after everybody. */
export interface Holder {
  isHeld(): boolean;
  /** The context of the holder's work: its commits are fenced, and its pins are those of all processes. */
  readonly context: Context;
  /** Reads everyone's beat. */
  look(): Promise<void>;
}

export function createReclaim(context: Context, holder?: Holder): Reclaim {
  let stopping: AbortController | undefined;
  let loop: Promise<void> | undefined;
  const deletions = new Deletions((holder?.context ?? context).chunks, context.clock);
  const runOnce = async (): Promise<ReclaimReport> => {
    try {
      return await context.locks.run('reclaim', () => pass(context, holder, deletions));
    } catch (error) {
      throw toEngineError(error);
    }
  };
  return {
    runOnce: async () => {
      // Whoever asks wants everything tried now.
      deletions.retryAll();
      return await runOnce();
    },
    start: (onError = () => undefined) => {
      if (stopping) return;
      stopping = new AbortController();
      loop = repeat(context, runOnce, stopping.signal, onError);
    },
    waiting: async (most) => {
      try {
        const kinds = [KIND.garbage, KIND.doomed] as const;
        // Waited for together: where the store is away, both fail, and one that nobody waits for would end the process.
        const [bodies, chunks] = await Promise.all(kinds.map((kind) => countOf(context, kind, most)));
        return { bodies: bodies!, chunks: chunks! };
      } catch (error) {
        throw toEngineError(error);
      }
    },
    stop: async () => {
      stopping?.abort();
      stopping = undefined;
      await loop;
      // A pass that someone else asked for.
      await context.locks.run('reclaim', async () => undefined);
    },
  };
}

async function countOf({ kv }: Context, kind: number, most: number): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < kv.partitions; partition++) {
    for await (const page of scanPages(kv, partition, ofKind(kind), PAGE)) {
      count += page.length;
      if (count >= most) return most;
    }
  }
  return count;
}

async function repeat(
  context: Context,
  runOnce: () => Promise<ReclaimReport>,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    await runOnce().catch(onError);
    await context.clock.sleep(context.options.reclaimEveryMs, signal).catch(() => undefined);
  }
}

async function pass(
  context: Context,
  holder: Holder | undefined,
  deletions: Deletions,
): Promise<ReclaimReport> {
  const abandoned = await clearAbandoned(context);
  if (!holder) return await passForAll(context, deletions, abandoned);
  if (!holder.isHeld()) return { ...NOTHING, abandoned: abandoned.ids, failed: abandoned.failed };
  // Sessions that nobody knows are dead for certain after one more look.
  await liveSessions(context);
  await holder.look();
  return await passForAll(holder.context, deletions, abandoned);
}

const NOTHING = { reservedIds: 0, garbage: 0, chunks: 0, compacted: 0, expired: 0 };

async function passForAll(
  context: Context,
  deletions: Deletions,
  abandoned: { readonly ids: number; readonly failed: number },
): Promise<ReclaimReport> {
  const sessions = await clearDeadSessions(context);
  let garbage = 0;
  let chunks = 0;
  let expired = 0;
  let compacted = 0;
  let { failed } = sessions;
  failed += abandoned.failed;
  // References first, in every partition: a body's chunks may lie in others than the body.
  const partitions = Array.from({ length: context.kv.partitions }, (_, partition) => partition);
  await inGroups(partitions, PARTITIONS_AT_ONCE, async (partition) => {
    for (let dropped = 1; dropped > 0; garbage += dropped) dropped = await dropGarbage(context, partition);
  });
  for (let partition = 0; partition < context.kv.partitions; partition++) {
    const doomed = await deleteDoomed(context, partition, deletions);
    chunks += doomed.deleted;
    failed += doomed.failed;
    expired += await forgetCompleted(context, partition);
    const moved = await compactPacks(context, partition, doomed.sparse);
    compacted += moved.bodies;
    failed += moved.failed;
  }
  return { reservedIds: sessions.ids, garbage, chunks, compacted, abandoned: abandoned.ids, expired, failed };
}

async function forgetCompleted(context: Context, partition: number): Promise<number> {
  const { from } = ofKind(KIND.expiry);
  const now = Buffer.alloc(8);
  now.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(context.clock.now()))));
  const to = Buffer.concat([from, now]);
  let expired = 0;
  for (;;) {
    const page = await context.kv.scan(partition, { from, to, limit: PAGE });
    if (page.length === 0) return expired;
    await context.kv.commit(partition, {
      deletes: page.flatMap(([key]) => [key, completedKey(idAt(key, UPLOAD_AT, 16))]),
    });
    expired += page.length;
  }
}
