import type { Pool } from 'undici';
import type { AddressRules } from '../network/addressRules.ts';
import type { Grant } from '../network/grants.ts';
import type { Identity } from '../network/identity.ts';
import { issueGrant } from '../network/issueGrant.ts';
import { GRANT_SCHEME } from '../provider/wire.ts';
import { CallWatch } from './callWatch.ts';
import { streamedBody, wholeBody } from './httpProviderBody.ts';
import { HttpCall, type HttpAnswer, type HttpRequest } from './httpProviderCall.ts';
import type { HttpProviderLimits } from './httpProviderLimits.ts';
import { openPool, originOf } from './httpProviderPool.ts';
import { greet, type ExpectedProvider, type ProviderSession } from './httpProviderSession.ts';
import { orAborted } from './orAborted.ts';
import { SHARD_BYTES_MAX } from './shardFile.ts';
import type { Clock, ShardSeal, ShardSource } from '../types.ts';

export interface LineOptions {
  readonly endpoint: string;
  readonly provider: ExpectedProvider;
  readonly gateway: Identity;
  readonly clock: Clock;
  readonly limits: HttpProviderLimits;
  readonly addresses: AddressRules;
}

type GrantFields = Pick<Grant, 'op' | 'shard' | 'size'>;

/** What came of the sending of a shard. */
export interface Upload {
  readonly answer: HttpAnswer;
  /** Of the grant that it was sent with. */
  readonly nonce: string;
  /** Undefined where the provider answered before it had the whole. */
  readonly seal: ShardSeal | undefined;
}

/** Connections to one address of a provider, and the session with who is found there. */
export class ProviderLine {
  readonly origin: string;
  readonly #options: LineOptions;
  readonly #watch: CallWatch;
  readonly #calls: Pool;
  readonly #uploads: Pool;
  #session: ProviderSession | undefined;
  #greeting: Promise<ProviderSession> | undefined;

  /** @throws RangeError for an endpoint that is no origin */
  constructor(options: LineOptions) {
    const { endpoint, clock, limits, addresses } = options;
    this.#options = options;
    this.origin = originOf(endpoint);
    const tick = Math.min(limits.answerMs, limits.windowMs, limits.settleMs) / 4;
    this.#watch = new CallWatch(clock, Math.min(tick, 250));
    this.#calls = openPool(this.origin, limits.connections, limits, addresses);
    this.#uploads = openPool(this.origin, limits.uploadConnections, limits, addresses);
  }

  /** Asks under a grant, and once more where the provider has been started anew. @throws TransportError */
  async ask(fields: GrantFields, request: HttpRequest, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const session = this.#session ?? (await this.#meet(signal));
    const answer = await this.#askIn(session, fields, request, signal);
    if (answer.status !== 401) return answer;
    return this.#askIn(await this.#meetAnew(session, signal), fields, request, signal);
  }

  /**
   * @param onUnsettled called when this fails after the provider could have stored the shard
   * @throws TransportError
   */
  async upload(
    shard: string,
    source: ShardSource,
    signal: AbortSignal | undefined,
    onUnsettled: () => void,
  ): Promise<Upload> {
    const session = this.#session ?? (await this.#meet(signal));
    const upload = await this.#uploadIn(session, shard, source, signal, onUnsettled);
    if (upload.answer.status !== 401) return upload;
    const next = await this.#meetAnew(session, signal);
    // Cells that have been taken are gone: their writer has to begin again.
    return source.whole ? this.#uploadIn(next, shard, source, signal, onUnsettled) : upload;
  }

  /** Ends when the calls under way have. */
  async leave(): Promise<void> {
    await Promise.all([this.#calls.close(), this.#uploads.close()]);
  }

  /** Cuts the calls under way. */
  async destroy(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#uploads.destroy()]);
  }

  #askIn(
    session: ProviderSession,
    fields: GrantFields,
    request: HttpRequest,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer> {
    const { text } = this.#grant(session, fields);
    const headers = ['authorization', `${GRANT_SCHEME} ${text}`];
    return this.#call({ ...request, headers }, signal).send(this.#calls);
  }

  async #uploadIn(
    session: ProviderSession,
    shard: string,
    source: ShardSource,
    signal: AbortSignal | undefined,
    onUnsettled: () => void,
  ): Promise<Upload> {
    const { whole } = source;
    const size = whole?.bytes.length ?? SHARD_BYTES_MAX;
    const { text, nonce } = this.#grant(session, { op: 'put', shard, size });
    const headers = ['authorization', `${GRANT_SCHEME} ${text}`];
    if (whole) headers.push('content-length', String(whole.bytes.length + whole.seal.root.length));
    const path = `/v1/shards/${shard}`;
    const call = this.#call({ method: 'PUT', path, headers, bytesMax: ANSWER_BYTES_MAX }, signal);
    let seal = whole?.seal;
    const body = whole ? wholeBody(whole, call) : streamedBody(source, call, (given) => (seal = given));
    try {
      return { answer: await call.send(this.#uploads, body), nonce, seal };
    } catch (error) {
      if (call.isDelivered) onUnsettled();
      throw error;
    }
  }

  #call(request: HttpRequest, signal: AbortSignal | undefined): HttpCall {
    return new HttpCall(request, this.#watch, this.#options.limits, signal);
  }

  #grant(session: ProviderSession, fields: GrantFields): { text: string; nonce: string } {
    const { gateway, provider, clock, limits } = this.#options;
    return issueGrant(gateway, {
      ...fields,
      holder: gateway.id,
      provider: provider.id,
      expires: clock.now() + session.aheadMs + limits.grantMs,
      session: session.id,
    });
  }

  #meetAnew(before: ProviderSession, signal: AbortSignal | undefined): Promise<ProviderSession> {
    // Another call may have met the provider already.
    if (this.#session === before) this.#session = undefined;
    return this.#session ? Promise.resolve(this.#session) : this.#meet(signal);
  }

  /** One greeting serves all who wait, and outlasts the one who gives up. */
  #meet(signal: AbortSignal | undefined): Promise<ProviderSession> {
    this.#greeting ??= this.#greet().finally(() => (this.#greeting = undefined));
    return orAborted(this.#greeting, signal);
  }

  async #greet(): Promise<ProviderSession> {
    const { provider, clock, limits } = this.#options;
    const ask = (path: string): Promise<HttpAnswer> =>
      this.#call({ method: 'GET', path, headers: [], bytesMax: limits.jsonBytesMax }, undefined).send(
        this.#calls,
      );
    this.#session = await greet(ask, provider, clock);
    return this.#session;
  }
}

/** Of a put's answer, whose substance is in its header. */
const ANSWER_BYTES_MAX = 8 * 1024;
