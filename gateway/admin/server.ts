import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { NextFunction, Request, Response } from 'express';
import express from 'express';
import type { Registry } from 'prom-client';
import { networkRoutes } from './networkRoutes.ts';
import type { Job, JobProgress, KeyManager, Operator } from './types.ts';

/** Progress lines of a job are sent at most this often, and an idle job sends one to show it is alive. */
const PROGRESS_INTERVAL_MS = 250;

/** Kinds of NetworkError that are not simply bad requests. */
const NETWORK_STATUS: Readonly<Record<string, number>> = { NotFound: 404, Conflict: 409, Unavailable: 503 };

export interface AdminOptions {
  readonly operator: Operator;
  readonly registry: Registry;
  /** Bearer token for everything but health and metrics. */
  readonly token: string;
}

/**
 * Operators' listener, apart from the S3 one. /healthz, /readyz and /metrics are open to whoever reaches it; the rest asks
 * for the token in the data folder. Jobs answer with one JSON object a line: progress, then `{report}` or `{error}`.
 */
export function createAdminServer({ operator, registry, token }: AdminOptions): Server {
  const app = express();
  app.disable('x-powered-by');
  app.get('/healthz', (_request, response) => {
    response.type('text/plain').send('ok\n');
  });
  app.get('/readyz', (_request, response) => {
    const ready = operator.ready();
    response
      .status(ready ? 200 : 503)
      .type('text/plain')
      .send(ready ? 'ready\n' : 'not ready\n');
  });
  app.get('/metrics', async (_request, response) => {
    response.type(registry.contentType).send(await registry.metrics());
  });
  app.use('/v1', requireToken(token));
  app.get('/v1/status', async (_request, response) => {
    const network = operator.network()?.overview();
    response.json({ ...(await operator.status()), ...(network && { network }) });
  });
  app.post('/v1/jobs/:job', express.json({ limit: '16kb' }), async (request, response) => {
    const name = request.params.job;
    const job = Object.hasOwn(operator.jobs, name) ? operator.jobs[name] : undefined;
    if (job === undefined) {
      response.status(404).json({ error: `There is no job '${name}'` });
      return;
    }
    await runJob(job, request, response);
  });
  app.use('/v1/keys', keyRoutes(operator.keys));
  app.use(
    '/v1',
    networkRoutes(() => operator.network()),
  );
  app.use((_request, response) => {
    response.status(404).json({ error: 'Not found' });
  });
  app.use(
    (
      error: Error & { status?: number; kind?: string },
      _request: Request,
      response: Response,
      next: NextFunction,
    ) => {
      if (response.headersSent) {
        next(error);
        return;
      }
      // What an operator asked for and cannot have is said plainly; it is never a secret.
      response.status(error.status ?? NETWORK_STATUS[error.kind ?? ''] ?? 400).json({ error: error.message });
    },
  );
  return createServer(app);
}

function keyRoutes(keys: KeyManager): express.Router {
  const routes = express.Router();
  routes.use(express.json({ limit: '16kb' }));
  const found = (response: Response, exists: boolean): void => {
    if (exists) response.status(204).end();
    else response.status(404).json({ error: 'There is no such access key' });
  };
  routes.get('/', (_request, response) => {
    response.json(keys.list());
  });
  routes.post('/', async (request, response) => {
    const { name } = (request.body ?? {}) as { name?: unknown };
    response.status(201).json(await keys.create(typeof name === 'string' ? name : ''));
  });
  routes.put('/:key', async (request, response) => {
    const { enabled } = (request.body ?? {}) as { enabled?: unknown };
    if (typeof enabled !== 'boolean') response.status(400).json({ error: 'enabled must be true or false' });
    else found(response, await keys.setEnabled(request.params.key, enabled));
  });
  routes.delete('/:key', async (request, response) => {
    found(response, await keys.remove(request.params.key));
  });
  return routes;
}

async function runJob(job: Job, request: Request, response: Response): Promise<void> {
  const cancelled = new AbortController();
  // A client that goes away stops its job: everything a job does can be resumed.
  response.on('close', () => cancelled.abort());
  response.status(200).type('application/x-ndjson');
  let latest: JobProgress | undefined;
  const send = (line: object): void => {
    response.write(`${JSON.stringify(line)}\n`);
  };
  const timer = setInterval(() => send({ progress: latest }), PROGRESS_INTERVAL_MS);
  try {
    const options = (request.body ?? {}) as Readonly<Record<string, unknown>>;
    const report = await job(options, (progress) => (latest = progress), cancelled.signal);
    send({ progress: latest });
    send({ report });
  } catch (error) {
    send({ error: (error as Error).message });
  } finally {
    clearInterval(timer);
    response.end();
  }
}

function requireToken(token: string) {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (request: Request, response: Response, next: NextFunction): void => {
    if (timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      next();
      return;
    }
    response.status(401).json({ error: 'The admin token is missing or wrong' });
  };
}
