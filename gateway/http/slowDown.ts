import { S3Error } from '../s3/errors.ts';

/** 503 with the seconds after which a client may come back. */
export function slowDown(): S3Error {
  return new S3Error('SlowDown', undefined, { headers: [['retry-after', '1']] });
}
