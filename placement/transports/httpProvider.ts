import { randomBytes } from 'node:crypto';
import { HASH_BYTES, LEAF_BYTES } from '#erasure';
import type { AddressRules } from '../network/addressRules.ts';
import type { Identity } from '../network/identity.ts';
import { proofStatementSchema } from '../network/messages.ts';
import {
  failureSchema,
  PROOF_BYTES_HEADER,
  receiptSchema,
  shardPageSchema,
  spaceSchema,
} from '../provider/wire.ts';
import { parseStoredName, storedName } from '../shardName.ts';
import type { HttpAnswer } from './httpProviderCall.ts';
import { ProviderLine, type Upload } from './httpProviderLine.ts';
import { HTTP_PROVIDER_LIMITS, type HttpProviderLimits } from './httpProviderLimits.ts';
import { messageOf, statementOf, type ExpectedProvider } from './httpProviderSession.ts';
import { aborted, orAborted } from './orAborted.ts';
import {
  TransportError,
  type Clock,
  type ShardName,
  type ShardSlice,
  type ShardSource,
  type ShardTransport,
  type StoredShard,
  type TransportErrorKind,
} from '../types.ts';

export interface HttpProviderOptions {
  /** Origin: http or https, host and port. */
  readonly endpoint: string;
  readonly provider: ExpectedProvider;
  /** Signs the grants. */
  readonly gateway: Identity;
  readonly clock: Clock;
  /** Where the provider can be, whatever it and its name server say. */
  readonly addresses: AddressRules;
  readonly limits?: Partial<HttpProviderLimits>;
}

/** A transport that goes on at another address. */
export interface MovableTransport extends ShardTransport {
  moveTo(endpoint: string): void;
}

/** A proof has at most two hashes a level, and no shard 64 levels. */
const PROOF_BYTES_MAX = 4096;
/** Most shards that wire.ts allows on a page. */
const PAGE_MAX = 10_000;

/** Shards at a provider's daemon, over HTTP (provider/wire.ts). Nothing that it answers is believed without bounds. */
export class HttpProvider implements MovableTransport {
  readonly #options: HttpProviderOptions;
  readonly #limits: HttpProviderLimits;
  #line: ProviderLine;
  /** Shards that are being removed, which a put must not overtake: its shard would go with the one before. */
  readonly #removals = new Map<string, Promise<void>>();
  #isClosed = false;

  /** @throws RangeError for an endpoint that is no origin */
  constructor(options: HttpProviderOptions) {
    this.#options = options;
    this.#limits = { ...HTTP_PROVIDER_LIMITS, ...options.limits };
    this.#line = new ProviderLine({ ...options, limits: this.#limits });
  }

  get endpoint(): string {
    return this.#line.origin;
  }

  /** The provider has another address now. Calls under way end at the old one. @throws RangeError */
  moveTo(endpoint: string): void {
    if (this.#isClosed) return;
    const line = new ProviderLine({ ...this.#options, endpoint, limits: this.#limits });
    void this.#line.leave().catch(() => undefined);
    this.#line = line;
  }

  async put(name: ShardName, source: ShardSource, signal?: AbortSignal): Promise<void> {
    const shard = storedName(name);
    this.#check(signal);
    const removal = this.#removals.get(shard);
    if (removal) await orAborted(removal, signal);
    const upload = await this.#line.upload(shard, source, signal, () => void this.#remove(shard));
    const { status } = upload.answer;
    if (status !== 200 && status !== 201) throw failureOf(upload.answer);
    try {
      this.#checkReceipt(shard, upload);
      if (signal?.aborted) throw aborted(signal);
    } catch (error) {
      if (status === 201) await this.#remove(shard);
      throw error;
    }
  }

  async get(name: ShardName, firstLeaf: number, count: number, signal?: AbortSignal): Promise<ShardSlice> {
    const shard = storedName(name);
    this.#check(signal);
    const path = `/v1/shards/${shard}?first=${firstLeaf}&count=${count}`;
    const bytesMax = count * LEAF_BYTES + PROOF_BYTES_MAX;
    const answer = await this.#line.ask(
      { op: 'get', shard, size: count },
      { method: 'GET', path, headers: [], bytesMax, tooLong: 'Corrupt' },
      signal,
    );
    if (answer.status !== 200) throw failureOf(answer);
    return sliceOf(answer, firstLeaf, count);
  }

  async prove(name: ShardName, leaf: number, signal?: AbortSignal): Promise<ShardSlice> {
    const shard = storedName(name);
    this.#check(signal);
    const nonce = randomBytes(32).toString('hex');
    const answer = await this.#line.ask(
      { op: 'prove', shard, size: 0 },
      {
        method: 'GET',
        path: `/v1/shards/${shard}/proof?leaf=${leaf}&nonce=${nonce}`,
        headers: [],
        bytesMax: LEAF_BYTES,
        tooLong: 'Corrupt',
      },
      signal,
    );
    // A provider signs nothing about a leaf that its shard does not have: whoever asks believes in a longer one.
    if (answer.status === 400) throw failureOf(answer, 'Corrupt');
    if (answer.status !== 200) throw failureOf(answer);
    const { publicKey, id } = this.#options.provider;
    const stated = statementOf(answer, 'proof', proofStatementSchema, publicKey);
    const isAsked = stated.chunk === name.chunk && stated.index === name.index && stated.leaf === leaf;
    if (!isAsked || stated.nonce !== nonce || stated.provider !== id) {
      throw new TransportError('Unavailable', 'the provider proved something else than it was asked for');
    }
    return { first: leaf, bytes: answer.body, proof: Buffer.from(stated.path, 'base64url') };
  }

  async delete(name: ShardName, signal?: AbortSignal): Promise<void> {
    const shard = storedName(name);
    this.#check(signal);
    const answer = await this.#line.ask(
      { op: 'delete', shard, size: 0 },
      { method: 'DELETE', path: `/v1/shards/${shard}`, headers: [], bytesMax: 0 },
      signal,
    );
    if (answer.status !== 204) throw failureOf(answer);
  }

  async list(after: string | undefined, limit: number, signal?: AbortSignal): Promise<StoredShard[]> {
    this.#check(signal);
    const count = Math.min(limit, PAGE_MAX);
    const from = after === undefined ? '' : `after=${encodeURIComponent(after)}&`;
    const answer = await this.#askJson('list', `/v1/shards?${from}limit=${count}`, signal);
    const page = messageOf(shardPageSchema, answer);
    let last = after ?? '';
    const shards = page.map(([text, length, storedAt]) => {
      const name = parseStoredName(text);
      // A list that does not go forward would never end.
      if (name === undefined || text <= last) throw badList();
      last = text;
      return { ...name, length, storedAt };
    });
    if (shards.length > count) throw badList();
    return shards;
  }

  async space(signal?: AbortSignal): Promise<{ capacity: number; free: number }> {
    this.#check(signal);
    const { capacity, free } = messageOf(spaceSchema, await this.#askJson('space', '/v1/space', signal));
    return { capacity, free: Math.min(free, capacity) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#line.destroy();
  }

  async #askJson(op: 'list' | 'space', path: string, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const bytesMax = this.#limits.jsonBytesMax;
    const answer = await this.#line.ask(
      { op, size: 0 },
      { method: 'GET', path, headers: [], bytesMax },
      signal,
    );
    if (answer.status !== 200) throw failureOf(answer);
    return answer;
  }

  #checkReceipt(shard: string, { answer, nonce, seal }: Upload): void {
    const { publicKey, id } = this.#options.provider;
    const receipt = statementOf(answer, 'receipt', receiptSchema, publicKey);
    if (!seal || receipt.provider !== id || receipt.shard !== shard || receipt.nonce !== nonce) {
      throw new TransportError('Unavailable', 'the receipt is for another put');
    }
    if (receipt.root !== Buffer.from(seal.root).toString('hex') || receipt.length !== seal.length) {
      throw new TransportError('Corrupt', 'the provider has stored another shard than it was sent');
    }
  }

  /** What a put that failed may have left. As good as can be: what stays is an orphan, which the sweep finds. */
  #remove(shard: string): Promise<void> {
    const removal = this.delete(parseStoredName(shard)!)
      .catch(() => undefined)
      .finally(() => {
        if (this.#removals.get(shard) === removal) this.#removals.delete(shard);
      });
    this.#removals.set(shard, removal);
    return removal;
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new TransportError('Unavailable', 'the provider is closed');
    if (signal?.aborted) throw aborted(signal);
  }
}

/** Sizes alone are checked: whether the leaves are right is for the reader, who has the root. @throws TransportError 'Corrupt' */
function sliceOf({ headers, body }: HttpAnswer, first: number, count: number): ShardSlice {
  const text = headers[PROOF_BYTES_HEADER];
  const proofBytes = typeof text === 'string' && /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  const length = body.length - proofBytes;
  const isSound =
    proofBytes <= PROOF_BYTES_MAX &&
    proofBytes % HASH_BYTES === 0 &&
    length > (count - 1) * LEAF_BYTES &&
    length <= count * LEAF_BYTES;
  if (!isSound)
    throw new TransportError('Corrupt', `the provider gave ${body.length} bytes for ${count} leaves`);
  return { first, bytes: body.subarray(0, length), proof: body.subarray(length) };
}

/** Other statuses are 'Unavailable'. 401 is a grant of ours that did not please: its words say why. */
const KINDS: Readonly<Record<number, TransportErrorKind>> = {
  404: 'NotFound',
  409: 'Conflict',
  410: 'Corrupt',
  422: 'Corrupt',
  507: 'NoSpace',
};

function failureOf(
  { status, body }: HttpAnswer,
  kind: TransportErrorKind = KINDS[status] ?? 'Unavailable',
): TransportError {
  let words = '';
  try {
    const { error } = failureSchema.parse(JSON.parse(body.toString()));
    // Somebody else's words, fit for a log.
    words = `: ${error.slice(0, 200).replaceAll(/[^\x20-\x7e]/g, '?')}`;
  } catch {
    // An answer without words.
  }
  return new TransportError(kind, `the provider answered with status ${status}${words}`);
}

function badList(): TransportError {
  return new TransportError('Unavailable', 'the provider gave a list that is none');
}
