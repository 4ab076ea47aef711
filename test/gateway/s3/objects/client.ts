import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { S3Client } from '@aws-sdk/client-s3';
import { CreateBucketCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll } from 'vitest';
import { startGateway } from '../../../support/gateway.ts';
import type { Gateway, GatewayOptions } from '../../../support/gateway.ts';

export const MIB = 1024 * 1024;

/** A gateway for the tests of one file. */
export function useGateway(options?: GatewayOptions): {
  readonly client: S3Client;
  readonly endpoint: string;
} {
  let gateway: Gateway | undefined;
  beforeAll(async () => {
    gateway = await startGateway(options);
  });
  afterAll(async () => {
    await gateway?.stop();
  });
  const running = (): Gateway => {
    if (gateway === undefined) throw new Error('the gateway is not running');
    return gateway;
  };
  return {
    get client() {
      return running().client;
    },
    get endpoint() {
      return running().endpoint;
    },
  };
}

/** A new bucket's name. */
export async function makeBucket(client: S3Client, versioning = false): Promise<string> {
  const bucket = `bucket-${randomBytes(6).toString('hex')}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  if (versioning) {
    await client.send(
      new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    );
  }
  return bucket;
}

export interface Failure {
  readonly status: number;
  /** S3's code; on HEAD, which has no body, the SDK's name for the status. */
  readonly code: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** How a request failed; throws where it did not. */
export async function failure(request: Promise<unknown>): Promise<Failure> {
  let outcome: unknown;
  try {
    outcome = await request;
  } catch (error) {
    const { name, message, $metadata, $response } = error as {
      name: string;
      message: string;
      $metadata?: { httpStatusCode?: number };
      $response?: { headers: Record<string, string> };
    };
    if ($metadata?.httpStatusCode === undefined) throw error;
    return { status: $metadata.httpStatusCode, code: name, message, headers: $response?.headers ?? {} };
  }
  throw new Error(`succeeded: ${JSON.stringify(outcome)}`);
}

/** The SDK's commands have no common type that says so. */
interface Extensible {
  readonly middlewareStack: { add(middleware: unknown, options: unknown): void };
}

/** Adds headers to a request before it is signed. */
export function withHeaders<C>(command: C, headers: Readonly<Record<string, string>>): C {
  (command as unknown as Extensible).middlewareStack.add(
    (next: (args: unknown) => unknown) => (args: { request: { headers: Record<string, string> } }) => {
      Object.assign(args.request.headers, headers);
      return next(args);
    },
    { step: 'build', priority: 'low', name: 'addTestHeaders' },
  );
  return command;
}

/** Sends another body in place of the command's, with these headers in place of its checksum. */
export function withBody<C>(command: C, body: string, headers: Readonly<Record<string, string>>): C {
  (command as unknown as Extensible).middlewareStack.add(
    (next: (args: unknown) => unknown) =>
      (args: { request: { headers: Record<string, string>; body: unknown } }) => {
        const { request } = args;
        for (const name of Object.keys(request.headers)) {
          if (/^(?:x-amz-checksum-|x-amz-sdk-checksum-|content-md5$)/.test(name))
            delete request.headers[name];
        }
        Object.assign(request.headers, headers, { 'content-length': String(Buffer.byteLength(body)) });
        request.body = body;
        return next(args);
      },
    { step: 'build', priority: 'low', name: 'replaceTestBody' },
  );
  return command;
}

/** Sees the headers of the response to a command; filled once it has been sent. */
export function responseHeaders(command: unknown): Map<string, string> {
  const seen = new Map<string, string>();
  (command as Extensible).middlewareStack.add(
    (next: (args: unknown) => Promise<{ response: { headers: Record<string, string> } }>) =>
      async (args: unknown) => {
        const result = await next(args);
        for (const [name, value] of Object.entries(result.response.headers)) seen.set(name, value);
        return result;
      },
    { step: 'deserialize', priority: 'low', name: 'seeTestHeaders' },
  );
  return seen;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A request as it stands, such as to a presigned URL. `body` goes out chunked where no length is among the headers. */
export function rawRequest(
  method: string,
  url: string,
  headers: http.OutgoingHttpHeaders = {},
  body: Uint8Array | string = '',
): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

export const md5Hex = (body: Uint8Array | string): string => createHash('md5').update(body).digest('hex');

/** As S3 makes the ETag of a multipart object. */
export function multipartETag(parts: readonly Uint8Array[]): string {
  const md5s = parts.map((part) => createHash('md5').update(part).digest());
  return `"${md5Hex(Buffer.concat(md5s))}-${parts.length}"`;
}

/** The code of an S3 error document. */
export const codeIn = (body: Uint8Array): string | undefined =>
  /<Code>([^<]*)<\/Code>/.exec(Buffer.from(body).toString())?.[1];
