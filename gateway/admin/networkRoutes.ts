import express from 'express';
import { joinTokenId } from '#placement';
import type { NetworkOperator } from '#placement';

const PROVIDER_COMMANDS = ['approve', 'drain', 'exit', 'readmit'] as const;
const MONITOR_COMMANDS = ['approve', 'remove'] as const;

/** Operators' view of the network of providers and HyperNodes. Failures are NetworkErrors, mapped by `networkStatus`. */
export function networkRoutes(network: () => NetworkOperator | undefined): express.Router {
  const routes = express.Router();
  routes.use(express.json({ limit: '16kb' }));
  const running = (): NetworkOperator => {
    const found = network();
    if (found) return found;
    throw Object.assign(new Error('The network listener is off: set SHARDWAY_NETWORK_LISTEN'), {
      status: 409,
    });
  };
  routes.get('/network', (_request, response) => {
    response.json(running().overview());
  });
  routes.get('/durability', async (_request, response) => {
    response.json(await running().durability());
  });
  routes.get('/providers', async (_request, response) => {
    response.json(await running().providers());
  });
  routes.get('/providers/:id', async (request, response) => {
    response.json(await running().provider(request.params.id));
  });
  routes.post('/providers/:id/commands', async (request, response) => {
    const command = oneOf(PROVIDER_COMMANDS, field(request.body, 'command'), 'command');
    await running().commandProvider(request.params.id, command);
    response.status(204).end();
  });
  routes.get('/hypernodes', (_request, response) => {
    response.json(running().monitors());
  });
  routes.post('/hypernodes/:id/commands', async (request, response) => {
    const command = oneOf(MONITOR_COMMANDS, field(request.body, 'command'), 'command');
    await running().commandMonitor(request.params.id, command);
    response.status(204).end();
  });
  routes.get('/tokens', async (request, response) => {
    response.json(await running().tokens(request.query['all'] === 'true'));
  });
  routes.post('/tokens', async (request, response) => {
    const role = oneOf(['provider', 'hypernode'] as const, field(request.body, 'role'), 'role');
    const uses = wholeNumber(field(request.body, 'uses'), 'uses', 1000);
    const hours = wholeNumber(field(request.body, 'hours'), 'hours', 24 * 365);
    const token = await running().createToken(role, uses, hours);
    const made = (await running().tokens(true)).find(({ id }) => id === joinTokenId(token));
    response.status(201).json({ token, ...made });
  });
  routes.delete('/tokens/:id', async (request, response) => {
    if (await running().removeToken(request.params.id)) response.status(204).end();
    else response.status(404).json({ error: 'There is no such token' });
  });
  return routes;
}

function field(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, name)
    ? (body as Record<string, unknown>)[name]
    : undefined;
}

function oneOf<T extends string>(allowed: readonly T[], value: unknown, name: string): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw new Error(`${name} must be one of ${allowed.join(', ')}`);
}

function wholeNumber(value: unknown, name: string, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`${name} must be a whole number from 1 to ${max}`);
}
