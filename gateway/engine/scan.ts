import type { Bytes, Entry, KeyValueStore } from '../metadata/types.ts';

const ZERO = Buffer.of(0);

/** The smallest key behind this one. */
export const justAfter = (key: Bytes): Buffer => Buffer.concat([key, ZERO]);

/** A range page by page. What is deleted or added meanwhile behind the last page is seen as it is by then. */
export async function* scanPages(
  kv: KeyValueStore,
  partition: number,
  range: { readonly from: Bytes; readonly to: Bytes },
  limit: number,
): AsyncIterable<readonly Entry[]> {
  let { from } = range;
  for (;;) {
    const page = await kv.scan(partition, { from, to: range.to, limit });
    const last = page[page.length - 1];
    if (!last) return;
    yield page;
    if (page.length < limit) return;
    from = justAfter(last[0]);
  }
}

/** Works on a few items at a time. */
export async function inGroups<T, R>(
  items: readonly T[],
  size: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += size) {
    results.push(...(await Promise.all(items.slice(at, at + size).map(work))));
  }
  return results;
}
