import type { IncomingMessage } from 'node:http';
import { S3Error } from '../s3/errors.ts';
import { slowDown } from './slowDown.ts';
import { ThroughputMeter } from './throughput.ts';
import type { ThroughputRule } from './throughput.ts';

/** Bytes that lie ready before the socket is paused. */
const READY_BYTES_MAX = 128 * 1024;

export interface RequestBodyOptions {
  readonly rule: ThroughputRule;
  /** Holds in its place while others wait for the memory that this body has. */
  readonly crowdedRule: ThroughputRule;
  readonly crowded: () => boolean;
  /** Told when the body begins to wait for its client, and when it goes on. */
  waiting(waits: boolean): void;
  /** Awaited before the first byte is read: memory budget, then 100 Continue. A rejection is the body's error. */
  begin(): Promise<void>;
}

/**
 * The body of a request, read only while somebody pulls. Errors: 'IncompleteBody' when the connection ends early, 'RequestTimeout'
 * when the client is too slow, 'SlowDown' when it is too slow while others wait.
 */
export class RequestBody implements AsyncIterableIterator<Uint8Array> {
  readonly #request: IncomingMessage;
  readonly #options: RequestBodyOptions;
  readonly #meter: ThroughputMeter;
  readonly #crowdedMeter: ThroughputMeter;
  #ready: Uint8Array[] = [];
  #readyBytes = 0;
  #begun = false;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #timers: NodeJS.Timeout[] = [];
  /** Bytes received, after transfer decoding. */
  bytesRead = 0;

  constructor(request: IncomingMessage, options: RequestBodyOptions) {
    this.#request = request;
    this.#options = options;
    this.#meter = new ThroughputMeter(options.rule);
    this.#crowdedMeter = new ThroughputMeter(options.crowdedRule);
  }

  /** True once a byte was asked for. */
  get begun(): boolean {
    return this.#begun;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#begun) {
      this.#begun = true;
      await this.#options.begin();
      this.#listen();
    }
    for (;;) {
      const piece = this.#ready.shift();
      if (piece !== undefined) {
        this.#readyBytes -= piece.length;
        return { done: false, value: piece };
      }
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      await this.#more();
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#request.pause();
    this.#stop();
    return { done: true, value: undefined };
  }

  /** Reads on and drops what comes, until the end (true), an error, `bytesMax` or `ms`. */
  async discard(bytesMax: number, ms: number): Promise<boolean> {
    if (this.#request.complete) return true;
    if (!this.#begun || this.#timers.length === 0) this.#listen();
    this.#begun = true;
    const deadline = performance.now() + ms;
    const timer = setTimeout(() => this.#notify(), ms);
    const limit = this.bytesRead + bytesMax;
    while (!this.#ended && this.#error === undefined) {
      this.#ready = [];
      this.#readyBytes = 0;
      if (this.bytesRead > limit || performance.now() >= deadline) break;
      await this.#more();
    }
    clearTimeout(timer);
    this.#stop();
    return this.#request.complete;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      const now = performance.now();
      this.#meter.waiting(now);
      this.#crowdedMeter.waiting(now);
      this.#options.waiting(true);
      this.#request.resume();
    });
  }

  #listen(): void {
    const request = this.#request;
    request.on('data', this.#onData);
    request.on('end', this.#onEnd);
    request.on('error', this.#onCut);
    request.on('close', this.#onCut);
    const { rule, crowdedRule, crowded } = this.#options;
    const watch = setInterval(() => {
      if (this.#meter.tooSlow(performance.now())) this.#fail(new S3Error('RequestTimeout'));
    }, rule.windowMs);
    const crowdedWatch = setInterval(() => {
      // The window closes whether or not anybody waits.
      const tooSlow = this.#crowdedMeter.tooSlow(performance.now());
      if (tooSlow && crowded()) this.#fail(slowDown());
    }, crowdedRule.windowMs);
    this.#timers = [watch.unref(), crowdedWatch.unref()];
    if (request.readableEnded) this.#onEnd();
    else if (request.destroyed) this.#onCut();
  }

  #stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    const request = this.#request;
    request.off('data', this.#onData);
    request.off('end', this.#onEnd);
    request.off('error', this.#onCut);
    request.off('close', this.#onCut);
  }

  readonly #onData = (piece: Uint8Array): void => {
    this.bytesRead += piece.length;
    this.#ready.push(piece);
    this.#readyBytes += piece.length;
    if (this.#readyBytes >= READY_BYTES_MAX) this.#request.pause();
    const now = performance.now();
    this.#meter.received(now, piece.length);
    this.#crowdedMeter.received(now, piece.length);
    this.#notify();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#stop();
    this.#notify();
  };

  readonly #onCut = (): void => {
    if (!this.#ended) this.#fail(new S3Error('IncompleteBody'));
  };

  #fail(error: Error): void {
    this.#error ??= error;
    this.#stop();
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    if (wake === undefined) return;
    this.#options.waiting(false);
    wake();
  }
}
