/** Long bodies lie in pages of their own, in the partition of what names them. */
import { MetadataError } from '../metadata/types.ts';
import { bodyCodec, garbageCodec, pageCodec } from './codecs.ts';
import { UnknownOutcome } from './commit.ts';
import { newId } from './context.ts';
import type { Context } from './context.ts';
import { garbageKey, pageKey, pagesOf, pendingKey } from './keys.ts';
import type { BodyPart, GarbageRecord, Hex, StoredBody } from './model.ts';
import { scanPages } from './scan.ts';
import { inlineBody } from './segments.ts';
import { EngineError } from './types.ts';

/** Pages read at once. */
const PAGES_AT_ONCE = 16;

/** A body made durable and not yet named by a version. The commit that names it deletes `pending`. */
export interface PreparedBody {
  readonly bytes: Uint8Array;
  readonly pending?: { readonly id: Hex; readonly garbage: GarbageRecord };
}

/** Declares a body that is about to be named; should that never happen, reclaim makes garbage of it. */
export async function declarePending(
  context: Context,
  partition: number,
  owner: Hex,
  garbage: GarbageRecord,
): Promise<void> {
  await context.session.enter(partition);
  try {
    const done = await context.kv.commit(partition, {
      checks: [context.session.alive()],
      puts: [[pendingKey(context.session.id, owner), garbageCodec.encode(garbage)]],
    });
    if (!done) throw new EngineError('Unavailable', 'This gateway was declared dead by another');
  } catch (error) {
    context.session.doubt();
    throw error;
  }
}

/**
 * Runs the work that ends in the visible commit, which takes the declaration away. Refused for good, the declaration becomes garbage at
 * once; where the outcome is not known, it stays.
 */
export async function whilePending<R>(
  context: Context,
  partition: number,
  { id, garbage }: { id: Hex; garbage: GarbageRecord },
  work: (pending: Uint8Array) => Promise<R>,
): Promise<R> {
  const pending = pendingKey(context.session.id, id);
  try {
    return await work(pending);
  } catch (error) {
    const unknown =
      error instanceof UnknownOutcome || (error instanceof MetadataError && error.kind === 'Unknown');
    const discard = { puts: [[garbageKey(id), garbageCodec.encode(garbage)] as const], deletes: [pending] };
    if (unknown) context.session.doubt();
    else await context.kv.commit(partition, discard).catch(() => context.session.doubt());
    throw error;
  }
}

/** Stores a body: in the bytes returned where it is short, else in pages, declared as garbage of the kind given. */
export async function prepareBody(
  context: Context,
  partition: number,
  parts: readonly BodyPart[],
  kind: 'body' | 'pages',
): Promise<PreparedBody> {
  const inline = inlineBody(parts);
  if (inline.length <= context.options.inlineBodyBytes) return { bytes: inline };
  const id = newId();
  const body: StoredBody = { kind: 'paged', id };
  const garbage: GarbageRecord = kind === 'body' ? { kind, body } : { kind, pages: id };
  await declarePending(context, partition, id, garbage);
  const pending = { id, garbage };
  await whilePending(context, partition, pending, async () => {
    let page = 0;
    for (const group of pagesFor(parts, inline.length, context.options.pageBytes)) {
      await context.kv.commit(partition, { puts: [[pageKey(id, page++), pageCodec.encode(group)]] });
    }
  });
  return { bytes: bodyCodec.encode(body), pending };
}

/** Groups of parts of about `pageBytes` each, judged by the mean size of a segment. */
function* pagesFor(
  parts: readonly BodyPart[],
  encodedBytes: number,
  pageBytes: number,
): Iterable<readonly BodyPart[]> {
  const weight = (part: BodyPart): number => part.segments.length + 1;
  const total = parts.reduce((sum, part) => sum + weight(part), 0);
  const weightMax = (pageBytes / encodedBytes) * total;
  let group: BodyPart[] = [];
  let sum = 0;
  for (const part of parts) {
    if (group.length > 0 && sum + weight(part) > weightMax) {
      yield group;
      group = [];
      sum = 0;
    }
    group.push(part);
    sum += weight(part);
  }
  if (group.length > 0) yield group;
}

/** Pages of a body, in order. Fewer than it had, or none, once reclaim is at work on it. */
export async function* readPages(
  context: Context,
  partition: number,
  id: Hex,
): AsyncIterable<readonly BodyPart[]> {
  for await (const found of scanPages(context.kv, partition, pagesOf(id), PAGES_AT_ONCE)) {
    for (const [, value] of found) yield pageCodec.decode(value);
  }
}

export async function loadParts(context: Context, partition: number, body: StoredBody): Promise<BodyPart[]> {
  if (body.kind === 'inline') return [...body.parts];
  const parts: BodyPart[] = [];
  for await (const page of readPages(context, partition, body.id)) parts.push(...page);
  return parts;
}
