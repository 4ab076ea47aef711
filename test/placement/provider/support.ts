import { randomBytes } from 'node:crypto';
import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock, type ShardName } from '#placement';
import { NetworkError } from '../../../placement/network/errors.ts';
import type { Grant } from '../../../placement/network/grants.ts';
import { createIdentity, type Identity } from '../../../placement/network/identity.ts';
import { issueGrant } from '../../../placement/network/issueGrant.ts';
import {
  heartbeatSchema,
  providerRegistrationSchema,
  type Heartbeat,
  type ProviderRegistration,
  type Standing,
} from '../../../placement/network/messages.ts';
import { openStatement } from '../../../placement/network/signed.ts';
import {
  startProvider,
  type ProviderEvent,
  type ProviderOptions,
  type RunningProvider,
} from '../../../placement/provider/daemon.ts';
import { helloSchema, type Hello } from '../../../placement/provider/wire.ts';
import { scratch } from '../directories.ts';
import { newChunkId, sealOf } from '../shards.ts';

/** A gateway's network listener, as far as providers talk to it. */
export class SmallGateway {
  readonly identity: Identity;
  readonly registrations: ProviderRegistration[] = [];
  readonly heartbeats: Heartbeat[] = [];
  /** What both are answered with. */
  answer: (message: ProviderRegistration | Heartbeat) => Standing = () => ({ state: 'vetting' });
  #server: Server | undefined;
  #port = 0;
  #waiting: (() => void)[] = [];

  constructor(identity = createIdentity()) {
    this.identity = identity;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  token(): string {
    return `sj_${this.identity.id}_${randomBytes(16).toString('hex')}`;
  }

  /** At the port it had before, if it had one. */
  async start(): Promise<this> {
    const server = createServer((incoming, outgoing) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('end', () => {
        const { status, body } = this.#respond(incoming.url ?? '', Buffer.concat(parts).toString());
        outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(this.#port, '127.0.0.1', resolve);
    await promise;
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.#server) return;
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    this.#server = undefined;
    await promise;
  }

  /** Resolves once what was asked of it makes `holds` true. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #respond(path: string, text: string): { status: number; body: unknown } {
    const { id, publicKey } = this.identity;
    try {
      if (path === '/network/v1/gateway') {
        return { status: 200, body: { version: 1, id, publicKey, time: Date.now() } };
      }
      if (path === '/network/v1/providers') return this.#take(text, 'register-provider');
      if (path === '/network/v1/heartbeats') return this.#take(text, 'heartbeat');
      throw new NetworkError('NotFound', 'nothing here');
    } catch (error) {
      const { kind, message } = error as NetworkError;
      return { status: kind === 'NotFound' ? 404 : 401, body: { kind, error: message } };
    }
  }

  #take(text: string, kind: 'register-provider' | 'heartbeat'): { status: number; body: unknown } {
    const statement: unknown = JSON.parse(text);
    if (kind === 'heartbeat') {
      const { value } = openStatement(statement, kind, heartbeatSchema);
      this.heartbeats.push(value);
      return { status: 200, body: this.answer(value) };
    }
    const { value } = openStatement(statement, kind, providerRegistrationSchema);
    this.registrations.push(value);
    return { status: 200, body: this.answer(value) };
  }
}

export interface Setting {
  readonly gateway: SmallGateway;
  readonly provider: RunningProvider;
  readonly hello: Hello;
  readonly events: ProviderEvent[];
  /** Directory of the shards. */
  readonly shards: string;
  /** A grant of the gateway to itself, for a minute, unless fields say otherwise. */
  grant(fields: Partial<Grant> & Pick<Grant, 'op'>): { text: string; nonce: string };
  /** The same data, in another run. */
  restart(options?: Partial<ProviderOptions>): Promise<Setting>;
  dispose(): Promise<void>;
}

export const DESCRIPTION = {
  region: 'eu',
  site: 'fra1',
  operator: 'acme',
  networkPrefix: '203.0.113.0/24',
  storageClass: 'ssd',
  capacity: 64 * 1024 * 1024,
} as const;

/** A provider that a gateway has taken in. */
export async function newSetting(options: Partial<ProviderOptions> = {}): Promise<Setting> {
  const { path, remove } = await scratch();
  const gateway = await new SmallGateway().start();
  return run(gateway, path, remove, options);
}

async function run(
  gateway: SmallGateway,
  data: string,
  remove: () => Promise<void>,
  options: Partial<ProviderOptions>,
): Promise<Setting> {
  const events: ProviderEvent[] = [];
  const { clock = systemClock } = options;
  const standing = Promise.withResolvers<void>();
  const provider = await startProvider({
    ...DESCRIPTION,
    data,
    listen: { host: '127.0.0.1', port: 0 },
    gateway: gateway.url,
    clock,
    onEvent(event) {
      events.push(event);
      if (event.kind === 'standing') standing.resolve();
    },
    ...options,
  });
  await standing.promise;
  const hello = helloSchema.parse(JSON.parse((await call(provider.endpoint, 'GET', '/v1/hello')).text));
  return {
    gateway,
    provider,
    hello,
    events,
    shards: join(data, 'shards'),
    grant: (fields) =>
      issueGrant(gateway.identity, {
        holder: gateway.identity.id,
        provider: provider.id,
        size: 0,
        expires: clock.now() + 60_000,
        session: hello.session,
        ...fields,
      }),
    async restart(changed = {}) {
      await provider.stop();
      return run(gateway, data, remove, { ...options, ...changed });
    },
    async dispose() {
      await provider.stop();
      await gateway.stop();
      await remove();
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

/** One request on a connection of its own. */
export async function call(
  endpoint: string,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: Uint8Array,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const outgoing = request(`${endpoint}${path}`, { method, headers, agent: false }, (incoming) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('error', reject);
    incoming.on('end', () => {
      const bytes = Buffer.concat(parts);
      resolve({
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        bytes,
        text: bytes.toString(),
      });
    });
  });
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

/** Sends these bytes and gives back all that came until the connection closed. */
export async function raw(endpoint: string, bytes: string | Uint8Array): Promise<string> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => undefined);
  socket.write(bytes);
  return closing(socket);
}

/** All that a connection gives until it closes. */
export async function closing(socket: ReturnType<typeof connect>): Promise<string> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('close', () => resolve());
  await promise;
  return Buffer.concat(parts).toString('latin1');
}

/** A name, and what a put of these bytes sends. */
export function putOf(bytes: Uint8Array): { shard: ShardName; stored: string; body: Buffer; root: string } {
  const shard = { chunk: newChunkId(), index: 2 };
  const { root } = sealOf(bytes);
  return {
    shard,
    stored: `${shard.chunk}.${shard.index}`,
    body: Buffer.concat([bytes, root]),
    root: Buffer.from(root).toString('hex'),
  };
}

/** The header that shows a grant. */
export function shown({ text }: { text: string }): Record<string, string> {
  return { authorization: `Shardway ${text}` };
}

/** Puts a shard with a grant of its own. */
export async function put(setting: Setting, bytes: Uint8Array): Promise<ReturnType<typeof putOf>> {
  const made = putOf(bytes);
  const grant = setting.grant({ op: 'put', shard: made.stored, size: bytes.length });
  const { status, text } = await call(
    setting.provider.endpoint,
    'PUT',
    `/v1/shards/${made.stored}`,
    shown(grant),
    made.body,
  );
  if (status !== 201) throw new Error(`the put answers ${status} ${text}`);
  return made;
}
