import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { S3Location } from '../../../placement/transports/s3BucketCalls.ts';
import { bytesOf, send } from './hostileProvider.ts';

/** As little of an S3 service as a bucket of short shards needs, without signatures, with the manners that a test wants. */
export class PlainS3 {
  readonly objects = new Map<string, Buffer>();
  /** What becomes of If-None-Match. */
  conditions: 'kept' | 'ignored' | 'refused' = 'kept';
  /** Answers in its place when it returns true. */
  before: (request: IncomingMessage, response: ServerResponse, key: string) => boolean | Promise<boolean> =
    () => false;
  readonly #server = createServer((request, response) => {
    void this.#answer(request, response).catch(() => request.socket.destroy());
  });

  static async start(): Promise<PlainS3> {
    const service = new PlainS3();
    service.#server.listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    return service;
  }

  get location(): S3Location {
    return {
      endpoint: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      bucket: 'plain',
      prefix: '',
      forcePathStyle: true,
      credentials: () => ({ accessKey: 'AK', secretKey: 'SK' }),
      capacity: 1e9,
    };
  }

  /** Resolves once no connection is open any more. */
  async closed(): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://x');
    const key = decodeURIComponent(url.pathname.slice('/plain/'.length));
    const body = await bytesOf(request);
    if (await this.before(request, response, key)) return;
    if (key === '') this.#list(url, response);
    else if (request.method === 'PUT') this.#put(request, response, key, body);
    else if (request.method === 'DELETE') {
      this.objects.delete(key);
      response.writeHead(204).end();
    } else this.#get(request, response, key);
  }

  #put(request: IncomingMessage, response: ServerResponse, key: string, body: Buffer): void {
    const isConditional = request.headers['if-none-match'] !== undefined;
    if (isConditional && this.conditions === 'refused') return fail(response, 501, 'NotImplemented');
    if (isConditional && this.conditions === 'kept' && this.objects.has(key)) {
      return fail(response, 412, 'PreconditionFailed');
    }
    this.objects.set(key, body);
    send(response, 200, '', { etag: `"${createHash('md5').update(body).digest('hex')}"` });
  }

  #get(request: IncomingMessage, response: ServerResponse, key: string): void {
    const object = this.objects.get(key);
    if (!object) return fail(response, 404, 'NoSuchKey');
    if (request.method === 'HEAD') {
      response.writeHead(200, { 'content-length': object.length }).end();
      return undefined;
    }
    const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    if (from === undefined) return send(response, 200, object);
    const start = from === '' ? Math.max(0, object.length - Number(to)) : Number(from);
    if (start >= object.length) return fail(response, 416, 'InvalidRange');
    const end = from === '' ? object.length : Math.min(object.length, Number(to) + 1);
    const range = `bytes ${start}-${end - 1}/${object.length}`;
    return send(response, 206, object.subarray(start, end), { 'content-range': range });
  }

  #list(url: URL, response: ServerResponse): void {
    const after = url.searchParams.get('start-after') ?? '';
    const max = Number(url.searchParams.get('max-keys') ?? 1000);
    const all = [...this.objects.keys()].filter((key) => key > after).sort();
    const rows = all.slice(0, max).map((key) => {
      const modified = new Date().toISOString();
      return `<Contents><Key>${key}</Key><LastModified>${modified}</LastModified><Size>${this.objects.get(key)!.length}</Size></Contents>`;
    });
    const more = all.length > max;
    send(
      response,
      200,
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>${rows.join('')}</ListBucketResult>`,
    );
  }
}

export function fail(response: ServerResponse, status: number, code: string): void {
  send(response, status, `<Error><Code>${code}</Code><Message>no</Message></Error>`);
}
