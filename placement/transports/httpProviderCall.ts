import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { Dispatcher, Pool } from 'undici';
import type { CallWatch, Watched } from './callWatch.ts';
import type { HttpProviderLimits } from './httpProviderLimits.ts';
import { aborted } from './orAborted.ts';
import { TransportError, type TransportErrorKind } from '../types.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  /** Name, value, name, value … */
  readonly headers: string[];
  /** Most bytes of the body of a good answer; of a failure's, JSON_FAILURE_MAX. */
  readonly bytesMax: number;
  /** What a good answer that is longer is: 'Unavailable' by default. */
  readonly tooLong?: TransportErrorKind;
}

/** Memory that is sent at once, or pieces that are each asked for when the one before has left. */
export type HttpBody = Uint8Array | AsyncIterable<Uint8Array>;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const JSON_FAILURE_MAX = 8 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * One request and its answer, which must say its length and keep to it, must not be encoded, and has to come in time. The first thing
 * that is wrong cuts the connection.
 */
export class HttpCall implements Watched, Dispatcher.DispatchHandler {
  readonly #request: HttpRequest;
  readonly #watch: CallWatch;
  readonly #limits: HttpProviderLimits;
  readonly #signal: AbortSignal | undefined;
  readonly #answer = Promise.withResolvers<HttpAnswer>();
  #ended: AbortController | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #failure: TransportError | undefined;
  #isSettled = false;
  #isDelivered = false;
  #isOneBuffer = false;
  /** Undefined while the provider is not waited for. */
  #deadline: number | undefined;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #body: Buffer = EMPTY;
  #length = 0;
  #filled = 0;
  /** Of them, those before the present window. */
  #filledBefore = 0;

  constructor(
    request: HttpRequest,
    watch: CallWatch,
    limits: HttpProviderLimits,
    signal: AbortSignal | undefined,
  ) {
    this.#request = request;
    this.#watch = watch;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Aborted as soon as there is an answer or a failure. */
  get ended(): AbortSignal {
    this.#ended ??= new AbortController();
    if (this.#isSettled) this.#ended.abort(ENDED);
    return this.#ended.signal;
  }

  /** True once the provider has had all it needs to store a shard: from then on it may have done so, whatever the outcome. */
  get isDelivered(): boolean {
    return this.#isDelivered;
  }

  /** @throws TransportError 'Timeout' | 'Aborted' | 'Unavailable' | what `cut` was given */
  send(pool: Pool, body?: HttpBody): Promise<HttpAnswer> {
    const { method, path, headers } = this.#request;
    this.#isOneBuffer = body instanceof Uint8Array;
    this.#watch.add(this);
    this.#waitFor(this.#limits.answerMs);
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (this.#signal?.aborted) {
      this.#onAbort();
      return this.#answer.promise;
    }
    try {
      // undici takes any iterable; its types name the streams only.
      pool.dispatch({ method, path, headers, body: (body ?? null) as Buffer | Readable | null }, this);
    } catch (error) {
      this.#fail(unavailable(error));
    }
    return this.#answer.promise;
  }

  /** Ends the call, and its connection with it. */
  cut(error: TransportError): void {
    if (this.#isSettled) return;
    this.#failure = error;
    this.#controller?.abort(error);
    this.#fail(error);
  }

  /** The provider is not waited for: its next bytes are not there yet. */
  pause(): void {
    if (this.#status === 0) this.#deadline = undefined;
  }

  /** The provider has to take a piece of the body. */
  offer(): void {
    if (this.#status === 0) this.#waitFor(this.#limits.answerMs);
  }

  /** The last byte goes out. */
  deliver(): void {
    this.#isDelivered = true;
    if (this.#status === 0) this.#waitFor(this.#limits.answerMs);
  }

  check(now: number): void {
    if (this.#deadline === undefined || now < this.#deadline) return;
    const { windowMs, bytesPerSecondMin } = this.#limits;
    const enough = (bytesPerSecondMin * windowMs) / 1000;
    const isAborted = this.#signal?.aborted ?? false;
    if (this.#status >= 200 && !isAborted && this.#filled - this.#filledBefore >= enough) {
      this.#filledBefore = this.#filled;
      this.#deadline = now + windowMs;
    } else if (isAborted) {
      this.cut(aborted(this.#signal));
    } else {
      this.cut(new TransportError('Timeout', 'the provider did not answer in time'));
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure) controller.abort(this.#failure);
    else if (this.#isOneBuffer) this.deliver();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // Interim answers bring nothing and gain no time.
    if (status < 200 || this.#isSettled) return;
    const wrong = this.#objection(status, headers);
    if (wrong) {
      this.cut(wrong);
      return;
    }
    this.#status = status;
    this.#headers = headers;
    if (!(this.#signal?.aborted ?? false)) this.#waitFor(this.#limits.windowMs);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    const filled = this.#filled + chunk.length;
    // undici counts as well; to write past the end would be worse than to count twice.
    if (filled > this.#length) {
      this.cut(new TransportError('Unavailable', 'the answer is longer than it said'));
      return;
    }
    if (this.#filled === 0 && filled === this.#length && chunk.length * 2 >= chunk.buffer.byteLength) {
      this.#body = chunk;
    } else {
      if (this.#filled === 0) this.#body = Buffer.allocUnsafe(this.#length);
      chunk.copy(this.#body, this.#filled);
    }
    this.#filled = filled;
  }

  onResponseEnd(): void {
    if (this.#isSettled) return;
    if (this.#filled !== this.#length) {
      this.cut(new TransportError('Unavailable', 'the answer is shorter than it said'));
      return;
    }
    this.#settle();
    this.#answer.resolve({ status: this.#status, headers: this.#headers, body: this.#body });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(this.#failure ?? unavailable(error));
  }

  #objection(status: number, headers: IncomingHttpHeaders): TransportError | undefined {
    const wrong = (what: string, kind: TransportErrorKind = 'Unavailable'): TransportError =>
      new TransportError(kind, `the provider's answer ${what}`);
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') return wrong('is encoded');
    if (status === 204) return undefined;
    const text: unknown = headers['content-length'];
    if (headers['transfer-encoding'] !== undefined || typeof text !== 'string' || !/^\d{1,12}$/.test(text)) {
      return wrong('does not say its length');
    }
    this.#length = Number(text);
    const isGood = status >= 200 && status <= 299;
    if (isGood && this.#length > this.#request.bytesMax) {
      return wrong(`has ${text} bytes, more than it can have`, this.#request.tooLong);
    }
    return isGood || this.#length <= JSON_FAILURE_MAX
      ? undefined
      : wrong(`with status ${status} is too long`);
  }

  readonly #onAbort = (): void => {
    if (!this.#isDelivered) this.cut(aborted(this.#signal));
    // What comes of it is worth a moment's wait: a shard that was stored can then be removed.
    else this.#waitFor(Math.min(this.#limits.settleMs, this.#limits.answerMs));
  };

  #waitFor(ms: number): void {
    this.#deadline = this.#watch.now() + ms;
  }

  #fail(error: TransportError): void {
    this.#settle();
    this.#answer.reject(error);
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#watch.delete(this);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#ended?.abort(ENDED);
  }
}

/** Made once, because an AbortController's own reason costs a stack trace. */
const ENDED = new Error('the call has ended');

function unavailable(error: unknown): TransportError {
  const { code, message } = error as NodeJS.ErrnoException;
  const kind = code === 'UND_ERR_CONNECT_TIMEOUT' ? 'Timeout' : 'Unavailable';
  return new TransportError(kind, `the provider cannot be reached: ${message === '' ? code : message}`, {
    cause: error,
  });
}
