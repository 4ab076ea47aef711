import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHasher, LEAF_BYTES } from '#erasure';
import { createIdentity } from '../../../placement/network/identity.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import { encodeSigned, PROOF_BYTES_HEADER, SIGNED_HEADER } from '../../../placement/provider/wire.ts';
import { newChunkId, sampleBytes, sealOf } from '../shards.ts';
import type { KnownShard } from './testGateway.ts';

const hasher = createHasher();

export type Route = 'hello' | 'prove' | 'get';
/** Answers in the provider's place; false leaves it to the provider. */
export type Script = (
  route: Route,
  response: ServerResponse,
  request: IncomingMessage,
) => Promise<boolean> | boolean;

/** A provider that answers by wire.ts, unless its script says otherwise. It takes any grant. */
export class ScriptedProvider {
  readonly identity = createIdentity();
  readonly id = this.identity.id;
  readonly publicKey = this.identity.publicKey;
  session = 'a'.repeat(32);
  script: Script = () => false;
  readonly asked: Route[] = [];
  /** Of the shards that it says it has. */
  readonly #shards = new Map<string, Uint8Array>();
  readonly #server: Server;
  #port = 0;

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.keepAliveTimeout = 60_000;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** @param kept what lies there in its place, if it is not the same */
  hold(length = 5 * LEAF_BYTES + 100, kept?: (bytes: Uint8Array) => Uint8Array): KnownShard {
    const chunk = newChunkId();
    const bytes = sampleBytes(length, Number.parseInt(chunk.slice(0, 6), 16));
    const { root } = sealOf(bytes);
    this.#shards.set(`${chunk}.1`, kept?.(bytes) ?? bytes);
    return { chunk, index: 1, root: Buffer.from(root).toString('hex'), length };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', this.endpoint);
    const [, , , name = '', last] = url.pathname.split('/');
    const route: Route = url.pathname === '/v1/hello' ? 'hello' : last === 'proof' ? 'prove' : 'get';
    this.asked.push(route);
    if (await this.script(route, response, request)) return;
    if (route === 'hello') this.#hello(response, url.searchParams.get('nonce') ?? '');
    else if (route === 'prove') this.#prove(response, name, url.searchParams);
    else this.#get(response, name, url.searchParams);
  }

  #hello(response: ServerResponse, nonce: string): void {
    const { id: provider, publicKey, session } = this;
    const body = JSON.stringify({ version: 1, provider, publicKey, session, time: Date.now() });
    this.#send(response, 200, 'hello', { nonce, session }, Buffer.from(body));
  }

  #prove(response: ServerResponse, name: string, query: URLSearchParams): void {
    const [chunk, index] = name.split('.');
    const leaf = Number(query.get('leaf'));
    const about = { provider: this.id, chunk, index: Number(index), leaf, nonce: query.get('nonce') };
    const shard = this.#shards.get(name);
    if (shard === undefined) {
      this.#send(response, 404, 'denial', { ...about, reason: 'NotFound' }, Buffer.from('{}'));
      return;
    }
    const body = shard.subarray(leaf * LEAF_BYTES, (leaf + 1) * LEAF_BYTES);
    const leafHash = Buffer.from(hasher.hash(body)).toString('hex');
    const path = Buffer.from(hasher.proof(sealOf(shard).leaves, leaf, 1)).toString('base64url');
    this.#send(response, 200, 'proof', { ...about, leafHash, path }, body);
  }

  #get(response: ServerResponse, name: string, query: URLSearchParams): void {
    const shard = this.#shards.get(name)!;
    const [first, count] = [Number(query.get('first')), Number(query.get('count'))];
    const leaves = shard.subarray(first * LEAF_BYTES, (first + count) * LEAF_BYTES);
    const proof = hasher.proof(sealOf(shard).leaves, first, count);
    const body = Buffer.concat([leaves, proof]);
    response.writeHead(200, { 'content-length': body.length, [PROOF_BYTES_HEADER]: proof.length }).end(body);
  }

  #send(response: ServerResponse, status: number, kind: string, said: object, body: Uint8Array): void {
    const signed = encodeSigned(signStatement(this.identity, kind, said));
    response.writeHead(status, { 'content-length': body.length, [SIGNED_HEADER]: signed }).end(body);
  }
}
