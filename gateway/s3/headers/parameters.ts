import { S3Error } from '../errors.ts';
import type { Query } from '../types.ts';
import { invalidArgument } from './refuse.ts';

/** Source: S3 user guide, "Amazon S3 multipart upload limits". */
export const PART_NUMBER_MAX = 10_000;
/** Items on one page of a listing of parts or uploads. */
const PAGE_MAX = 1000;

/** The object version a request names; undefined: the current one. @throws S3Error 'InvalidArgument' for an empty one */
export function versionIdOf(query: Query): string | undefined {
  const versionId = query.get('versionId');
  if (versionId === '') throw invalidArgument('Version id cannot be the empty string', 'versionId', '');
  return versionId;
}

/** `partNumber`, 1 to 10,000; undefined where absent. @throws S3Error 'InvalidArgument' */
export function partNumberOf(query: Query): number | undefined {
  const value = query.get('partNumber');
  if (value === undefined) return undefined;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  if (number >= 1 && number <= PART_NUMBER_MAX) return number;
  throw invalidArgument('Part number must be an integer between 1 and 10000, inclusive', 'partNumber', value);
}

/** The part a request writes. @throws S3Error 'InvalidArgument' */
export function requiredPartNumber(query: Query): number {
  const number = partNumberOf(query);
  if (number === undefined) throw invalidArgument('A part number is required', 'partNumber');
  return number;
}

/** The upload a request names. @throws S3Error 'NoSuchUpload' for an empty one */
export function uploadIdOf(query: Query): string {
  const uploadId = query.get('uploadId') ?? '';
  if (uploadId === '') throw new S3Error('NoSuchUpload');
  return uploadId;
}

/** A page size such as max-parts: 1,000 where absent, and at most. @throws S3Error 'InvalidArgument' */
export function pageSize(name: string, value: string | undefined): number {
  if (value === undefined || value === '') return PAGE_MAX;
  return Math.min(nonNegative(name, value), PAGE_MAX);
}

/** An integer that S3 takes as 31 bits. @throws S3Error 'InvalidArgument' */
export function nonNegative(name: string, value: string): number {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= 2_147_483_647) return number;
  throw invalidArgument(`Argument ${name} must be an integer between 0 and 2147483647`, name, value);
}
