import http from 'node:http';
import type { Server } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import express from 'express';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { NetworkErrorKind } from '#placement';
import { Answers } from './answers.ts';
import { checkBody, readBody } from './bodies.ts';
import { Callers } from './callers.ts';
import { Connections } from '#placement';
import { Refusal } from './refusal.ts';
import { ReportGate } from './reportGate.ts';
import { NETWORK_LIMITS } from './types.ts';
import type { BodyRule, NetworkLimits, NetworkParties } from './types.ts';

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
  const connections = new Connections(limits);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.use(attended(connections, limits));
  app.use('/network/v1', routes(parties, { callers, connections, limits }));
  app.use((_request, response) => {
    fail(response, 'NotFound', 'there is nothing here');
  });
  app.use(failures(callers, options.onError ?? (() => undefined)));
  return serverOf(app, limits, connections, options.tls);
}

interface Guards {
  readonly callers: Callers;
  readonly connections: Connections;
  readonly limits: NetworkLimits;
}

function routes(parties: NetworkParties, guards: Guards): express.Router {
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
  const mayCall = admitted(guards.callers);
  const takes = (path: string, answer: (statement: unknown) => Promise<object>): void => {
    routes.post(path, mayCall, async (request, response) => {
      const said = await answer(await readStatement(request, response, guards));
      if (!isOutsider(said)) guards.connections.know(request.socket);
      response.json(said);
    });
  };
  takes('/providers', (statement) => parties.registerProvider(statement));
  takes('/heartbeats', (statement) => parties.heartbeat(statement));
  takes('/hypernodes', (statement) => parties.registerHyperNode(statement));
  const answers = new Answers(guards.limits.assignmentsMax);
  routes.post('/assignments', mayCall, async (request, response) => {
    const statement = await readStatement(request, response, guards);
    const said = await parties.assignment(statement);
    guards.connections.know(request.socket);
    if (response.destroyed) return;
    response.once('close', answers.begin((statement as { signer: string }).signer));
    response.json(said);
  });
  const gate = new ReportGate(guards.limits);
  routes.post('/reports', mayCall, async (request, response) => {
    await takeReport(request, response, { parties, gate, rule: guards.limits.report });
    guards.connections.know(request.socket);
    response.json({});
  });
  return routes;
}

/** Anybody may apply: who has not been let in, or not any more, makes way as other strangers do. */
function isOutsider(said: object): boolean {
  return 'state' in said && (said.state === 'applied' || said.state === 'removed');
}

/** Statements are short: one is parsed before it is known whose it is. */
async function readStatement(
  request: Request,
  response: Response,
  { callers, limits }: Guards,
): Promise<unknown> {
  checkBody(request, limits.statement);
  const room = callers.room(request.socket.remoteAddress);
  response.once('close', () => room.giveBack());
  const text = await readBody(request, limits.statement, (bytes) => room.take(bytes));
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Refusal('BadMessage', 'the body is not JSON of a statement');
  }
}

/**
 * A report is long, and comes as its bare text: it is read when its signer may report and has signed that it is about to, and parsed when it
 * is the text that was so announced and the signature over it holds, which the service sees to.
 */
async function takeReport(
  request: Request,
  response: Response,
  {
    parties,
    gate,
    rule,
  }: { readonly parties: NetworkParties; readonly gate: ReportGate; readonly rule: BodyRule },
): Promise<void> {
  const { kind, signer, signature } = signatureOf(request);
  checkBody(request, rule);
  const announced = parties.mayReport(request.get('shardway-intent') ?? '');
  if (announced.signer !== signer)
    throw new Refusal('Refused', 'another than the signer announces the report');
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const leave = await gate.enter(signer, gone.signal);
  try {
    const body = await readBody(request, rule, () => true);
    await parties.report({ kind, body, signer, signature }, announced.hash);
  } finally {
    leave();
  }
}

function signatureOf(request: Request): { kind: string; signer: string; signature: string } {
  const kind = request.get('shardway-kind');
  const signer = request.get('shardway-signer');
  const signature = request.get('shardway-signature');
  if (kind !== 'report' || signer === undefined || signature === undefined) {
    throw new Refusal('BadMessage', 'a report needs the headers shardway-kind, -signer and -signature');
  }
  return { kind, signer, signature };
}

/** Before a body is read: callers that fail again and again are sent away. */
function admitted(callers: Callers): RequestHandler {
  return (request, _response, next) => {
    if (callers.mayCall(request.socket.remoteAddress)) next();
    else next(new Refusal('Unavailable', 'too much comes from this address: try again later'));
  };
}

/** Of every request, whatever it is: its connection is busy, goes soon where nobody on it is known or it is not read to its end, and in the end where its answer is not. */
function attended(
  connections: Connections,
  { strangerIdleMs, lingerMs, answerTimeoutMs }: NetworkLimits,
): RequestHandler {
  const stranger = `timeout=${Math.floor(strangerIdleMs / 1000)}`;
  return (request, response, next) => {
    const { socket } = request;
    connections.busy(socket);
    if (!connections.isKnown(socket)) response.setHeader('keep-alive', stranger);
    const unread = setTimeout(() => socket.destroy(), answerTimeoutMs);
    response.once('close', () => {
      clearTimeout(unread);
      connections.idle(socket);
      if (request.complete) return;
      request.resume();
      const timer = setTimeout(() => socket.destroy(), lingerMs);
      request.once('close', () => clearTimeout(timer));
    });
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
    if (kind === 'Unavailable') response.set('retry-after', '5');
    fail(response, kind, textOf(error), error instanceof Refusal ? error.status : undefined);
  };
}

/** What others have found out is not told as it is. */
function textOf(error: Error): string {
  return error instanceof Refusal || error.name === 'NetworkError' ? error.message : 'the request is not one';
}

/** Undefined for what is nobody's fault but ours. */
function kindOf(error: Error): NetworkErrorKind | undefined {
  if (error instanceof Refusal) return error.kind;
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

function serverOf(
  app: express.Express,
  limits: NetworkLimits,
  connections: Connections,
  tls: NetworkServerOptions['tls'],
): Server {
  const settings = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
  };
  const server =
    tls === undefined
      ? http.createServer(settings, app)
      : https.createServer(
          { ...settings, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: limits.headersTimeoutMs },
          app,
        );
  // Of TLS, the connection under it.
  server.on('connection', (socket: Socket) => connections.add(socket));
  return server;
}
