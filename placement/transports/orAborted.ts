import { TransportError } from '../types.ts';

export function aborted(signal: AbortSignal | undefined): TransportError {
  return new TransportError('Aborted', 'aborted', { cause: signal?.reason });
}

/** What is worth waiting for, and goes on without the one who gives up. @throws TransportError 'Aborted' */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(aborted(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
