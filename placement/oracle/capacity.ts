import type { Observation } from '../network/messages.ts';

type Observed = Observation['providers'][number];

/** A provider whose stored bytes are more than it says are used by no more than this share says nothing wrong: records and files differ. */
const USED_TOLERANCE = 0.01;
/** Bytes by which they may differ at any time: what was written or deleted since it last spoke. */
const USED_SLACK_BYTES = 256 * 1024 * 1024;
/** Share of the capacity by which what it tells monitors may differ from what it tells the gateway: they ask at other times. */
const FREE_TOLERANCE = 0.1;
/** Space is not proven: whatever it says of it, a provider that serves is worth something. */
const HONESTY_MIN = 0.01;

/**
 * C: how far what a provider says of its space can be relied on, in [0.01, 1]: the least of
 * - the share of writes that it took while it said it had room,
 * - the bytes it says are used, of those that are stored there: with less it cannot hold them,
 * - the free space it tells monitors against what it tells the gateway.
 *
 * What is stored is counted as the era opens; what is used, before and after, so that neither writes nor deletes in between look like a lie:
 * where nothing was said before, nothing can be compared.
 * @param former of the era before
 * @param monitorsFree median of what monitors were told, in bytes
 * @returns undefined when nothing is known
 */
export function capacityHonesty(
  observed: Observed | undefined,
  former: Observed | undefined,
  monitorsFree: number | undefined,
): number | undefined {
  if (observed === undefined) return undefined;
  const parts = [taken(observed), used(observed, former), told(observed, monitorsFree)].filter(
    (part) => part !== undefined,
  );
  return parts.length === 0 ? undefined : Math.max(HONESTY_MIN, Math.min(...parts));
}

function taken({ writes, refusedWithSpace }: Observed): number | undefined {
  const asked = writes + refusedWithSpace;
  return asked === 0 ? undefined : writes / asked;
}

function used({ storedBytes, space }: Observed, former: Observed | undefined): number | undefined {
  if (former?.space === undefined) return undefined;
  const claims = [space ?? former.space, former.space].map((said) => said.capacity - said.free);
  const claimed = Math.max(0, ...claims);
  return claimed >= storedBytes * (1 - USED_TOLERANCE) - USED_SLACK_BYTES ? 1 : claimed / storedBytes;
}

function told({ space }: Observed, monitorsFree: number | undefined): number | undefined {
  if (space === undefined || monitorsFree === undefined) return undefined;
  if (Math.abs(space.free - monitorsFree) <= FREE_TOLERANCE * space.capacity) return 1;
  return Math.min(space.free, monitorsFree) / Math.max(space.free, monitorsFree);
}
