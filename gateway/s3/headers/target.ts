import type { OpenRequest } from '../../engine/types.ts';
import type { S3Request } from '../types.ts';
import { readConditions } from './conditions.ts';
import { effectiveHeaders } from './effective.ts';
import { readEncryption } from './encryption.ts';
import { versionIdOf } from './parameters.ts';

/** The bucket and key of an operation on an object; the dispatcher sees to it that both are there. */
export function target(request: S3Request): { readonly bucket: string; readonly key: string } {
  const { bucket, key } = request;
  if (bucket === undefined || key === undefined) throw new Error('operation on an object without one');
  return { bucket, key };
}

/** The bucket of an operation on a bucket. */
export function targetBucket(request: S3Request): string {
  if (request.bucket === undefined) throw new Error('operation on a bucket without one');
  return request.bucket;
}

/** The object version a request names. @throws S3Error 'InvalidArgument' */
export function targetVersion(request: S3Request): { bucket: string; key: string; versionId?: string } {
  const versionId = versionIdOf(request.query);
  return { ...target(request), ...(versionId !== undefined && { versionId }) };
}

/** What GET, HEAD and GetObjectAttributes open: version, conditions and customer key. @throws S3Error 'InvalidArgument' | 'InvalidRequest' */
export function openRequest(request: S3Request, secure: boolean): OpenRequest {
  const headers = effectiveHeaders(request);
  const customerKey = readEncryption(headers, secure);
  const conditions = readConditions(headers);
  return {
    ...targetVersion(request),
    ...(customerKey !== undefined && { customerKey }),
    ...(conditions !== undefined && { conditions }),
  };
}
