import type { JobReport } from '../admin/types.ts';

/** What `shardway repair` knows of chunks that it could not repair, as placement's RepairReport has it. */
interface Lacking {
  readonly waiting?: number;
  readonly unreadable?: readonly string[];
  readonly failed?: readonly { readonly id: string; readonly reason: string }[];
}

/** Names of shards and providers, which differ from chunk to chunk where the reason is the same. */
const NAMES = /\b(?:shard \d+|provider [0-9a-f]{32}): |\b[0-9a-f]{32}(?:\.\d+)?\b|\bhttps?:\/\/\S+/g;
const REASONS_MAX = 10;

/** The summary of a repair, and why chunks still lack redundancy: each reason with the number of its chunks, and where to look next. */
export function repairText({ ok, summary, details }: JobReport): string {
  if (ok) return summary;
  const { waiting = 0, unreadable = [], failed = [] } = details as Lacking;
  const counts = new Map<string, number>();
  const add = (reason: string, count = 1): void => {
    if (count > 0) counts.set(reason, (counts.get(reason) ?? 0) + count);
  };
  add(
    'too few of its shards can be read now: it needs providers that are away, or is lost',
    unreadable.length,
  );
  add('waits for shards of an unreachable provider, which is given time to return', waiting);
  for (const { reason } of failed) for (const each of reasonsIn(reason)) add(each);
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  const rest = sorted.length - REASONS_MAX;
  return [
    summary,
    'Why (chunks; one may have several reasons):',
    ...sorted.slice(0, REASONS_MAX).map(([reason, count]) => `  ${count}  ${reason}`),
    ...(rest > 0 ? [`  and ${rest} other reasons`] : []),
    '`shardway status` shows which providers are unreachable or full, `shardway repair --json` the reason of each chunk',
  ].join('\n');
}

/** The different reasons in one text, without the names in them. */
function reasonsIn(text: string): ReadonlySet<string> {
  const reasons = text.split('; ').map((part) => part.replaceAll(NAMES, '').replace(/\s+/g, ' ').trim());
  return new Set(reasons.map((reason) => (reason === '' ? 'no reason is known' : reason)));
}
