import { TransportError, type CallOutcome, type Clock, type ShardTransport } from '../types.ts';

/**
 * Tells of every get and prove (reads) and put (writes) of a transport: how long it took, and how it failed. The time of a put
 * includes that of its source. Whether leaves were right is for the reader to know, so 'WrongBytes' is never told here.
 * @param onOutcome must not throw
 */
export function measured(
  transport: ShardTransport,
  clock: Clock,
  onOutcome: (outcome: CallOutcome) => void,
): ShardTransport {
  const measure = async <T>(kind: CallOutcome['kind'], call: () => Promise<T>): Promise<T> => {
    const startedAt = clock.now();
    try {
      const answer = await call();
      onOutcome({ kind, latencyMs: clock.now() - startedAt });
      return answer;
    } catch (error) {
      const failure = error instanceof TransportError ? error.kind : 'Unavailable';
      onOutcome({ kind, latencyMs: clock.now() - startedAt, failure });
      throw error;
    }
  };
  return {
    put: (name, source, signal) => measure('write', () => transport.put(name, source, signal)),
    get: (...all) => measure('read', () => transport.get(...all)),
    prove: (name, leaf, signal) => measure('read', () => transport.prove(name, leaf, signal)),
    delete: (name, signal) => transport.delete(name, signal),
    list: (after, limit, signal) => transport.list(after, limit, signal),
    space: (signal) => transport.space(signal),
    close: () => transport.close(),
  };
}
