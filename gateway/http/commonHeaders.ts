import { randomBytes } from 'node:crypto';
import { hostIdOf } from '../s3/hostId.ts';

/** 16 upper-case hex digits. */
export function newRequestId(): string {
  return randomBytes(8).toString('hex').toUpperCase();
}

/** Headers of every response. */
export function commonHeaders(id: string): [string, string][] {
  return [
    ['x-amz-request-id', id],
    ['x-amz-id-2', hostIdOf(id)],
    ['server', 'Shardway'],
    ['x-content-type-options', 'nosniff'],
  ];
}
