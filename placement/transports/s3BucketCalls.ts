import { Readable } from 'node:stream';
import { GetObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { CallWatch, type Watched } from './callWatch.ts';
import { aborted } from './orAborted.ts';
import { TransportError, type Clock, type TransportErrorKind } from '../types.ts';

/** Where a bucket is, and how to get in. */
export interface S3Location {
  /** Origin of the service; AWS's own by default. */
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  readonly forcePathStyle: boolean;
  /** A function, so that nothing that prints a location prints a secret. */
  readonly credentials: () => { readonly accessKey: string; readonly secretKey: string };
  /** Bytes that its operator allots. */
  readonly capacity: number;
}

/** What a gateway lets a bucket cost it. */
export interface S3BucketLimits {
  readonly connectMs: number;
  /** From a request to the last byte of its answer, beside what its bytes take at bytesPerSecondMin. */
  readonly answerMs: number;
  readonly bytesPerSecondMin: number;
  /** What a put that is given up in its last step waits to learn whether the shard was stored, in ms. */
  readonly settleMs: number;
  readonly connections: number;
  /** Of everything but objects. A page of a list has at most 1000 keys. */
  readonly answerBytesMax: number;
}

export const S3_BUCKET_LIMITS: S3BucketLimits = Object.freeze({
  connectMs: 5_000,
  answerMs: 20_000,
  bytesPerSecondMin: 256 * 1024,
  settleMs: 2_000,
  connections: 64,
  answerBytesMax: 4 * 1024 * 1024,
});

export interface S3CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of an object that go or come. */
  readonly bytes?: number;
  /** The call decides whether a shard is there: it is not cut as soon as the signal aborts, but given settleMs. */
  readonly decides?: boolean;
}

/** Requests to one bucket's service, bounded in time and bytes. All reject with TransportError. */
export class S3Calls {
  readonly #client: S3Client;
  readonly #limits: S3BucketLimits;
  readonly #watch: CallWatch;

  constructor(location: S3Location, clock: Clock, limits: S3BucketLimits) {
    this.#limits = limits;
    this.#watch = new CallWatch(clock, Math.min(250, limits.answerMs / 4, limits.settleMs / 4));
    this.#client = new S3Client(clientConfig(location, limits));
    this.#boundAnswers();
  }

  /** @param work sends a command, and reads what it needs of the answer while the call's time runs */
  async run<T>(
    work: (client: S3Client, options: { readonly abortSignal: AbortSignal }) => Promise<T>,
    options: S3CallOptions = {},
  ): Promise<T> {
    const call = new S3Call(this.#watch, this.#limits, options);
    try {
      return await work(this.#client, { abortSignal: call.signal });
    } catch (error) {
      throw call.failure ?? transportErrorOf(error);
    } finally {
      call.end();
    }
  }

  close(): void {
    this.#client.destroy();
  }

  /** The SDK takes in whatever comes for an answer; objects are read by those who asked for them. */
  #boundAnswers(): void {
    const { answerBytesMax } = this.#limits;
    this.#client.middlewareStack.add(
      (next, context) => async (args) => {
        const result = await next(args);
        const response = result.response as { statusCode: number; body: unknown };
        const isObject = context.commandName === GetObjectCommand.name && response.statusCode < 300;
        if (!isObject && response.body instanceof Readable) {
          response.body = Readable.from([await bytesOf(response.body, answerBytesMax)]);
        }
        return result;
      },
      { step: 'deserialize', priority: 'low', name: 'boundAnswers' },
    );
  }
}

/** The body of an answer. @throws TransportError 'Unavailable' for one of more than `bytesMax` bytes */
export async function bytesOf(body: Readable, bytesMax: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    length += part.length;
    // Leaving the loop ends the connection.
    if (length > bytesMax)
      throw new TransportError('Unavailable', 'the answer has more bytes than it can have');
    parts.push(part);
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function clientConfig(location: S3Location, limits: S3BucketLimits): S3ClientConfig {
  const { accessKey, secretKey } = location.credentials();
  const agent = { keepAlive: true, maxSockets: limits.connections };
  return {
    region: location.region,
    forcePathStyle: location.forcePathStyle,
    ...(location.endpoint !== undefined && { endpoint: location.endpoint }),
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    maxAttempts: 2,
    // Bodies are signed with their SHA-256, shards verify on their own, and not every service knows the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: limits.connectMs, httpAgent: agent, httpsAgent: agent },
  };
}

class S3Call implements Watched {
  failure: TransportError | undefined;
  readonly #controller = new AbortController();
  readonly #watch: CallWatch;
  readonly #limits: S3BucketLimits;
  readonly #options: S3CallOptions;
  #deadline: number;

  constructor(watch: CallWatch, limits: S3BucketLimits, options: S3CallOptions) {
    this.#watch = watch;
    this.#limits = limits;
    this.#options = options;
    const bytesMs = ((options.bytes ?? 0) / limits.bytesPerSecondMin) * 1000;
    this.#deadline = watch.now() + limits.answerMs + bytesMs;
    watch.add(this);
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  check(now: number): void {
    if (now < this.#deadline) return;
    const { signal } = this.#options;
    this.#cut(
      signal?.aborted ? aborted(signal) : new TransportError('Timeout', 'the bucket did not answer in time'),
    );
  }

  end(): void {
    this.#watch.delete(this);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => {
    if (this.#options.decides !== true) this.#cut(aborted(this.#options.signal));
    else this.#deadline = Math.min(this.#deadline, this.#watch.now() + this.#limits.settleMs);
  };

  #cut(failure: TransportError): void {
    this.failure = failure;
    this.#controller.abort(failure);
  }
}

const KINDS_BY_NAME: Readonly<Record<string, TransportErrorKind>> = {
  NoSuchKey: 'NotFound',
  NotFound: 'NotFound',
  InvalidRange: 'Corrupt',
  PreconditionFailed: 'Conflict',
  ConditionalRequestConflict: 'Conflict',
  EntityTooLarge: 'NoSpace',
  InsufficientStorage: 'NoSpace',
  QuotaExceeded: 'NoSpace',
  XMinioStorageFull: 'NoSpace',
};
const KINDS_BY_STATUS: Readonly<Record<number, TransportErrorKind>> = {
  412: 'Conflict',
  416: 'Corrupt',
  507: 'NoSpace',
};

/** What the service said, without the SDK's error, which carries the request's keys and signature. */
export class S3Refusal extends Error {
  override readonly name = 'S3Refusal';
  readonly code: string;
  /** 0 where there was no answer. */
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(`${code} ${message}`.slice(0, 200).replaceAll(/[^\x20-\x7e]/g, '?'));
    this.code = code;
    this.status = status;
  }
}

function transportErrorOf(error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  const refusal = new S3Refusal(name, $metadata?.httpStatusCode ?? 0, message);
  const kind = KINDS_BY_NAME[name] ?? KINDS_BY_STATUS[refusal.status] ?? 'Unavailable';
  return new TransportError(kind, `the bucket's service: ${refusal.message}`, { cause: refusal });
}
