/** Which bucket a chunk was written to: for figures by bucket, not for access. */
import type { ChunkId } from '#placement';
import { allBuckets } from './buckets.ts';
import { BUCKET_ID_BYTES } from './codecs.ts';
import type { Context } from './context.ts';
import { homeOf, refsOf } from './keys.ts';
import type { Hex } from './model.ts';

/** References looked at: the first owner's stays longest, as a rule, and copies do not name a bucket. */
const REFERENCES_MAX = 16;
const NAMES_TTL_MS = 10_000;

/** Undefined when nothing that still refers to the chunk says so. */
export function createBucketOf(context: Context): (chunk: ChunkId) => Promise<string | undefined> {
  let names = new Map<Hex, string>();
  let until = -Infinity;
  const refresh = async (): Promise<void> => {
    const found = new Map<Hex, string>();
    for await (const { name, record } of allBuckets(context)) found.set(record.id, name);
    names = found;
    until = context.clock.now() + NAMES_TTL_MS;
  };
  return async (chunk) => {
    const refs = await context.kv.scan(homeOf(chunk), { ...refsOf(chunk), limit: REFERENCES_MAX });
    const named = refs.find(([, value]) => value.length >= BUCKET_ID_BYTES);
    if (!named) return undefined;
    if (context.clock.now() >= until) await refresh();
    return names.get(Buffer.from(named[1].subarray(0, BUCKET_ID_BYTES)).toString('hex'));
  };
}
