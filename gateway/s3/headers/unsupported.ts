import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../types.ts';
import { invalidArgument, notImplemented } from './refuse.ts';

const CANNED_ACLS: ReadonlySet<string> = new Set([
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
]);

/** Buckets are the owner's alone, so these two say what is so anyway; clients (rclone, s3fs) send them by default. */
const GRANTED_ANYWAY: ReadonlySet<string> = new Set(['private', 'bucket-owner-full-control']);

/** Refuses an ACL that would not be kept. @throws S3Error 'AccessControlListNotSupported' | 'InvalidArgument' */
export function refuseAcl(headers: RequestHeaders): void {
  const canned = headers.get('x-amz-acl');
  if (canned !== undefined && canned !== '' && !GRANTED_ANYWAY.has(canned)) {
    if (!CANNED_ACLS.has(canned)) throw invalidArgument('Invalid Argument', 'x-amz-acl', canned);
    throw new S3Error('AccessControlListNotSupported');
  }
  for (const [name] of headers.entries()) {
    if (name.startsWith('x-amz-grant-')) throw new S3Error('AccessControlListNotSupported');
  }
}

/** No bucket has an Object Lock configuration, so a lock would not be kept. @throws S3Error 'InvalidRequest' */
export function refuseObjectLock(headers: RequestHeaders): void {
  for (const [name] of headers.entries()) {
    if (name.startsWith('x-amz-object-lock-')) {
      throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
    }
  }
}

/** Appends: only directory buckets have them. @throws S3Error 'NotImplemented' */
export function refuseAppend(headers: RequestHeaders): void {
  const name = 'x-amz-write-offset-bytes';
  if (headers.get(name) !== undefined) throw notImplemented(name);
}
