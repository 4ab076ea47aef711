import { createHash, hash } from 'node:crypto';
import type { Answer } from './answerReader.ts';
import { Connection } from './connection.ts';
import type { Repeated } from './connection.ts';
import { UNSIGNED, queryOf } from './signer.ts';
import type { Signer } from './signer.ts';

const EMPTY_HASH = hash('sha256', '');

export interface Page {
  readonly text: string;
  readonly keys: number;
  /** Token of the next page. */
  readonly next: string | undefined;
}

/** S3 over one connection. Every method checks status and length, and throws what the server said otherwise. */
export class Client {
  readonly #connection: Connection;
  readonly #signer: Signer;
  readonly #bucket: string;

  constructor(url: string, signer: Signer, bucket: string) {
    this.#connection = new Connection(url);
    this.#signer = signer;
    this.#bucket = `/${bucket}`;
  }

  async open(): Promise<void> {
    await this.#connection.open();
  }

  /** Breaks off what is under way. */
  close(): void {
    this.#connection.close();
  }

  /** On the present connection, heads among them. */
  get bytesSent(): number {
    return this.#connection.bytesSent;
  }

  /** Makes the bucket unless it is there. */
  async makeBucket(): Promise<void> {
    const answer = await this.#send('PUT', this.#bucket, '', undefined, true);
    const there = answer.status === 409 && answer.body.includes('BucketAlreadyOwnedByYou');
    if (!there) expectStatus(answer, 200, 'CreateBucket');
  }

  async put(key: string, body: Buffer | Repeated): Promise<void> {
    expectStatus(await this.#send('PUT', this.#path(key), '', body, false), 200, 'PUT');
  }

  async get(key: string, size: number): Promise<void> {
    const answer = await this.#send('GET', this.#path(key), '', undefined, false);
    expectStatus(answer, 200, 'GET');
    if (answer.bytes !== size) throw new Error(`GET of ${size} bytes gave ${answer.bytes}`);
  }

  async read(key: string): Promise<Buffer> {
    const answer = await this.#send('GET', this.#path(key), '', undefined, true);
    expectStatus(answer, 200, 'GET');
    return answer.body;
  }

  /** @param last offset of the last byte */
  async range(key: string, first: number, last: number, keep: boolean): Promise<Buffer> {
    const range = `range: bytes=${first}-${last}\r\n`;
    const answer = await this.#send('GET', this.#path(key), '', undefined, keep, range);
    expectStatus(answer, 206, 'GET of a range');
    if (answer.bytes !== last - first + 1) throw new Error(`a range of ${answer.bytes} bytes`);
    return answer.body;
  }

  async head(key: string, size: number): Promise<void> {
    const answer = await this.#send('HEAD', this.#path(key), '', undefined, false);
    expectStatus(answer, 200, 'HEAD');
    const length = /\r\ncontent-length: *(\d+)/i.exec(answer.head)?.[1];
    if (length !== String(size)) throw new Error(`HEAD of ${size} bytes says ${length}`);
  }

  async remove(key: string): Promise<void> {
    expectStatus(await this.#send('DELETE', this.#path(key), '', undefined, false), 204, 'DELETE');
  }

  /** One page of ListObjectsV2. */
  async list(prefix: string, token: string | undefined, delimiter?: string): Promise<Page> {
    const query = queryOf({
      'list-type': '2',
      prefix,
      ...(token !== undefined && { 'continuation-token': token }),
      ...(delimiter !== undefined && { delimiter }),
    });
    const answer = await this.#send('GET', this.#bucket, query, undefined, true);
    expectStatus(answer, 200, 'ListObjectsV2');
    const text = answer.body.toString('latin1');
    const truncated = text.includes('<IsTruncated>true<');
    return {
      text,
      // Common prefixes count among the keys of a page.
      keys: Number(/<KeyCount>(\d+)</.exec(text)?.[1] ?? text.split('<Key>').length - 1),
      next: truncated ? unescapeXml(/<NextContinuationToken>([^<]*)</.exec(text)?.[1] ?? '') : undefined,
    };
  }

  /** DeleteObjects, quietly. */
  async removeAll(keys: readonly string[]): Promise<void> {
    const objects = keys.map((key) => `<Object><Key>${key}</Key></Object>`).join('');
    const body = Buffer.from(`<Delete><Quiet>true</Quiet>${objects}</Delete>`);
    const md5 = `content-md5: ${createHash('md5').update(body).digest('base64')}\r\n`;
    const answer = await this.#send('POST', this.#bucket, 'delete=', body, true, md5);
    expectStatus(answer, 200, 'DeleteObjects');
    if (answer.body.includes('<Error>')) throw new Error(`DeleteObjects: ${summary(answer.body)}`);
  }

  async startUpload(key: string): Promise<string> {
    const answer = await this.#send('POST', this.#path(key), 'uploads=', undefined, true);
    expectStatus(answer, 200, 'CreateMultipartUpload');
    return unescapeXml(/<UploadId>([^<]+)</.exec(answer.body.toString('latin1'))?.[1] ?? '');
  }

  /** The part's ETag as it came. */
  async putPart(key: string, uploadId: string, number: number, body: Buffer): Promise<string> {
    const query = queryOf({ partNumber: String(number), uploadId });
    const answer = await this.#send('PUT', this.#path(key), query, body, false);
    expectStatus(answer, 200, 'UploadPart');
    return /\r\netag: *([^\r]+)/i.exec(answer.head)?.[1] ?? '';
  }

  /** @param etags of parts 1, 2, … */
  async completeUpload(key: string, uploadId: string, etags: readonly string[]): Promise<void> {
    const parts = etags.map(
      (etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
    );
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
    const answer = await this.#send('POST', this.#path(key), queryOf({ uploadId }), body, true);
    expectStatus(answer, 200, 'CompleteMultipartUpload');
    // It may say 200 first and fail later.
    if (!answer.body.includes('<CompleteMultipartUploadResult')) throw new Error(summary(answer.body));
  }

  #path(key: string): string {
    return `${this.#bucket}/${key}`;
  }

  async #send(
    method: string,
    path: string,
    query: string,
    body: Buffer | Repeated | undefined,
    keep: boolean,
    headers = '',
  ): Promise<Answer> {
    const length =
      body === undefined && (method === 'PUT' || method === 'POST') ? 'content-length: 0\r\n' : '';
    const payload = body === undefined ? EMPTY_HASH : UNSIGNED;
    const head = this.#signer.head(method, path, query, payload);
    return await this.#connection.exchange(head + headers + length, body, keep);
  }
}

function expectStatus(answer: Answer, status: number, operation: string): void {
  if (answer.status === status) return;
  throw new Error(`${operation}: ${answer.status} ${summary(answer.body)}`.trim());
}

function summary(body: Buffer): string {
  const text = body.toString('latin1', 0, 2000);
  const [code, message] = ['Code', 'Message'].map((name) => new RegExp(`<${name}>([^<]*)`).exec(text)?.[1]);
  return code === undefined ? text.slice(0, 200) : `${code}: ${message}`;
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replaceAll(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) =>
    name === undefined
      ? String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal))
      : (named[name] ?? whole),
  );
}
