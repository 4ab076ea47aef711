import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHasher } from '#erasure';
import { createIdentity, type Identity } from '../../../placement/network/identity.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import { encodeSigned, SIGNED_HEADER } from '../../../placement/provider/wire.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** A server whose hello is honest unless `hello` is replaced, and whose other answers are up to the test. */
export class HostileProvider {
  readonly identity: Identity = createIdentity();
  session = randomBytes(16).toString('hex');
  /** Method and path without query, in the order of their arrival, greetings left out. */
  readonly seen: string[] = [];
  greetings = 0;
  /** Of its clock. */
  aheadMs = 0;
  hello: Handler = (request, response) => this.greet(request, response, this.identity);
  answer: Handler = (_, response) => void response.writeHead(503).end();
  readonly #server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]!;
    if (path === '/v1/hello') this.greetings++;
    else this.seen.push(`${request.method} ${path.slice(0, 10)}`);
    const handle = path === '/v1/hello' ? this.hello : this.answer;
    // A client that cuts a body under way is what most of these tests are about.
    void Promise.resolve(handle(request, response)).catch(() => request.socket.destroy());
  });

  static async start(): Promise<HostileProvider> {
    const provider = new HostileProvider();
    provider.#server.listen(0, '127.0.0.1');
    await once(provider.#server, 'listening');
    return provider;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get expected(): { id: string; publicKey: string } {
    return { id: this.identity.id, publicKey: this.identity.publicKey };
  }

  greet(request: IncomingMessage, response: ServerResponse, as: Identity, nonce?: string): void {
    const asked = new URL(request.url!, 'http://x').searchParams.get('nonce');
    const { id, publicKey } = as;
    const body = {
      version: 1,
      provider: id,
      publicKey,
      session: this.session,
      time: Date.now() + this.aheadMs,
    };
    const signed = signStatement(as, 'hello', { nonce: nonce ?? asked, session: this.session });
    send(response, 200, JSON.stringify(body), { [SIGNED_HEADER]: encodeSigned(signed) });
  }

  /** Takes a put as it should and answers 201. @param change to the receipt */
  async receive(
    request: IncomingMessage,
    response: ServerResponse,
    change: object = {},
    as = this.identity,
  ): Promise<void> {
    const body = await bytesOf(request);
    const bytes = body.subarray(0, -32);
    const tree = hasher.tree();
    tree.update(bytes);
    const receipt = {
      provider: this.identity.id,
      shard: request.url!.split('/')[3],
      root: Buffer.from(tree.finish().root).toString('hex'),
      length: bytes.length,
      storedAt: Date.now(),
      nonce: grantOf(request).nonce,
      ...change,
    };
    const signed = encodeSigned(signStatement(as, 'receipt', receipt));
    send(response, 201, '{}', { [SIGNED_HEADER]: signed });
  }

  /** Resolves once no connection is open any more: a client that keeps one hangs its test. */
  async closed(): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }
}

const hasher = createHasher();

export function send(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body);
}

export async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export function grantOf(request: IncomingMessage): { nonce: string; session: string; expires: number } {
  const text = (request.headers.authorization ?? '').split(' ')[1] ?? '';
  return JSON.parse(Buffer.from(text.split('.')[0]!, 'base64url').toString()) as ReturnType<typeof grantOf>;
}
