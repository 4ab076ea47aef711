import { Client, type Dispatcher } from 'undici';
import { portOf, type AddressRules } from '../network/addressRules.ts';
import { guardedConnector } from '../network/guardedConnector.ts';
import type { HyperNodeLimits } from './types.ts';
import type { RequestSlots } from './slots.ts';

/** Bytes of an answer's headers: a signed proof has about one KiB. */
const HEADER_BYTES_MAX = 16 * 1024;
/** Most ms that a provider which did not answer last is waited for. */
const SUSPECT_MS = 2000;

/** How one request went. Times are the stopwatch's, in ms. */
export type Exchange = Answer | Failure;

export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** The request was about to be written to a connection that stood: setting it up is not counted. */
  readonly startedAt: number;
  readonly headersAt: number;
  readonly endedAt: number;
}

/** 'unreachable': there was no connection to send it on. 'silent': it may have been received, and no whole answer within bounds came. */
interface Failure {
  readonly kind: 'unreachable' | 'silent';
  readonly reason: string;
  readonly startedAt: number;
}

export interface Bounds {
  /** Most bytes of the body. */
  readonly bytesMax: number;
  /** Most ms from the request to the answer's last byte. */
  readonly ms: number;
}

export interface LineOptions {
  readonly limits: Pick<HyperNodeLimits, 'connectMs'>;
  readonly slots: RequestSlots;
  readonly stopwatch: () => number;
  /** Where it may lead: what is elsewhere is unreachable. */
  readonly addresses: AddressRules;
}

/** One connection to a provider, opened when it is needed, and every answer bounded in time, headers and body. Redirects are answers like others. */
export class ProviderLine {
  readonly #client: Client;
  readonly #slots: RequestSlots;
  readonly #stopwatch: () => number;
  /** It did not answer when it was asked last. */
  #isSuspect = false;

  /** @param endpoint an origin */
  constructor(endpoint: string, { limits, slots, stopwatch, addresses }: LineOptions) {
    this.#slots = slots;
    this.#stopwatch = stopwatch;
    this.#client = new Client(endpoint, {
      pipelining: 1,
      allowH2: false,
      connect: guardedConnector(addresses, portOf(new URL(endpoint)), limits.connectMs),
      maxHeaderSize: HEADER_BYTES_MAX,
      keepAliveTimeout: 4000,
      // What the provider asks for: thousands of idle connections must not be held for its sake.
      keepAliveMaxTimeout: 5000,
    });
  }

  /** Never rejects. */
  async get(path: string, headers: Readonly<Record<string, string>>, bounds: Bounds): Promise<Exchange> {
    const slots = this.#isSuspect ? this.#slots.suspects : this.#slots.answering;
    const ms = this.#isSuspect ? Math.min(bounds.ms, SUSPECT_MS) : bounds.ms;
    const exchange = await slots.run(() => this.#exchange(path, headers, { ...bounds, ms }));
    this.#isSuspect = exchange.kind !== 'answer';
    return exchange;
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }

  #exchange(path: string, headers: Readonly<Record<string, string>>, bounds: Bounds): Promise<Exchange> {
    return new Promise((resolve) => {
      const receiver = new Receiver(bounds, this.#stopwatch, resolve);
      this.#client.dispatch({ method: 'GET', path, headers }, receiver);
    });
  }
}

class Receiver implements Dispatcher.DispatchHandler {
  readonly #bounds: Bounds;
  readonly #stopwatch: () => number;
  readonly #resolve: (exchange: Exchange) => void;
  readonly #createdAt: number;
  readonly #parts: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #startedAt: number | undefined;
  #headersAt = 0;
  #status = 0;
  #headers: Answer['headers'] = {};
  #bytes = 0;

  constructor(bounds: Bounds, stopwatch: () => number, resolve: (exchange: Exchange) => void) {
    this.#bounds = bounds;
    this.#stopwatch = stopwatch;
    this.#resolve = resolve;
    this.#createdAt = stopwatch();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // A request may be started anew on another connection: it is timed from the first, which the provider may have seen.
    if (this.#startedAt !== undefined) return;
    const timeout = (): void => controller.abort(new Error(`no whole answer within ${this.#bounds.ms} ms`));
    this.#timer = setTimeout(timeout, this.#bounds.ms);
    this.#startedAt = this.#stopwatch();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Answer['headers'],
  ): void {
    if (status < 200) return;
    this.#headersAt = this.#stopwatch();
    this.#status = status;
    this.#headers = headers;
    if (Number(headers['content-length']) > this.#bounds.bytesMax) this.#tooLong(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bounds.bytesMax) this.#tooLong(controller);
    else this.#parts.push(chunk);
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer);
    this.#resolve({
      kind: 'answer',
      status: this.#status,
      headers: this.#headers,
      body: Buffer.concat(this.#parts),
      startedAt: this.#startedAt!,
      headersAt: this.#headersAt,
      endedAt: this.#stopwatch(),
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#timer);
    this.#resolve({
      kind: this.#startedAt === undefined ? 'unreachable' : 'silent',
      reason: (error as NodeJS.ErrnoException).code ?? error.message,
      startedAt: this.#startedAt ?? this.#createdAt,
    });
  }

  #tooLong(controller: Dispatcher.DispatchController): void {
    controller.abort(new Error(`the body is longer than ${this.#bounds.bytesMax} bytes`));
  }
}
