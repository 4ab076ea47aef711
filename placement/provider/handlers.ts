import { createHasher, HASH_BYTES, LEAF_BYTES } from '#erasure';
import { NetworkError } from '../network/errors.ts';
import type { Grant } from '../network/grants.ts';
import type { Identity } from '../network/identity.ts';
import type { DenialStatement, ProofStatement } from '../network/messages.ts';
import { signStatement } from '../network/signed.ts';
import { storedName } from '../shardName.ts';
import { SHARD_BYTES_MAX } from '../transports/shardFile.ts';
import type { Clock } from '../types.ts';
import type { Exchange } from './exchange.ts';
import { failureOf } from './failures.ts';
import type { GrantChecker } from './grantCheck.ts';
import type { DaemonLimits } from './limits.ts';
import { PutBody } from './putBody.ts';
import { routeOf, type Route } from './route.ts';
import type { ShardStore } from './shardStore.ts';
import {
  encodeSigned,
  HOLDER_HEADER,
  PROOF_BYTES_HEADER,
  SIGNED_HEADER,
  type Hello,
  type Receipt,
} from './wire.ts';

export interface HandlerOptions {
  readonly identity: Identity;
  /** Of this run. */
  readonly session: string;
  readonly store: ShardStore;
  readonly limits: DaemonLimits;
  readonly clock: Clock;
  /** Undefined until a gateway has taken the provider in. */
  readonly grants: () => GrantChecker | undefined;
  /** What failed on this side, for the operator. */
  readonly onFailure: (failure: StorageFailure) => void;
}

export interface StorageFailure {
  readonly op: string;
  readonly shard: string | undefined;
  readonly error: unknown;
}

type Of<Op extends Route['op']> = Extract<Route, { op: Op }>;

const hasher = createHasher();
const JSON_TYPE = { 'content-type': 'application/json' };
const BYTES_TYPE = { 'content-type': 'application/octet-stream' };

/** The routes of wire.ts. */
export class Handlers {
  readonly #options: HandlerOptions;
  /** Bytes of leaves in memory, on their way to readers. */
  #reading = 0;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** Answers a request, whatever it is. Never rejects. */
  async handle(exchange: Exchange): Promise<void> {
    const { method = '', url = '' } = exchange.request;
    let route: Route | undefined;
    try {
      route = routeOf(method, url);
      await this.#dispatch(route, exchange);
    } catch (error) {
      await this.fail(exchange, error, route);
    }
  }

  /** Answers with a failure, and with a signed denial where a proof was asked for. */
  async fail(exchange: Exchange, error: unknown, route?: Route): Promise<void> {
    const failure = failureOf(error, route?.op);
    const shard = route && 'stored' in route ? route.stored : undefined;
    if (failure.ours) this.#options.onFailure({ op: route?.op ?? '', shard, error });
    const headers =
      route?.op === 'prove' && (failure.kind === 'NotFound' || failure.kind === 'Corrupt')
        ? { ...JSON_TYPE, [SIGNED_HEADER]: this.#denial(route, failure.kind) }
        : JSON_TYPE;
    const body = Buffer.from(JSON.stringify({ kind: failure.kind, error: failure.error }));
    await exchange.answer(failure.status, headers, [body]);
  }

  async #dispatch(route: Route, exchange: Exchange): Promise<void> {
    switch (route.op) {
      case 'hello':
        return this.#hello(route, exchange);
      case 'put':
        return this.#put(route, exchange);
      case 'get':
        return this.#get(route, exchange);
      case 'prove':
        return this.#prove(route, exchange);
      case 'delete':
        return this.#delete(route, exchange);
      case 'list':
        return this.#list(route, exchange);
      case 'space':
        return this.#space(exchange);
    }
  }

  async #hello({ nonce }: Of<'hello'>, exchange: Exchange): Promise<void> {
    const { identity, session, clock, grants } = this.#options;
    const time = grants()?.now() ?? clock.now();
    const hello: Hello = {
      version: 1,
      provider: identity.id,
      publicKey: identity.publicKey,
      session,
      time,
    };
    const headers =
      nonce === undefined
        ? JSON_TYPE
        : { ...JSON_TYPE, [SIGNED_HEADER]: this.#signed('hello', { nonce, session }) };
    await exchange.answer(200, headers, [Buffer.from(JSON.stringify(hello))]);
  }

  async #put(route: Of<'put'>, exchange: Exchange): Promise<void> {
    const told = exchange.request.headers['content-length'];
    const size = told === undefined ? undefined : Math.max(0, Number(told) - HASH_BYTES);
    const grant = this.#accept(exchange, 'put', route.stored, size ?? 0);
    exchange.bePatient();
    const lengthMax = Math.min(size ?? grant.size, SHARD_BYTES_MAX);
    const body = new PutBody(exchange.body(), lengthMax);
    try {
      const { store } = this.#options;
      const isNew = await store.put(route.shard, await body.source(), size, exchange.signal);
      const { root, length } = await body.seal();
      const receipt: Receipt = {
        provider: this.#options.identity.id,
        shard: route.stored,
        root: Buffer.from(root).toString('hex'),
        length,
        storedAt: this.#options.clock.now(),
        nonce: grant.nonce,
      };
      const headers = { ...JSON_TYPE, [SIGNED_HEADER]: this.#signed('receipt', receipt) };
      await exchange.answer(isNew ? 201 : 200, headers, [Buffer.from('{}')]);
    } finally {
      body.release();
    }
  }

  async #get({ shard, stored, first, count }: Of<'get'>, exchange: Exchange): Promise<void> {
    const { store, limits } = this.#options;
    if (count < 1 || count > limits.leavesMax) {
      throw new NetworkError('BadMessage', `count is from 1 to ${limits.leavesMax}`);
    }
    this.#accept(exchange, 'get', stored, count);
    const bytes = count * LEAF_BYTES;
    if (this.#reading + bytes > limits.readBytesMax) {
      throw new NetworkError('Unavailable', 'too many reads are under way');
    }
    this.#reading += bytes;
    try {
      const slice = await store.transport.get(shard, first, count, exchange.signal);
      const headers = { ...BYTES_TYPE, [PROOF_BYTES_HEADER]: slice.proof.length };
      await exchange.answer(200, headers, [slice.bytes, slice.proof]);
    } finally {
      this.#reading -= bytes;
    }
  }

  async #prove(route: Of<'prove'>, exchange: Exchange): Promise<void> {
    const { identity, store } = this.#options;
    const { shard, leaf, nonce } = route;
    this.#accept(exchange, 'prove', route.stored, 0);
    const slice = await store.transport.prove(shard, leaf, exchange.signal);
    const proof: ProofStatement = {
      provider: identity.id,
      ...shard,
      leaf,
      nonce,
      leafHash: Buffer.from(hasher.hash(slice.bytes)).toString('hex'),
      path: Buffer.from(slice.proof).toString('base64url'),
    };
    const headers = { ...BYTES_TYPE, [SIGNED_HEADER]: this.#signed('proof', proof) };
    await exchange.answer(200, headers, [slice.bytes]);
  }

  async #delete(route: Of<'delete'>, exchange: Exchange): Promise<void> {
    this.#accept(exchange, 'delete', route.stored, 0);
    await this.#options.store.delete(route.shard, exchange.signal);
    await exchange.answer(204, {});
  }

  async #list({ after, limit }: Of<'list'>, exchange: Exchange): Promise<void> {
    this.#accept(exchange, 'list', undefined, 0);
    const shards = await this.#options.store.transport.list(after, limit, exchange.signal);
    const rows = shards.map((shard) => [storedName(shard), shard.length, shard.storedAt]);
    await exchange.answer(200, JSON_TYPE, [Buffer.from(JSON.stringify(rows))]);
  }

  async #space(exchange: Exchange): Promise<void> {
    this.#accept(exchange, 'space', undefined, 0);
    const space = await this.#options.store.space(exchange.signal);
    await exchange.answer(200, JSON_TYPE, [Buffer.from(JSON.stringify(space))]);
  }

  #accept({ request }: Exchange, op: Grant['op'], shard: string | undefined, size: number): Grant {
    const checker = this.#options.grants();
    if (!checker) throw new NetworkError('Refused', 'this provider is not registered with a gateway yet');
    const holder = request.headers[HOLDER_HEADER];
    return checker.accept({
      authorization: request.headers.authorization,
      use: typeof holder === 'string' ? holder : undefined,
      op,
      shard,
      size,
    });
  }

  #denial({ shard, leaf, nonce }: Of<'prove'>, reason: DenialStatement['reason']): string {
    const denial: DenialStatement = {
      provider: this.#options.identity.id,
      ...shard,
      leaf,
      nonce,
      reason,
    };
    return this.#signed('denial', denial);
  }

  #signed(kind: string, value: unknown): string {
    return encodeSigned(signStatement(this.#options.identity, kind, value));
  }
}
