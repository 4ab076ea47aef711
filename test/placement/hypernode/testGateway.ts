import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHasher } from '#erasure';
import { NetworkError, type NetworkErrorKind } from '../../../placement/network/errors.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { issueGrant } from '../../../placement/network/issueGrant.ts';
import {
  assignmentRequestSchema,
  heartbeatSchema,
  hyperNodeRegistrationSchema,
  providerRegistrationSchema,
  reportIntentSchema,
  reportSchema,
  type Assignment,
  type EraNotice,
  type HyperNodeRegistration,
  type Report,
  type Task,
} from '../../../placement/network/messages.ts';
import { openStatement, signStatement, type Signed } from '../../../placement/network/signed.ts';
import { decodeSigned } from '../../../placement/provider/wire.ts';

export const BEACON = 'be'.repeat(32);

/** A shard to be asked for, as chunk records name it. */
export interface KnownShard {
  readonly chunk: string;
  readonly index: number;
  readonly root: string;
  readonly length: number;
}

export interface AskedProvider {
  readonly id: string;
  readonly publicKey: string;
  readonly endpoint: string;
}

const STATUS: Partial<Record<NetworkErrorKind, number>> = {
  BadSignature: 401,
  Refused: 401,
  NotApproved: 403,
  NotFound: 404,
  Conflict: 409,
  Unavailable: 503,
};

/** The gateway's side of messages.ts: enough to register at, one assignment an era, and every report that came kept. */
export class TestGateway {
  readonly identity = createIdentity();
  readonly registrations: HyperNodeRegistration[] = [];
  /** As they came, bad ones too. */
  readonly posted: Signed[] = [];
  readonly reports: Report[] = [];
  /** Errors that a route answers with instead, while it is there. */
  readonly refuse = new Map<string, NetworkErrorKind>();
  standing = 'active';
  /** Registrations that show a token are refused. */
  spent = false;
  tasks: (monitor: string) => Task[] = () => [];
  /** Changes what is signed, for assignments that are not right. */
  forge: (assignment: Assignment) => Assignment = (assignment) => assignment;
  #era: { readonly era: number; readonly ms: number } | undefined;
  #assigned: Signed | undefined;
  #announcedAt = 0;
  readonly #calls = new Map<string, number>();
  #waiting: (() => void)[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get token(): string {
    return `sj_${this.identity.id}_${'5e'.repeat(16)}`;
  }

  /** The era that is open from now on. Whoever asks for it has its whole time left, however long the test has taken. */
  openEra(era: number, ms = 60_000): void {
    this.#era = { era, ms };
    this.#assigned = undefined;
  }

  get #notice(): EraNotice {
    if (this.#era === undefined) throw new NetworkError('NotFound', 'no era is open');
    const { era, ms } = this.#era;
    const now = Date.now();
    return { version: 1, era, opensAt: now, closesAt: now + ms, beacon: BEACON };
  }

  /** The `count`-th report, once it is there. */
  async report(count = 1): Promise<Report> {
    while (this.reports.length < count) await this.changed();
    return this.reports[count - 1]!;
  }

  /** Until this route has been asked for so often, whatever the answer. */
  async called(route: string, times = 1): Promise<void> {
    while ((this.#calls.get(route) ?? 0) < times) await this.changed();
  }

  /** Until the next request has been answered. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What a monitor is to do at a provider. */
  task(monitor: string, provider: AskedProvider, shards: readonly KnownShard[], leaf = 0): Task {
    const targets = shards.map((shard) => ({
      ...shard,
      leaf,
      grant: this.#grant(monitor, provider.id, 'prove', shard, 0),
    }));
    const { id, publicKey, endpoint } = provider;
    return { provider: id, publicKey, endpoint, storageClass: 'ssd', targets };
  }

  /** A run of leaves to read. */
  run(
    monitor: string,
    provider: AskedProvider,
    shard: KnownShard,
    first: number,
    count: number,
  ): NonNullable<Task['throughput']> {
    return { ...shard, first, count, grant: this.#grant(monitor, provider.id, 'get', shard, count) };
  }

  /** For this gateway itself. */
  putGrant(provider: string, shard: KnownShard, session: string): string {
    const { chunk, index, length } = shard;
    const fields = { holder: this.identity.id, provider, shard: `${chunk}.${index}`, size: length, session };
    return issueGrant(this.identity, { ...fields, op: 'put', expires: Date.now() + 60_000 }).text;
  }

  #grant(holder: string, provider: string, op: 'prove' | 'get', shard: KnownShard, size: number): string {
    const fields = { op, holder, provider, shard: `${shard.chunk}.${shard.index}`, size };
    return issueGrant(this.identity, { ...fields, expires: Date.now() + 120_000 }).text;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = (request.url ?? '').replace('/network/v1/', '');
    try {
      const refused = this.refuse.get(route);
      if (refused) throw new NetworkError(refused, `the test says ${refused}`);
      const statement = request.method === 'POST' ? statementOf(request, await textOf(request)) : undefined;
      if (route === 'reports') this.#checkAnnounced(request, statement as Signed);
      send(response, 200, this.#handle(route, statement));
    } catch (error) {
      const { kind, message } = error as NetworkError;
      send(response, STATUS[kind] ?? 400, { kind, error: message });
    }
    this.#calls.set(route, (this.#calls.get(route) ?? 0) + 1);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #handle(route: string, statement: unknown): unknown {
    const { id, publicKey } = this.identity;
    switch (route) {
      case 'gateway':
        return { version: 1, id, publicKey, time: Date.now() };
      case 'era':
        return this.#notice;
      case 'providers':
        openStatement(statement, 'register-provider', providerRegistrationSchema);
        return { state: 'active' };
      case 'heartbeats':
        openStatement(statement, 'heartbeat', heartbeatSchema);
        return { state: 'active' };
      case 'hypernodes':
        return this.#register(statement);
      case 'assignments':
        return this.#assign(statement);
      case 'reports':
        return this.#take(statement as Signed);
      default:
        throw new NetworkError('NotFound', route);
    }
  }

  #register(statement: unknown): object {
    const { value } = openStatement(statement, 'register-hypernode', hyperNodeRegistrationSchema);
    this.registrations.push(value);
    if (this.spent && value.token !== undefined) {
      throw new NetworkError('Refused', 'the join token is used up');
    }
    return { state: this.standing };
  }

  #assign(statement: unknown): Signed {
    const { value, signer } = openStatement(statement, 'assignment-request', assignmentRequestSchema);
    if (value.era !== this.#era?.era) throw new NetworkError('NotFound', `no era ${value.era}`);
    this.#assigned ??= signStatement(
      this.identity,
      'assignment',
      this.forge({
        version: 1,
        era: value.era,
        monitor: signer,
        beacon: BEACON,
        closesAt: this.#notice.closesAt,
        serviceMs: { ssd: 5000, hdd: 5000 },
        tasks: this.tasks(signer),
      }),
    );
    return this.#assigned;
  }

  /** Newer than all before, by the report's signer, and of this very text. */
  #checkAnnounced({ headers }: IncomingMessage, { body, signer }: Signed): void {
    const said = decodeSigned(String(headers['shardway-intent']));
    const { value, publicKey } = openStatement(said, 'report-intent', reportIntentSchema);
    const hash = Buffer.from(createHasher().hash(Buffer.from(body))).toString('hex');
    if (publicKey !== signer || value.report !== hash || value.at <= this.#announcedAt) {
      throw new NetworkError('Refused', 'the report is not announced');
    }
    this.#announcedAt = value.at;
  }

  #take(statement: Signed): object {
    this.posted.push(statement);
    const { value } = openStatement(statement, 'report', reportSchema);
    if (this.reports.some(({ era }) => era === value.era)) throw new NetworkError('Conflict', 'reported');
    const hash = createHasher().hash(Buffer.from(this.#assigned?.body ?? ''));
    if (value.assignment !== Buffer.from(hash).toString('hex')) {
      throw new NetworkError('BadMessage', 'it is for another assignment');
    }
    this.reports.push(value);
    return {};
  }
}

/** Reports are the text that is signed, and headers. */
function statementOf({ headers, url }: IncomingMessage, text: string): unknown {
  if (url !== '/network/v1/reports') return JSON.parse(text);
  return {
    kind: headers['shardway-kind'],
    body: text,
    signer: headers['shardway-signer'],
    signature: headers['shardway-signature'],
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
