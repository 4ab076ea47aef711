import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contentRange, parseCopySourceRange, resolveRange } from '../../../../gateway/s3/headers/range.ts';
import type { ByteRange } from '../../../../gateway/s3/headers/range.ts';
import { S3Error } from '../../../../gateway/s3/errors.ts';
import { codeOf, errorOf } from './request.ts';

function rangeOrCode(header: string, size: number): ByteRange | string | undefined {
  try {
    return resolveRange(header, size);
  } catch (error) {
    return error instanceof S3Error ? error.code : String(error);
  }
}

describe('Range', () => {
  test.each([
    ['bytes=0-0', 10, { start: 0, end: 1 }],
    ['bytes=2-5', 10, { start: 2, end: 6 }],
    ['bytes=2-', 10, { start: 2, end: 10 }],
    ['bytes=-3', 10, { start: 7, end: 10 }],
    ['bytes=-30', 10, { start: 0, end: 10 }],
    ['bytes=9-100', 10, { start: 9, end: 10 }],
    ['bytes=0-99999999999999999999999', 10, { start: 0, end: 10 }],
    ['Bytes=0-1', 10, { start: 0, end: 2 }],
    ['bytes = 0 - 1', 10, { start: 0, end: 2 }],
  ])('%s of %i', (header, size, range) => {
    expect(resolveRange(header, size)).toEqual(range);
  });

  test.each([
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'bytes=5-2',
    'bytes=a-b',
    'items=0-1',
    'bytes=0-1,3-4',
    '0-1',
    'bytes=0--1',
  ])('%s means all of it', (header) => {
    expect(resolveRange(header, 10)).toBeUndefined();
  });

  test.each([
    ['bytes=10-', 10],
    ['bytes=10-20', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=0-0', 0],
    ['bytes=-1', 0],
    ['bytes=99999999999999999999999-', 10],
  ])('%s of %i is not satisfiable', (header, size) => {
    const error = errorOf(() => resolveRange(header, size));
    expect([error.code, error.status]).toEqual(['InvalidRange', 416]);
    expect(error.headers).toContainEqual(['content-range', `bytes */${size}`]);
    expect(error.fields).toEqual([
      ['RangeRequested', header],
      ['ActualObjectSize', String(size)],
    ]);
  });

  test('agrees with slicing', () => {
    const object = Buffer.from(Array.from({ length: 50 }, (_, at) => at));
    fc.assert(
      fc.property(fc.nat(49), fc.nat(80), (first, last) => {
        fc.pre(last >= first);
        const range = resolveRange(`bytes=${first}-${last}`, object.length);
        expect(object.subarray(range?.start, range?.end)).toEqual(object.subarray(first, last + 1));
      }),
    );
  });

  test('any header gives bytes of the object, all of them, or InvalidRange', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(100), (text, size) => {
        const outcome = rangeOrCode(`bytes=${text}`, size);
        const { start, end } = typeof outcome === 'object' ? outcome : { start: 0, end: size };
        expect(['object', 'undefined', 'InvalidRange']).toContain(
          typeof outcome === 'string' ? outcome : typeof outcome,
        );
        expect(0 <= start && start <= end && end <= size).toBe(true);
        expect(typeof outcome === 'object' && start === end).toBe(false);
      }),
    );
  });

  test('Content-Range has an inclusive end', () => {
    expect(contentRange({ start: 2, end: 6 }, 10)).toBe('bytes 2-5/10');
  });
});

describe('x-amz-copy-source-range', () => {
  test('both ends', () => {
    expect(parseCopySourceRange('bytes=0-9')).toEqual({ start: 0, end: 10 });
    expect(parseCopySourceRange(undefined)).toBeUndefined();
  });

  test.each([
    '',
    '0-2',
    'bytes=0',
    'bytes=hello-world',
    'bytes=0-bar',
    'bytes=hello-',
    'bytes=0-2,3-5',
    'bytes=-5',
    'bytes=5-',
    'bytes=5-4',
  ])('%j is refused', (value) => {
    expect(codeOf(() => parseCopySourceRange(value))).toBe('InvalidArgument');
  });
});
