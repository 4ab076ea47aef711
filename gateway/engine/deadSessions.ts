/** One step of reclaim: clears up after processes that are gone. */
import type { ChunkId } from '#placement';
import type { KeyValueStore } from '../metadata/types.ts';
import { reservationCodec } from './codecs.ts';
import type { Context } from './context.ts';
import {
  chunkKey,
  garbageKey,
  homeOf,
  idAt,
  KIND,
  ofKind,
  pendingOf,
  reservationKey,
  sessionKey,
} from './keys.ts';
import type { Hex, ReservationRecord } from './model.ts';
import { inGroups, scanPages } from './scan.ts';
import { chunkIdOf } from './session.ts';

const PAGE = 256;
/** Chunks looked for at the same time. */
const AT_ONCE = 8;
/** Kind and session id before the owner's. */
const OWNER_AT = 9;

export interface SessionsResult {
  /** Reserved ids looked after. */
  readonly ids: number;
  /** Ids that a provider could not be asked about: tried again. */
  readonly failed: number;
}

/** Sessions that have reserved something and may still use it. */
export async function liveSessions({ kv, session, options }: Context): Promise<Set<Hex>> {
  const live = new Set<Hex>();
  for (let partition = 0; partition < kv.partitions; partition++) {
    for await (const page of scanPages(kv, partition, ofKind(KIND.reservation), PAGE)) {
      for (const [key] of page) {
        const one = idAt(key, 1, 8);
        if (one === session.id || options.isLive(one)) live.add(one);
      }
    }
  }
  return live;
}

/**
 * First takes the life of every dead session, everywhere: from then on none of its commits applies. Then its pending bodies become garbage,
 * and its reserved chunk ids without a record are deleted from the providers.
 */
export async function clearDeadSessions(context: Context): Promise<SessionsResult> {
  const { kv } = context;
  const dead: { partition: number; session: Hex; reservation: ReservationRecord }[] = [];
  for (let partition = 0; partition < kv.partitions; partition++) {
    for (const [key, value] of await kv.scan(partition, { ...ofKind(KIND.reservation), limit: PAGE })) {
      const session = idAt(key, 1, 8);
      if (session === context.session.id || context.options.isLive(session)) continue;
      dead.push({ partition, session, reservation: reservationCodec.decode(value) });
    }
  }
  for (const { partition, session } of dead) {
    await kv.commit(partition, { deletes: [sessionKey(session)] });
  }
  let ids = 0;
  let failed = 0;
  for (const { partition, session, reservation } of dead) {
    await discardPending(context, partition, session);
    const left = await settle(context, partition, session, countersOf(reservation));
    ids += countersOf(reservation).length;
    failed += left.length;
    const key = reservationKey(session);
    const { to } = reservation;
    await kv.commit(
      partition,
      left.length === 0
        ? { deletes: [key] }
        : { puts: [[key, reservationCodec.encode({ unsettled: left, from: to, to })]] },
    );
  }
  return { ids, failed };
}

function countersOf({ unsettled, from, to }: ReservationRecord): number[] {
  return [...unsettled, ...Array.from({ length: to - from }, (_, i) => from + i)];
}

async function discardPending(context: Context, partition: number, session: Hex): Promise<void> {
  for (;;) {
    const page = await context.kv.scan(partition, { ...pendingOf(session), limit: PAGE });
    if (page.length === 0) return;
    await context.kv.commit(partition, {
      puts: page.map(([key, value]) => [garbageKey(idAt(key, OWNER_AT, 16)), value] as const),
      deletes: page.map(([key]) => key),
    });
  }
}

/** Returns the counters that could not be cleared. */
async function settle(
  context: Context,
  partition: number,
  session: Hex,
  counters: readonly number[],
): Promise<number[]> {
  const cleared = await inGroups(counters, AT_ONCE, (counter) =>
    deleteUnlessRecorded(context, chunkIdOf(partition, session, counter)),
  );
  return counters.filter((_, i) => !cleared[i]);
}

/** False: a provider could not be asked. */
async function deleteUnlessRecorded(context: Context, id: ChunkId): Promise<boolean> {
  if (await context.kv.get(homeOf(id), chunkKey(id))) return true;
  try {
    await context.chunks.deleteUnrecorded(id);
    return true;
  } catch {
    return false;
  }
}

/** This process's own chunks that were written for nothing. Returns how many are left for another time. */
export async function clearAbandoned(context: Context): Promise<{ ids: number; failed: number }> {
  const ids = context.session.abandoned();
  const cleared = await inGroups(ids, AT_ONCE, (id) => deleteUnlessRecorded(context, id));
  ids.forEach((id, i) => {
    if (cleared[i]) context.session.settle(id);
  });
  return { ids: ids.length, failed: cleared.filter((done) => !done).length };
}

/** May a record of the chunk still come? Then its shards are no orphans, though nothing claims them. */
export async function isPending(kv: KeyValueStore, id: ChunkId): Promise<boolean> {
  const partition = homeOf(id);
  if (!/^[0-9a-f]{32}$/.test(id) || partition >= kv.partitions) return false;
  const value = await kv.get(partition, reservationKey(id.slice(4, 20)));
  if (!value) return false;
  const { unsettled, from } = reservationCodec.decode(value);
  const counter = Number.parseInt(id.slice(20), 16);
  return counter >= from || unsettled.includes(counter);
}
