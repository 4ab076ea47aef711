/** Long bodies lie in pages of their own, in the partition of what names them. */
import { bodyCodec, garbageCodec, pageCodec } from './codecs.ts';
import { newId } from './context.ts';
import type { Context } from './context.ts';
import { pageKey, pagesOf, pendingKey } from './keys.ts';
import type { BodyPart, GarbageRecord, Hex, StoredBody } from './model.ts';
import { inlineBody } from './segments.ts';
import { EngineError } from './types.ts';

/** Pages read at once. */
const PAGES_AT_ONCE = 16;

/** A body made durable and not yet named by a version. The commit that names it deletes `pending`. */
export interface PreparedBody {
  readonly bytes: Uint8Array;
  readonly pending?: Hex;
}

/** Declares a body that is about to be named; should that never happen, reclaim makes garbage of it. */
export async function declarePending(
  context: Context,
  partition: number,
  owner: Hex,
  garbage: GarbageRecord,
): Promise<void> {
  await context.session.enter(partition);
  const done = await context.kv.commit(partition, {
    checks: [context.session.alive()],
    puts: [[pendingKey(context.session.id, owner), garbageCodec.encode(garbage)]],
  });
  if (!done) throw new EngineError('Unavailable', 'This gateway was declared dead by another');
}

/** Stores a body: in the bytes returned where it is short, else in pages, declared as garbage of the kind given. */
export async function prepareBody(
  context: Context,
  partition: number,
  parts: readonly BodyPart[],
  garbage: 'body' | 'pages',
): Promise<PreparedBody> {
  const inline = inlineBody(parts);
  if (inline.length <= context.options.inlineBodyBytes) return { bytes: inline };
  const body: StoredBody = { kind: 'paged', id: newId() };
  const { id } = body;
  await declarePending(
    context,
    partition,
    id,
    garbage === 'body' ? { kind: 'body', body } : { kind: 'pages', pages: id },
  );
  let page = 0;
  for (const group of pagesFor(parts, inline.length, context.options.pageBytes)) {
    await context.kv.commit(partition, { puts: [[pageKey(id, page++), pageCodec.encode(group)]] });
  }
  return { bytes: bodyCodec.encode(body), pending: id };
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
  const range = pagesOf(id);
  let { from } = range;
  for (;;) {
    const found = await context.kv.scan(partition, { from, to: range.to, limit: PAGES_AT_ONCE });
    for (const [, value] of found) yield pageCodec.decode(value);
    if (found.length < PAGES_AT_ONCE) return;
    from = Buffer.concat([found.at(-1)![0], Buffer.of(0)]);
  }
}

export async function loadParts(context: Context, partition: number, body: StoredBody): Promise<BodyPart[]> {
  if (body.kind === 'inline') return [...body.parts];
  const parts: BodyPart[] = [];
  for await (const page of readPages(context, partition, body.id)) parts.push(...page);
  return parts;
}
