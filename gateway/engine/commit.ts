/** Read, decide, commit, and again on conflict. The one place that deals with unknown outcomes. */
import { MetadataError } from '../metadata/types.ts';
import type { Bytes, Check, Commit } from '../metadata/types.ts';
import type { Context } from './context.ts';
import { toEngineError } from './errors.ts';
import { KIND } from './keys.ts';
import { EngineError } from './types.ts';

export interface Plan<R> {
  readonly checks: readonly Check[];
  readonly puts: readonly (readonly [Bytes, Bytes])[];
  readonly deletes: readonly Bytes[];
  readonly result: R;
}

/** The commit may or may not have been applied: what it names must be left alone. */
export class UnknownOutcome extends EngineError {
  constructor(cause: unknown) {
    super('Unavailable', 'The outcome of the write is not known', {}, { cause });
  }
}

const ATTEMPTS_MAX = 200;
/** Entries looked at to tell whether a commit was applied; it was applied as a whole or not at all. */
const EVIDENCE_MAX = 16;

/** 'never': not applied, and it can no longer be, since a check of it is broken for good. */
type Outcome = 'applied' | 'not yet' | 'never' | 'unclear';

/**
 * Runs `decide` until its plan is committed. A plan without puts and deletes is an answer and is not committed.
 * @throws UnknownOutcome; EngineError 'OperationAborted' after too many lost races; whatever `decide` throws
 */
export async function commitPlan<R>(
  context: Context,
  partition: number,
  decide: () => Promise<Plan<R>>,
): Promise<R> {
  let doubtful: { readonly plan: Plan<R>; readonly cause: unknown } | undefined;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (attempt > 2) await context.clock.sleep(context.random.fraction() * Math.min(attempt, 20));
    if (doubtful) {
      const outcome = await outcomeOf(context, partition, doubtful.plan).catch(() => 'unclear' as const);
      if (outcome === 'applied') return doubtful.plan.result;
      if (outcome === 'unclear' || attempt > 4) throw new UnknownOutcome(doubtful.cause);
      if (outcome === 'never') doubtful = undefined;
    }
    try {
      // Tried again as it was: decided anew, a plan of unknown outcome that is applied late would be taken for another's write.
      const plan = doubtful?.plan ?? (await decide());
      if (plan.puts.length === 0 && plan.deletes.length === 0) return plan.result;
      const tried = await tryCommit(context, partition, plan);
      if (tried === true) return plan.result;
      if (tried !== false) doubtful = { plan, cause: tried.cause };
    } catch (error) {
      throw doubtful ? new UnknownOutcome(doubtful.cause) : toEngineError(error);
    }
  }
  throw doubtful
    ? new UnknownOutcome(doubtful.cause)
    : new EngineError('OperationAborted', 'A conflicting operation is in progress on this resource');
}

/** The commit's answer, or the error that leaves it open. */
async function tryCommit(
  context: Context,
  partition: number,
  plan: Commit,
): Promise<boolean | { cause: unknown }> {
  try {
    return await context.kv.commit(partition, plan);
  } catch (error) {
    if (error instanceof MetadataError && error.kind === 'Unknown') return { cause: error };
    throw error;
  }
}

async function outcomeOf(context: Context, partition: number, plan: Plan<unknown>): Promise<Outcome> {
  // Garbage and the repair queue are emptied by others at any time, and prove nothing.
  const puts = plan.puts.filter(([key]) => key[0] !== KIND.garbage && key[0] !== KIND.repair);
  const gone = plan.deletes.slice(0, EVIDENCE_MAX).map((key): Check => ({ key, value: null }));
  const written = puts.slice(0, EVIDENCE_MAX).map(([key, value]): Check => ({ key, value }));
  if ((await broken(context, partition, [...written, ...gone])).length === 0) return 'applied';
  const failed = await broken(context, partition, plan.checks);
  if (failed.length === 0) return 'not yet';
  const checked = new Set(plan.checks.map(({ key }) => textOf(key)));
  const isNew = (kind: number): ((put: (typeof puts)[number]) => boolean) => {
    return ([key]) => key[0] === kind && !checked.has(textOf(key));
  };
  // Ids of new chunks and of owners are never used twice: the entry is there only if this very commit was applied.
  const evidence = puts.find(isNew(KIND.chunk)) ?? puts.find(isNew(KIND.ref));
  if (!evidence) return 'unclear';
  if (await context.kv.get(partition, evidence[0])) return 'applied';
  // A value once gone does not come back; an absent key may be absent again.
  return failed.some(({ value }) => value !== null) ? 'never' : 'unclear';
}

const textOf = (key: Bytes): string => Buffer.from(key).toString('latin1');

/** The checks that do not hold. */
async function broken(context: Context, partition: number, checks: readonly Check[]): Promise<Check[]> {
  const failed: Check[] = [];
  for (const check of checks) {
    const { key, value } = check;
    const found = await context.kv.get(partition, key);
    if (value === null ? found !== undefined : !found || Buffer.compare(found, value) !== 0) {
      failed.push(check);
    }
  }
  return failed;
}
