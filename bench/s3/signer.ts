import { createHmac, hash } from 'node:crypto';
import type { Endpoint } from './types.ts';

export const UNSIGNED = 'UNSIGNED-PAYLOAD';
const REGION = 'us-east-1';
const SIGNED = 'host;x-amz-content-sha256;x-amz-date';
/** What a path may hold without being escaped, so that signing needs no escaping. */
const PLAIN_PATH = /^[A-Za-z0-9/._~-]+$/;

/** Signs the few headers that a benchmark needs: two hashes a request. Path style, region us-east-1. */
export class Signer {
  readonly host: string;
  readonly #account: Endpoint;
  #second = 0;
  #date = '';
  #scope = '';
  #key: Buffer = Buffer.alloc(0);

  constructor(endpoint: Endpoint) {
    this.#account = endpoint;
    this.host = new URL(endpoint.url).host;
  }

  /**
   * Request line and headers, without the empty line that ends them.
   * @param query as queryOf makes it
   * @param payloadHash of the body in hexadecimal, or UNSIGNED
   */
  head(method: string, path: string, query: string, payloadHash: string): string {
    if (!PLAIN_PATH.test(path)) throw new Error(`${path} would need escaping`);
    this.#tick();
    const canonical =
      `${method}\n${path}\n${query}\nhost:${this.host}\nx-amz-content-sha256:${payloadHash}\n` +
      `x-amz-date:${this.#date}\n\n${SIGNED}\n${payloadHash}`;
    const text = `AWS4-HMAC-SHA256\n${this.#date}\n${this.#scope}\n${hash('sha256', canonical)}`;
    const signature = createHmac('sha256', this.#key).update(text).digest('hex');
    return (
      `${method} ${path}${query === '' ? '' : '?'}${query} HTTP/1.1\r\nhost: ${this.host}\r\n` +
      `x-amz-content-sha256: ${payloadHash}\r\nx-amz-date: ${this.#date}\r\n` +
      `authorization: AWS4-HMAC-SHA256 Credential=${this.#account.accessKey}/${this.#scope}, ` +
      `SignedHeaders=${SIGNED}, Signature=${signature}\r\n`
    );
  }

  /** A date serves for a second, a key for a day. */
  #tick(): void {
    const second = Math.floor(Date.now() / 1000);
    if (second === this.#second) return;
    this.#second = second;
    this.#date = new Date(second * 1000).toISOString().replaceAll(/[:-]|\.\d{3}/g, '');
    const day = this.#date.slice(0, 8);
    const scope = `${day}/${REGION}/s3/aws4_request`;
    if (scope === this.#scope) return;
    this.#scope = scope;
    let key: Buffer = Buffer.from(`AWS4${this.#account.secretKey}`);
    for (const part of [day, REGION, 's3', 'aws4_request']) {
      key = createHmac('sha256', key).update(part).digest();
    }
    this.#key = key;
  }
}

/** A query as it is signed and sent: escaped, in the order of its names. */
export function queryOf(parameters: Readonly<Record<string, string>>): string {
  return Object.keys(parameters)
    .sort()
    .map((name) => `${escape(name)}=${escape(parameters[name]!)}`)
    .join('&');
}

function escape(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
