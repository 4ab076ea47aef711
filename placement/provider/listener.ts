import { createServer as createPlainServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { NetworkError } from '../network/errors.ts';
import type { Clock } from '../types.ts';
import { Connections } from '../connections.ts';
import { Exchange } from './exchange.ts';
import type { Handlers } from './handlers.ts';
import type { DaemonLimits } from './limits.ts';
import { SlowPeers } from './slowPeers.ts';

export interface ListenerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly limits: DaemonLimits;
  readonly clock: Clock;
  readonly handlers: Handlers;
}

/** The daemon's HTTP server: connections, time-outs, and how many at once. */
export class Listener {
  readonly #server: Server;
  readonly #options: ListenerOptions;
  readonly #peers: SlowPeers;
  readonly #stopping = new AbortController();
  /** Also those that have not spoken HTTP or TLS yet. */
  readonly #connections: Connections;
  #underWay = 0;
  #idle: (() => void) | undefined;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    const { limits, clock, tls } = options;
    this.#peers = new SlowPeers(limits, clock);
    this.#connections = new Connections(limits);
    const settings = {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      // A shard may take long; its sender is held to a speed instead.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5000),
    };
    const listener: RequestListener = (request, response) => void this.#serve(request, response, false);
    this.#server = tls
      ? createTlsServer({ ...settings, ...tls, handshakeTimeout: limits.headersTimeoutMs }, listener)
      : createPlainServer(settings, listener);
    this.#server.on('connection', (socket: Socket) => this.#connections.add(socket));
    this.#server.on('checkContinue', (request, response) => void this.#serve(request, response, true));
  }

  /** @throws a system error when the address cannot be had */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    await listener.#listen();
    void listener.#peers.run(listener.#stopping.signal);
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes no more requests, and ends the connections once those under way are done, or after `stopMs`. */
  async stop(): Promise<void> {
    const closed = Promise.withResolvers<void>();
    this.#server.close(() => closed.resolve());
    if (this.#underWay > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, this.#options.limits.stopMs);
      this.#idle = resolve;
      await promise;
      clearTimeout(timer);
    }
    this.#stopping.abort();
    this.#connections.destroy();
    await closed.promise;
  }

  async #listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen({ host: this.#options.host, port: this.#options.port }, resolve);
    await promise;
    this.#server.off('error', reject);
    // Such as a lack of descriptors for a new connection: the next one may be taken.
    this.#server.on('error', () => undefined);
  }

  async #serve(
    ...[request, response, expectsContinue]: [...Parameters<RequestListener>, boolean]
  ): Promise<void> {
    const { limits, handlers } = this.#options;
    const [peers, connections] = [this.#peers, this.#connections];
    const exchange = new Exchange(request, response, { peers, connections, limits, expectsContinue });
    this.#underWay++;
    try {
      if (this.#underWay > limits.requestsMax) {
        await handlers.fail(exchange, new NetworkError('Unavailable', 'too many requests are under way'));
      } else {
        await handlers.handle(exchange);
      }
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) this.#idle?.();
    }
  }
}
