import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Connections } from '../connections.ts';
import type { DaemonLimits } from './limits.ts';
import { routeOf } from './route.ts';
import type { SlowPeers, Transfer } from './slowPeers.ts';

/** Handed to a socket at once: one that takes none of it for a whole window is too slow. */
const PIECE_BYTES = 64 * 1024;

/** Made once: an AbortController's own reason costs a stack trace. */
const CLOSED = new Error('the exchange is over');

/** One request and its answer, with the peer held to its speed in both directions. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #limits: DaemonLimits;
  readonly #connections: Connections;
  readonly #transfer: Transfer;
  readonly #closed = new AbortController();
  /** The peer sends its body only when it is told to. */
  #continueOwed: boolean;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: {
      readonly peers: SlowPeers;
      readonly connections: Connections;
      readonly limits: DaemonLimits;
      readonly expectsContinue: boolean;
    },
  ) {
    this.request = request;
    this.#response = response;
    this.#limits = options.limits;
    this.#connections = options.connections;
    this.#continueOwed = options.expectsContinue;
    this.#transfer = options.peers.begin(() => request.socket.destroy());
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const { socket } = request;
    this.#connections.busy(socket);
    response.once('close', () => {
      this.#connections.idle(socket);
      options.peers.end(this.#transfer);
      this.#closed.abort(CLOSED);
    });
  }

  /** Aborts once the answer is on its way or the peer is gone. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /** The sender is known, and waits for others itself. */
  bePatient(): void {
    this.#transfer.bePatient();
    this.#connections.know(this.request.socket);
  }

  /** The body as it comes; not reading on holds up the peer. Rejects when the peer goes away. */
  async *body(): AsyncGenerator<Buffer, undefined> {
    if (this.#continueOwed) this.#response.writeContinue();
    this.#continueOwed = false;
    this.#transfer.waiting();
    // The answer still needs the connection, so an early end must not destroy it.
    for await (const chunk of this.request.iterator({ destroyOnReturn: false })) {
      this.#transfer.moved((chunk as Buffer).length);
      yield chunk as Buffer;
      this.#transfer.waiting();
    }
    this.#transfer.moved(0);
  }

  /** Resolves when the peer has the answer, or is gone. */
  async answer(
    status: number,
    headers: OutgoingHttpHeaders,
    parts: readonly Uint8Array[] = [],
  ): Promise<void> {
    const response = this.#response;
    if (this.signal.aborted) return;
    const unread = this.#bodyUnread();
    let length = 0;
    for (const part of parts) length += part.length;
    const { socket } = this.request;
    if (status < 300) this.#noteGrant();
    response.writeHead(status, {
      ...headers,
      ...(this.#connections.isKnown(socket) ? {} : { 'keep-alive': this.#strangerIdle }),
      ...(status === 204 ? {} : { 'content-length': length }),
      ...(unread ? { connection: 'close' } : {}),
    });
    for (const part of parts) await this.#send(part);
    if (unread) await this.#linger();
    if (this.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    response.once('close', resolve);
    this.#transfer.waiting();
    response.end();
    await promise;
  }

  /** All that is done here but a hello is done for the holder of a grant only. */
  #noteGrant(): void {
    const { socket, method = '', url = '' } = this.request;
    if (this.#connections.isKnown(socket) || routeOf(method, url).op === 'hello') return;
    this.#connections.know(socket);
  }

  get #strangerIdle(): string {
    return `timeout=${Math.floor(this.#limits.strangerIdleMs / 1000)}`;
  }

  #bodyUnread(): boolean {
    const { headers, complete } = this.request;
    if (complete) return false;
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.signal.aborted; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      if (this.#response.write(piece)) continue;
      this.#transfer.waiting();
      await this.#drained();
      this.#transfer.moved(piece.length);
    }
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#response.once('drain', resolve).once('close', resolve);
    await promise;
    this.#response.off('drain', resolve).off('close', resolve);
  }

  /** Drops what is still coming of a refused body, up to a bound: a connection that is closed over unread bytes is reset, and takes the answer with it. */
  async #linger(): Promise<void> {
    if (this.#continueOwed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const { lingerBytesMax, lingerMs } = this.#limits;
    let dropped = 0;
    const drop = (): void => {
      for (let part: unknown; (part = this.request.read()) !== null;) dropped += (part as Buffer).length;
      if (dropped > lingerBytesMax || this.request.complete) resolve();
    };
    const timer = setTimeout(resolve, lingerMs);
    this.request.on('readable', drop).once('end', resolve).once('close', resolve);
    drop();
    await promise;
    clearTimeout(timer);
    this.request.off('readable', drop);
  }
}
