import express from 'express';
import type { NextFunction, Request, Response } from 'express';
import http from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Log, S3Handler } from '../s3/wire.ts';
import { MemoryBudget } from './budget.ts';
import { BACKLOG, Connections } from './connections.ts';
import { exchange } from './exchange.ts';
import type { RequestSample } from './exchange.ts';
import { HTTP_LIMITS } from './limits.ts';
import type { HttpLimits } from './limits.ts';
import type { AdmissionFigures } from './admission.ts';
import { FrontDoor } from './frontDoor.ts';
import type { Arrival, Entry } from './frontDoor.ts';
import { codeOfClientError, endWithError } from './rawResponse.ts';
import type { Circumstances } from './send.ts';
import { Turns } from './turns.ts';

export interface HttpServerOptions {
  readonly handle: S3Handler;
  readonly log: Log;
  readonly onRequest?: (sample: RequestSample) => void;
  /** PEM; present: HTTPS only. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /** Memory that all uploads under way may hold together, in bytes; all downloads may hold as much again. */
  readonly uploadMemory: number;
  /** Suffix of the Host header for virtual-host style requests; lower case. */
  readonly domain?: string | undefined;
  readonly limits?: Partial<HttpLimits>;
}

export interface HttpServer {
  /** Port 0: any free one. */
  listen(port: number, host: string): Promise<AddressInfo>;
  /**
   * Takes no new connections, lets requests under way finish, closes connections with their next answer or when they stay idle, and cuts
   * what is left after the deadline.
   * @returns true when no request had to be cut
   */
  drain(deadlineMs: number): Promise<boolean>;
  /** Requests under way. */
  readonly active: number;
  readonly uploads: MemoryBudget;
  /** Limits, requests in work and refusals, for metrics. */
  admission(): AdmissionFigures;
}

/** Bytes that the process takes beside the bodies under way: JavaScript's heap, stripes, caches, code, metadata's pages. With 192 MiB of uploads: 512 MiB. */
const BASE_MEMORY = 320 * 1024 * 1024;
/** Least bound: with little memory for uploads, as of one worker among many, the rest still takes what it takes. */
const MEMORY_MIN = 512 * 1024 * 1024;
/** Ms. A TLS client that has not finished its handshake by then is cut. */
const HANDSHAKE_TIMEOUT_MS = 20_000;

/** The S3 listener: HTTP/1.1 or HTTPS, every request to the one S3 handler. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const limits: HttpLimits = { ...HTTP_LIMITS, ...options.limits };
  const { handle, log, onRequest = () => undefined } = options;
  const smallUploads = new MemoryBudget(Math.ceil(options.uploadMemory / 8));
  const uploads = new MemoryBudget(options.uploadMemory - smallUploads.capacity);
  const downloads = new MemoryBudget(options.uploadMemory);
  const responses = new Map<Duplex, ServerResponse>();
  const turns = new Turns(limits.pipelinedMax);
  // The same function for every request: one of its own, in a WeakMap and holding its key, outlives every scavenge.
  const isLast = (socket: Duplex): boolean => closing && turns.isLast(socket);
  const frontDoor = new FrontDoor({
    failedPerSecondMax: limits.failedPerSecondMax,
    transfersMax: Math.ceil(uploads.capacity / limits.uploadBytes) + limits.memoryWaitersMax,
    smallBodyBytes: limits.smallBodyBytes,
    memoryMax: Math.max(MEMORY_MIN, options.uploadMemory + BASE_MEMORY),
    domain: options.domain,
    full: () => active >= limits.requestsMax,
    closing: isLast,
  });
  const circumstances = new WeakMap<IncomingMessage, Circumstances>();
  let active = 0;
  let closing = false;

  const app = createApp(log, async (request, response) => {
    const known = circumstances.get(request);
    if (known === undefined) throw new Error('A request came past the listener');
    active += 1;
    responses.set(request.socket, response);
    try {
      const answer = await exchange(request, response, known, {
        handle,
        limits,
        budget: uploads,
        smallBudget: smallUploads,
        downloads,
        log,
        onRequest,
      });
      frontDoor.learn(request.socket, request.socket.remoteAddress, answer);
    } finally {
      known.entry.ticket?.leave(false);
      active -= 1;
      if (responses.get(request.socket) === response) responses.delete(request.socket);
      turns.leave(request.socket, response.shouldKeepAlive);
      connections.served();
    }
  });
  const enter = ({ request, response, ...head }: Arrival, entry: Entry): void => {
    circumstances.set(request, { ...head, entry, closing: isLast });
    // Express never sees the target: it would parse it as a URL, and '..', '//' and broken escapes are the client's business.
    request.url = '/';
    app(request, response);
  };
  const accept = (awaitsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const arrival: Arrival = { request, response, target: request.url ?? '', awaitsContinue };
    const begin = (): void =>
      frontDoor.receive(
        arrival,
        (entry) => enter(arrival, entry),
        (more) => turns.leave(socket, more),
      );
    if (!turns.take(socket, begin)) socket.destroy();
  };

  const server = listener(options, limits);
  const connections = new Connections(server, options.tls !== undefined, (socket) =>
    turns.isUnderWay(socket),
  );
  server.on('request', accept(false));
  server.on('checkContinue', accept(true));
  // An expectation other than 100-continue is ignored, as on AWS and as RFC 9110 10.1.1 allows. Node would answer 417 by itself.
  server.on('checkExpectation', accept(false));
  server.on('connect', (_request, socket) => endWithError(socket, 'MethodNotAllowed'));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const { bytesRead = 0 } = socket as Partial<Socket>;
    // Bytes in the middle of a response would be taken for part of it; on a connection kept in reserve, for a response.
    const mute = responses.get(socket)?.headersSent === true || bytesRead === 0;
    if (mute || error.code === 'ECONNRESET') socket.destroy();
    else endWithError(socket, codeOfClientError(error));
  });

  return {
    get active() {
      return active;
    },
    uploads,
    admission: () => frontDoor.figures(),
    listen: (port, host) => listen(server, port, host),
    drain(deadlineMs) {
      closing = true;
      return connections.drain(deadlineMs);
    },
  };
}

/** Express with nothing of its own in the way: no header, no parser, one catch-all. */
function createApp(
  log: Log,
  serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): express.Express {
  const app = express();
  for (const setting of ['x-powered-by', 'etag', 'query parser']) app.disable(setting);
  app.enable('case sensitive routing');
  app.use((request, response) => serve(request, response));
  app.use((error: Error, _request: Request, response: Response, _next: NextFunction) => {
    log.error({ err: error }, 'exchange failed');
    response.destroy();
  });
  return app;
}

function listener({ tls }: HttpServerOptions, limits: HttpLimits): http.Server {
  const settings: http.ServerOptions = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    // Uploads of 5 GiB over slow lines take hours: the throughput rule of the body replaces it.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(5000, limits.headersTimeoutMs),
    // Checked by the exchange, which answers in XML.
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
  };
  const server =
    tls === undefined
      ? http.createServer(settings)
      : https.createServer({
          ...settings,
          ...tls,
          minVersion: 'TLSv1.2',
          ALPNProtocols: ['http/1.1'],
          handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        });
  server.maxConnections = limits.connectionsMax;
  return server;
}

function listen(server: http.Server, port: number, host: string): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}
