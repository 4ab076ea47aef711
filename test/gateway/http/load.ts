/** Load on bare sockets: requests signed ahead, so that most of the machine is left to the server. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  /** Whole requests as bytes; each arrival takes the next. */
  readonly requests: readonly Buffer[];
  readonly connections: number;
  readonly seconds: number;
  /** Arrivals per second whatever the answers; absent: each connection sends on as soon as it is answered. */
  readonly rate?: number;
  /** Wait after a 503 for as long as it says. */
  readonly heedsRetryAfter?: boolean;
}

export interface LoadResult {
  /** Requests by status; 0: the connection broke. */
  readonly byStatus: ReadonlyMap<number, number>;
  /** Arrivals that found every connection waiting for an answer, and were given up. */
  readonly missed: number;
  readonly seconds: number;
  /** Ms from the request to its answer, by status, in order of time. */
  readonly latencies: ReadonlyMap<number, readonly number[]>;
  /** Retry-After of each 503, s. */
  readonly retryAfters: readonly number[];
}

export const perSecond = (result: LoadResult, status: number): number =>
  (result.byStatus.get(status) ?? 0) / result.seconds;

export function quantile(values: readonly number[] = [], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

const RECEIVED = Buffer.allocUnsafe(256 * 1024);
const PACE_MS = 1;

/** Drives the load to its end, and waits for the answers that are due. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const tally = new Tally();
  let next = 0;
  const draw = (): Buffer => options.requests[next++ % options.requests.length] as Buffer;
  const idle: Client[] = [];
  let until = Infinity;
  const clients = Array.from({ length: options.connections }, () => {
    const free = (): void => {
      if (options.rate === undefined && performance.now() < until) client.send(draw());
      else idle.push(client);
    };
    const client: Client = new Client(options, tally, (retryAfter) => {
      if (options.heedsRetryAfter === true && retryAfter > 0) setTimeout(free, retryAfter * 1000).unref();
      else free();
    });
    return client;
  });
  await Promise.all(clients.map((client) => client.connected()));
  until = performance.now() + options.seconds * 1000;
  const began = performance.now();
  if (options.rate === undefined) for (const client of clients) client.send(draw());
  else idle.push(...clients);
  for (let sent = 0; performance.now() < until; await sleep(PACE_MS)) {
    const due = ((performance.now() - began) / 1000) * (options.rate ?? 0);
    for (; sent < due; sent += 1) {
      const client = idle.pop();
      if (client === undefined) tally.missed += 1;
      else client.send(draw());
    }
  }
  const seconds = (performance.now() - began) / 1000;
  const result = tally.result(seconds);
  for (const client of clients) client.end();
  return result;
}

class Tally {
  missed = 0;
  readonly #byStatus = new Map<number, number>();
  readonly #latencies = new Map<number, number[]>();
  readonly #retryAfters: number[] = [];

  /** @returns Retry-After of a 503, s; else 0 */
  add(status: number, ms: number, head: string): number {
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1);
    const list = this.#latencies.get(status);
    if (list === undefined) this.#latencies.set(status, [ms]);
    else list.push(ms);
    if (status !== 503) return 0;
    const retryAfter = Number(/\nretry-after: (\d+)\r/.exec(head)?.[1]);
    this.#retryAfters.push(retryAfter);
    return retryAfter;
  }

  result(seconds: number): LoadResult {
    const byStatus = new Map(this.#byStatus);
    const latencies = new Map([...this.#latencies].map(([status, list]) => [status, [...list]]));
    return { byStatus, latencies, missed: this.missed, retryAfters: [...this.#retryAfters], seconds };
  }
}

/** One request at a time on one connection, opened again when it breaks. */
class Client {
  readonly #options: LoadOptions;
  readonly #tally: Tally;
  readonly #onIdle: (retryAfter: number) => void;
  #socket: Socket | undefined;
  #began = 0;
  #busy = false;
  #head = '';
  #left: number | undefined;

  constructor(options: LoadOptions, tally: Tally, onIdle: (retryAfter: number) => void) {
    this.#options = options;
    this.#tally = tally;
    this.#onIdle = onIdle;
  }

  /** Opens the connection ahead of the first request. */
  async connected(): Promise<void> {
    const socket = (this.#socket ??= this.#open());
    if (socket.connecting) await once(socket, 'connect');
  }

  send(request: Buffer): void {
    this.#busy = true;
    this.#head = '';
    this.#left = undefined;
    this.#began = performance.now();
    this.#socket ??= this.#open();
    this.#socket.write(request);
  }

  end(): void {
    this.#busy = false;
    this.#socket?.destroy();
  }

  #open(): Socket {
    const { host, port } = this.#options;
    const onread = {
      buffer: RECEIVED,
      callback: (bytes: number, buffer: Uint8Array) => this.#read(Buffer.from(buffer.buffer, 0, bytes)),
    };
    const socket = connect({ host, port, noDelay: true, onread });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      if (this.#busy) this.#done(0);
    });
    return socket;
  }

  #read(bytes: Buffer): boolean {
    let body = bytes.length;
    if (this.#left === undefined) {
      this.#head += bytes.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return true;
      body = this.#head.length - end - 4;
      this.#head = this.#head.slice(0, end + 2);
      this.#left = Number(/\ncontent-length: (\d+)\r/i.exec(this.#head)?.[1] ?? 0);
    }
    this.#left -= body;
    if (this.#left <= 0) this.#done(Number(this.#head.slice(9, 12)));
    return true;
  }

  #done(status: number): void {
    const retryAfter = this.#tally.add(status, performance.now() - this.#began, this.#head);
    this.#busy = false;
    if (/\nconnection: close\r/i.test(this.#head)) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    this.#onIdle(retryAfter);
  }
}
