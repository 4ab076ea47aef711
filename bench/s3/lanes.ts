import type { Client } from './client.ts';
import { quantile } from './statistics.ts';
import type { Outcome } from './types.ts';

/** What an operation moved. */
export interface Moved {
  readonly bytes?: number;
  readonly keys?: number;
}

/** One operation, on the connection of its lane. */
export type Operation = (client: Client) => Promise<Moved>;

/** The next operation of a lane; undefined when there is nothing left for it. */
export type NextOperation = (lane: number) => Operation | undefined;

/** After so many failures in a row a lane gives up: the server is gone, and asking on would only burn the machine. */
const FAILURES_MAX = 20;
/** A refused lane waits, as clients do. */
const PAUSE_MS = 20;

/**
 * Keeps as many operations under way as there are clients, until `seconds` are over or nothing is left. What is under way by then is
 * waited for and counted, and so is its time.
 * @param onDone number of operations done, now and then
 * @param abandon break off what is under way at the end; then `bytes` is what went out on the sockets
 */
export async function runLanes(
  clients: readonly Client[],
  next: NextOperation,
  seconds: number,
  onDone: (done: number) => void = () => {},
  abandon = false,
): Promise<Outcome> {
  const latencies: number[] = [];
  const total = { failed: 0, failure: undefined as string | undefined, bytes: 0, keys: 0 };
  const cpu = process.cpuUsage();
  const began = performance.now();
  const end = began + seconds * 1000;
  // Not `end` has passed: a timer may fire a fraction of a millisecond before it.
  let abandoned = false;
  const lane = async (client: Client, number: number): Promise<void> => {
    for (let failures = 0; failures < FAILURES_MAX && performance.now() < end;) {
      const operation = next(number);
      if (operation === undefined) return;
      const start = performance.now();
      try {
        const { bytes = 0, keys = 0 } = await operation(client);
        latencies.push(performance.now() - start);
        total.bytes += bytes;
        total.keys += keys;
        failures = 0;
        if (latencies.length % 256 === 0) onDone(latencies.length);
      } catch (error) {
        if (abandoned) return;
        failures++;
        total.failed++;
        total.failure ??= (error as Error).message;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  };
  const sent = (): number => clients.reduce((sum, client) => sum + client.bytesSent, 0);
  const breakOff = (): void => {
    abandoned = true;
    total.bytes = sent();
    for (const client of clients) client.close();
  };
  const timer = abandon ? setTimeout(breakOff, seconds * 1000) : undefined;
  await Promise.all(clients.map(lane));
  clearTimeout(timer);
  const took = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const sorted = Float64Array.from(latencies).sort();
  return {
    ...total,
    operations: sorted.length,
    seconds: took,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    maxMs: quantile(sorted, 1),
    clientCpu: (user + system) / 1e6,
    written: [],
  };
}
