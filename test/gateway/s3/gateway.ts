/** The S3 side of a gateway, real from the socket to metadata and chunks in memory, and the AWS SDK pointed at it. */
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { systemClock, systemRandom } from '#placement';
import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { accountAuthorizer } from '../../../gateway/auth/authorizer.ts';
import { createAuthenticator } from '../../../gateway/auth/sigv4.ts';
import { customerKeyEncryption } from '../../../gateway/engine/keyring.ts';
import { openObjectStore } from '../../../gateway/engine/store.ts';
import type { ObjectStore } from '../../../gateway/engine/types.ts';
import { createHttpServer } from '../../../gateway/http/server.ts';
import type { HttpServer } from '../../../gateway/http/server.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import { createS3Handler } from '../../../gateway/s3/dispatch.ts';
import { ACCESS_KEY, SECRET_KEY, credentials, escape, sign } from '../auth/signing.ts';
import { MemoryChunkStore } from '../../support/memoryChunkStore.ts';

export interface S3Gateway {
  readonly port: number;
  readonly store: ObjectStore;
  readonly client: S3Client;
  readonly server: HttpServer;
  /** Names of the store's methods that were called, in order. */
  readonly calls: string[];
  /** Fields of error lines. */
  readonly errors: object[];
  /** Sends a request that the SDK cannot, signed. */
  fetch(method: string, path: string, options?: RawRequest): Promise<RawResponse>;
  stop(): Promise<void>;
}

interface RawRequest {
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** What is signed in place of the path, where the client spells it otherwise than it signs it. */
  readonly signedPath?: string;
  /** Host header; by default the server's address. */
  readonly host?: string;
}
export interface RawResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

export async function startS3Gateway(
  options: { region?: string; domain?: string; client?: S3ClientConfig } = {},
): Promise<S3Gateway> {
  const { region = 'us-east-1', domain } = options;
  const engine = await openObjectStore({
    kv: openMemoryStore(),
    chunks: new MemoryChunkStore(),
    keyring: customerKeyEncryption(randomBytes(32)),
    clock: systemClock,
    random: systemRandom,
    region,
    profile: { data: 2, parity: 1 },
  });
  const calls: string[] = [];
  const errors: object[] = [];
  const store = new Proxy(engine.store, {
    get(target, name, receiver) {
      if (typeof name === 'string') calls.push(name);
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
  const log = {
    info: (): void => undefined,
    warn: (): void => undefined,
    error: (fields: object): void => void errors.push(fields),
  };
  const handle = createS3Handler({
    store,
    authenticator: createAuthenticator({
      credentials,
      region,
      service: 's3',
      clock: { now: () => Date.now() },
    }),
    authorizer: accountAuthorizer('owner'),
    region,
    domain,
    log,
  });
  const server = createHttpServer({
    handle,
    log,
    uploadMemory: 1 << 26,
    // Thousands of refused requests share this process with the server.
    limits: { failedPerSecondMax: Infinity },
  });
  const { port } = await server.listen(0, '127.0.0.1');
  const client = new S3Client({
    region,
    endpoint: `http://127.0.0.1:${port}`,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    ...options.client,
  });
  return {
    port,
    store: engine.store,
    client,
    server,
    calls,
    errors,
    fetch: (method, path, raw = {}) => fetchSigned(port, method, path, raw),
    async stop() {
      client.destroy();
      await server.drain(0);
      await engine.close();
    },
  };
}

async function fetchSigned(
  port: number,
  method: string,
  path: string,
  { query = {}, headers = {}, body, signedPath = path, host = `127.0.0.1:${port}` }: RawRequest,
): Promise<RawResponse> {
  const signed = await sign(
    {
      method,
      path: signedPath,
      query,
      headers: { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...headers },
    },
    { at: Date.now() },
  );
  const search = Object.entries(query).map(([name, value]) => `${escape(name)}=${escape(value)}`);
  const target = search.length > 0 ? `${path}?${search.join('&')}` : path;
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path: target, headers: signed.headers });
    request.on('response', resolve).on('error', reject).end(body);
  });
  const pieces: Uint8Array[] = [];
  for await (const piece of response) pieces.push(piece as Uint8Array);
  const text = Buffer.concat(pieces).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

/** Code of the error a command is refused with; 'none' when it is not. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof S3ServiceException) return error.name;
    throw error;
  }
}
