import { S3Error } from '../s3/errors.ts';

/** When a client may come back: in whole seconds for all, in ms for SDKs that ask for it. */
export function retryHeaders(retryAfterMs: number): [string, string][] {
  return [
    ['x-amz-retry-after', String(retryAfterMs)],
    ['retry-after', String(Math.ceil(retryAfterMs / 1000))],
  ];
}

/** 503 with the time after which a client may come back. */
export function slowDown(retryAfterMs = 1000): S3Error {
  return new S3Error('SlowDown', undefined, { headers: retryHeaders(retryAfterMs) });
}
