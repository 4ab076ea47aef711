import http from 'node:http';
import type { Server } from 'node:http';
import https from 'node:https';
import express from 'express';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { NetworkErrorKind } from '#placement';
import { Callers } from './callers.ts';
import { NETWORK_LIMITS } from './types.ts';
import type { NetworkLimits, NetworkParties } from './types.ts';

export interface NetworkServerOptions {
  /** PEM; present: HTTPS only. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly limits?: Partial<NetworkLimits>;
  /** What went wrong in the gateway itself. */
  readonly onError?: (error: Error) => void;
}

/** Statuses of the kinds of NetworkError, as the protocol has them. */
const STATUS = {
  BadMessage: 400,
  BadIdentity: 400,
  BadSignature: 401,
  Refused: 401,
  NotApproved: 403,
  NotFound: 404,
  Conflict: 409,
  Unavailable: 503,
  Tampered: 503,
} as const satisfies Record<NetworkErrorKind, number>;
/** What a party that means well does seldom. */
const FAILURES: ReadonlySet<NetworkErrorKind> = new Set([
  'BadMessage',
  'BadIdentity',
  'BadSignature',
  'Refused',
]);

/** Where providers and HyperNodes come. Nobody is known by anything but the signature of what is said. */
export function createNetworkServer(parties: NetworkParties, options: NetworkServerOptions = {}): Server {
  const limits: NetworkLimits = { ...NETWORK_LIMITS, ...options.limits };
  const callers = new Callers(limits, () => Date.now());
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use('/network/v1', routes(parties, callers, limits));
  app.use((_request, response) => {
    fail(response, 'NotFound', 'there is nothing here');
  });
  app.use(failures(callers, options.onError ?? (() => undefined)));
  return serverOf(app, limits, options.tls);
}

function routes(parties: NetworkParties, callers: Callers, limits: NetworkLimits): express.Router {
  const routes = express.Router();
  routes.use((_request, response, next) => {
    response.set({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    next();
  });
  routes.get('/gateway', (_request, response) => {
    response.json(parties.describe());
  });
  routes.get('/era', (_request, response) => {
    response.json(parties.era());
  });
  const takes = (path: string, bytesMax: number, answer: (statement: unknown) => Promise<object>): void => {
    const body = express.json({ limit: bytesMax, inflate: false });
    routes.post(path, admitted(callers, bytesMax), body, async (request, response) => {
      response.json(await answer(request.body));
    });
  };
  const { statementBytesMax, reportBytesMax } = limits;
  takes('/providers', statementBytesMax, (statement) => parties.registerProvider(statement));
  takes('/heartbeats', statementBytesMax, (statement) => parties.heartbeat(statement));
  takes('/hypernodes', statementBytesMax, (statement) => parties.registerHyperNode(statement));
  takes('/assignments', statementBytesMax, (statement) => parties.assignment(statement));
  takes('/reports', reportBytesMax, async (statement) => {
    await parties.report(statement);
    return {};
  });
  return routes;
}

/** Before a body is read: callers that fail again and again, and bodies for which there is no memory, are sent away. */
function admitted(callers: Callers, bytesMax: number): RequestHandler {
  return (request, response, next) => {
    const { remoteAddress } = request.socket;
    const length = Number(request.headers['content-length'] ?? bytesMax);
    const giveBack = callers.mayCall(remoteAddress)
      ? callers.takeBytes(remoteAddress, Math.min(length, bytesMax))
      : undefined;
    if (giveBack === undefined) {
      response.set({ 'retry-after': '5', connection: 'close' });
      fail(response, 'Unavailable', 'too much comes from this address: try again later');
      return;
    }
    response.on('close', giveBack);
    next();
  };
}

function failures(callers: Callers, onError: (error: Error) => void) {
  // Express knows an error handler by its four parameters.
  return (error: Error, request: Request, response: Response, _next: NextFunction): void => {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const kind = kindOf(error);
    if (kind === undefined) {
      onError(error);
      fail(response, 'Unavailable', 'the gateway could not do this', 500);
      return;
    }
    if (FAILURES.has(kind)) callers.noteFailure(request.socket.remoteAddress);
    const { status } = error as { status?: number };
    const isHttp = error.name !== 'NetworkError';
    fail(
      response,
      kind,
      isHttp ? 'the body is not JSON of a statement' : error.message,
      isHttp ? status : undefined,
    );
  };
}

/** Undefined for what is nobody's fault but ours. */
function kindOf(error: Error): NetworkErrorKind | undefined {
  const { kind, status } = error as { kind?: unknown; status?: unknown };
  if (error.name === 'NetworkError' && isKind(kind)) return kind;
  return typeof status === 'number' && status >= 400 && status < 500 ? 'BadMessage' : undefined;
}

function isKind(kind: unknown): kind is NetworkErrorKind {
  return typeof kind === 'string' && Object.hasOwn(STATUS, kind);
}

function fail(
  response: Response,
  kind: NetworkErrorKind,
  error: string,
  status: number = STATUS[kind],
): void {
  response.status(status).json({ kind, error });
}

function serverOf(app: express.Express, limits: NetworkLimits, tls: NetworkServerOptions['tls']): Server {
  const settings = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
  };
  const server =
    tls === undefined
      ? http.createServer(settings, app)
      : https.createServer({ ...settings, ...tls, minVersion: 'TLSv1.2' }, app);
  server.maxConnections = limits.connectionsMax;
  return server;
}
