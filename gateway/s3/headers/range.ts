import { S3Error } from '../errors.ts';
import { invalidArgument } from './refuse.ts';

/** Bytes [start, end). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** One range: `bytes=0-99`, `bytes=100-`, `bytes=-50`. */
const SINGLE = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)$/i;

/**
 * The bytes a Range header asks for of an object of `size` bytes; undefined: all of it, which is also S3's answer to several ranges
 * and to a malformed header.
 * @throws S3Error 'InvalidRange' where no byte of the object is in the range
 */
export function resolveRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = header === undefined ? null : SINGLE.exec(header.trim());
  if (header === undefined || match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const start = Math.max(0, size - Number(last));
    if (start >= size) throw unsatisfiable(header, size);
    return { start, end: size };
  }
  const start = Number(first);
  // The last position may be absent, and may lie behind the end.
  const inclusive = last === '' ? Infinity : Number(last);
  if (inclusive < start) return undefined;
  if (start >= size) throw unsatisfiable(header, size);
  return { start, end: Math.min(inclusive + 1, size) };
}

/** `bytes 0-99/1234`; the range has at least one byte. */
export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end - 1}/${size}`;
}

function unsatisfiable(requested: string, size: number): S3Error {
  return new S3Error('InvalidRange', undefined, {
    fields: [
      ['RangeRequested', requested],
      ['ActualObjectSize', String(size)],
    ],
    headers: [['content-range', `bytes */${size}`]],
  });
}

/** x-amz-copy-source-range: both ends must be there. Whether the source is that long is for the engine. @throws S3Error 'InvalidArgument' */
export function parseCopySourceRange(value: string | undefined): ByteRange | undefined {
  if (value === undefined) return undefined;
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(value.trim());
  const start = Number(match?.[1]);
  const end = Number(match?.[2]) + 1;
  if (match === null || end <= start) {
    throw invalidArgument(
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
      'x-amz-copy-source-range',
      value,
    );
  }
  return { start, end };
}
