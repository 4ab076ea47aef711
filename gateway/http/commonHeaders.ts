import { randomFillSync } from 'node:crypto';
import { hostIdOf } from '../s3/hostId.ts';

const ID_BYTES = 8;
/** Drawn many at a time: a call for each would be a good part of what a short answer costs. */
const pool = Buffer.alloc(512 * ID_BYTES);
let drawn = pool.length;

/** 16 upper-case hex digits. */
export function newRequestId(): string {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += ID_BYTES;
  return pool.toString('hex', drawn - ID_BYTES, drawn).toUpperCase();
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
