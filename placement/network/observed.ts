import { AsyncLocalStorage } from 'node:async_hooks';
import type { MovableTransport } from '../transports/httpProvider.ts';
import { TransportError, type CallOutcome } from '../types.ts';

/** What the gateway saw of one provider since the counters were last taken. */
export interface Counters {
  writes: number;
  refusedWithSpace: number;
  reads: number;
  wrongReads: number;
  egressBytes: number;
  repairEgressBytes: number;
}

export function zeroCounters(): Counters {
  return { writes: 0, refusedWithSpace: 0, reads: 0, wrongReads: 0, egressBytes: 0, repairEgressBytes: 0 };
}

export function addCounters(to: Counters, more: Counters): void {
  to.writes += more.writes;
  to.refusedWithSpace += more.refusedWithSpace;
  to.reads += more.reads;
  to.wrongReads += more.wrongReads;
  to.egressBytes += more.egressBytes;
  to.repairEgressBytes += more.repairEgressBytes;
}

const repairing = new AsyncLocalStorage<true>();

/** Whatever is read within `work`, and within all that it starts, counts as read for repair. */
export function asRepair<T>(work: () => T): T {
  return repairing.run(true, work);
}

/**
 * Counts what goes through a transport. Whether bytes were right is for the reader to know (see `noteOutcome`).
 * @param counters those of now, which change with the era
 * @param saysItHasRoom did the provider last say that it had room for a shard?
 */
export function observed(
  transport: MovableTransport,
  counters: () => Counters,
  saysItHasRoom: () => boolean,
): MovableTransport {
  const read = async <T extends { readonly bytes: Uint8Array; readonly proof: Uint8Array }>(
    call: Promise<T>,
  ): Promise<T> => {
    const slice = await call;
    const now = counters();
    now.reads += 1;
    if (repairing.getStore()) now.repairEgressBytes += slice.bytes.length;
    else now.egressBytes += slice.bytes.length;
    return slice;
  };
  return {
    async put(name, source, signal) {
      try {
        await transport.put(name, source, signal);
        counters().writes += 1;
      } catch (error) {
        if (error instanceof TransportError && error.kind === 'NoSpace' && saysItHasRoom()) {
          counters().refusedWithSpace += 1;
        }
        throw error;
      }
    },
    get: async (...all) => await read(transport.get(...all)),
    prove: async (name, leaf, signal) => await read(transport.prove(name, leaf, signal)),
    delete: (name, signal) => transport.delete(name, signal),
    list: (after, limit, signal) => transport.list(after, limit, signal),
    space: (signal) => transport.space(signal),
    close: () => transport.close(),
    moveTo: (endpoint) => transport.moveTo(endpoint),
  };
}

/** Counts what a reader found wrong. */
export function countOutcome(counters: Counters, outcome: CallOutcome): void {
  if (outcome.failure === 'WrongBytes') counters.wrongReads += 1;
}
