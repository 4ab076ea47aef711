import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCopySource } from '../../../../gateway/s3/headers/copySource.ts';
import { codeOf, headersOf } from './request.ts';

const parse = (value: string) => parseCopySource(headersOf({ 'x-amz-copy-source': value }));

describe('x-amz-copy-source', () => {
  test.each([
    ['bucket/key', { bucket: 'bucket', key: 'key' }],
    ['/bucket/key', { bucket: 'bucket', key: 'key' }],
    ['%2Fbucket%2Fa%2Fb', { bucket: 'bucket', key: 'a/b' }],
    ['bucket/a%20b', { bucket: 'bucket', key: 'a b' }],
    ['bucket/a+b', { bucket: 'bucket', key: 'a b' }],
    ['bucket/a%2Bb', { bucket: 'bucket', key: 'a+b' }],
    ['bucket//a/../b/', { bucket: 'bucket', key: '/a/../b/' }],
    ['bucket/%C3%A4', { bucket: 'bucket', key: 'ä' }],
    ['bucket/ä', { bucket: 'bucket', key: 'ä' }],
    ['bucket/key?versionId=v1', { bucket: 'bucket', key: 'key', versionId: 'v1' }],
    [
      'bucket/a%3FversionId%3Dx?versionId=null',
      { bucket: 'bucket', key: 'a?versionId=x', versionId: 'null' },
    ],
    ['bucket/a?b', { bucket: 'bucket', key: 'a?b' }],
  ])('%s', (value, source) => {
    expect(parse(value)).toEqual(source);
  });

  test.each([
    ['', 'InvalidArgument'],
    ['bucket', 'InvalidArgument'],
    ['bucket/', 'InvalidArgument'],
    ['/', 'InvalidArgument'],
    ['bucket/%zz', 'InvalidArgument'],
    ['bucket/%ff', 'InvalidArgument'],
    ['bucket/%C0%AF', 'InvalidArgument'],
    ['bucket/key?versionId=', 'InvalidArgument'],
    ['../key', 'InvalidBucketName'],
    [`bucket/${'k'.repeat(1025)}`, 'KeyTooLongError'],
  ])('%j: %s', (value, code) => {
    expect(codeOf(() => parse(value))).toBe(code);
  });

  test('any key, encoded, is read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }), (key) => {
        fc.pre(Buffer.byteLength(key) <= 1024);
        expect(parse(`bucket/${encodeURIComponent(key)}`)).toEqual({ bucket: 'bucket', key });
      }),
    );
  });
});
