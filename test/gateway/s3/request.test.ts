import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { S3Error } from '../../../gateway/s3/errors.ts';
import { isBucketName } from '../../../gateway/s3/names.ts';
import { parseQuery } from '../../../gateway/s3/query.ts';
import { parseAddress, splitTarget } from '../../../gateway/s3/request.ts';
import { parseHeaders } from '../../../gateway/s3/requestHeaders.ts';
import { decodeUri } from '../../../gateway/s3/uri.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
}

describe('target', () => {
  test.each([
    ['/a/../b//c?x=1?y', { rawPath: '/a/../b//c', rawQuery: 'x=1?y', authority: undefined }],
    ['/', { rawPath: '/', rawQuery: '', authority: undefined }],
    ['/a#b', { rawPath: '/a#b', rawQuery: '', authority: undefined }],
    ['http://Host:80/a?b', { rawPath: '/a', rawQuery: 'b', authority: 'host:80' }],
    ['https://host?b', { rawPath: '/', rawQuery: 'b', authority: 'host' }],
  ])('%s', (target, parts) => {
    expect(splitTarget(target)).toEqual(parts);
  });

  test.each(['*', '', 'a/b', 'ftp://h/a', 'http:///a'])('refuses the form of %j', (target) => {
    expect(splitTarget(target)).toBeUndefined();
  });
});

describe('address', () => {
  const path = (rawPath: string) => parseAddress(rawPath, 'localhost:9000', 'example.com');
  test.each([
    ['/', undefined, undefined],
    ['/bucket', 'bucket', undefined],
    ['/bucket/', 'bucket', undefined],
    ['/bucket//', 'bucket', '/'],
    ['/bucket/a/b', 'bucket', 'a/b'],
    ['/bucket/../x', 'bucket', '../x'],
    ['/bucket/./', 'bucket', './'],
    ['/bucket/a//b/', 'bucket', 'a//b/'],
    ['/bucket/%2F', 'bucket', '/'],
    ['/bucket/a%2Fb', 'bucket', 'a/b'],
    ['/bucket/a+b', 'bucket', 'a+b'],
    ['/bucket/%00%0D%0A', 'bucket', '\0\r\n'],
    ['/bucket/%F0%9F%98%80', 'bucket', '😀'],
    ['/bucket/\u00c3\u00a9', 'bucket', 'é'],
    ['/b%75cket/a', 'bucket', 'a'],
  ])('%j', (rawPath, bucket, key) => {
    expect(path(rawPath)).toEqual({ bucket, key });
  });

  test.each([
    ['/bucket/%', 'InvalidURI'],
    ['/bucket/%2', 'InvalidURI'],
    ['/bucket/%zz', 'InvalidURI'],
    ['/bucket/%C3', 'InvalidURI'],
    ['/bucket/%C0%AF', 'InvalidURI'],
    ['/bucket/%ED%A0%80', 'InvalidURI'],
    ['//key', 'InvalidBucketName'],
    ['/ab/key', 'InvalidBucketName'],
    ['/Bucket/key', 'InvalidBucketName'],
    ['/..%2Fetc/key', 'InvalidBucketName'],
    [`/bucket/${'a'.repeat(1025)}`, 'KeyTooLongError'],
    [`/bucket/${'%C3%A9'.repeat(513)}`, 'KeyTooLongError'],
  ])('%j is %s', (rawPath, code) => {
    expect(codeOf(() => path(rawPath))).toBe(code);
  });

  test('1,024 bytes are a key', () => {
    expect(path(`/bucket/${'%C3%A9'.repeat(512)}`).key).toBe('é'.repeat(512));
  });

  test.each([
    ['bucket.example.com', '/a/b', 'bucket', 'a/b'],
    ['bucket.example.com:9000', '/', 'bucket', undefined],
    ['BUCKET.Example.COM.', '//x', 'bucket', '/x'],
    ['my.bucket.example.com', '/a', 'my.bucket', 'a'],
    ['example.com', '/bucket/a', 'bucket', 'a'],
    ['notexample.com', '/bucket/a', 'bucket', 'a'],
  ])('host %s', (host, rawPath, bucket, key) => {
    expect(parseAddress(rawPath, host, 'example.com')).toEqual({ bucket, key });
  });

  test('without a domain every host is path style', () => {
    expect(parseAddress('/bucket/a', 'x.example.com', undefined)).toEqual({ bucket: 'bucket', key: 'a' });
  });

  test('any key survives percent-encoding, and no two raw paths of one key differ in it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }),
        fc.boolean(),
        (key, everything) => {
          const raw = everything
            ? [...Buffer.from(key)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
            : encodeURIComponent(key);
          expect(path(`/bucket/${raw}`).key).toBe(key);
        },
      ),
    );
  });

  test('any text decodes or is InvalidURI', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('%', '2', 'F', 'C', '3', 'A', '9', '\u00e9', '/', '\u0100'),
          maxLength: 12,
        }),
        (text) => {
          expect(['none', 'InvalidURI']).toContain(codeOf(() => decodeUri(text)));
        },
      ),
    );
  });
});

describe('query', () => {
  test('decodes plus as space, keeps the first of a name, has valueless parameters', () => {
    const query = parseQuery('uploads&prefix=a+b%2B&prefix=c&&x=&=y&%C3%A9=%C3%A9');
    expect(query.names()).toEqual(['uploads', 'prefix', 'x', '', 'é']);
    expect(query.get('uploads')).toBe('');
    expect(query.get('prefix')).toBe('a b+');
    expect(query.get('é')).toBe('é');
    expect(query.has('nothing')).toBe(false);
  });
  test('names are data', () => {
    const query = parseQuery('__proto__=1&constructor=2');
    expect(query.get('__proto__')).toBe('1');
    expect(query.has('toString')).toBe(false);
  });
  test('refuses broken escapes', () => {
    expect(codeOf(() => parseQuery('a=%'))).toBe('InvalidURI');
  });
});

test('headers: any case, duplicates joined, UTF-8 where it is valid', () => {
  const headers = parseHeaders([
    'X-A',
    '1',
    'x-a',
    '2',
    'X-B',
    '\u00c3\u00a9',
    'x-c',
    '\u00e9',
    '__proto__',
    'p',
  ]);
  expect(headers.get('X-a')).toBe('1, 2');
  expect(headers.get('x-b')).toBe('é');
  expect(headers.get('x-c')).toBe('\u00e9');
  expect(headers.get('__PROTO__')).toBe('p');
  expect([...headers.entries()].map(([name]) => name)).toEqual(['x-a', 'x-b', 'x-c', '__proto__']);
});

test.each([
  ['abc', true],
  ['a.b-c', true],
  ['1bucket', true],
  ['a'.repeat(63), true],
  ['ab', false],
  ['a'.repeat(64), false],
  ['Bucket', false],
  ['buc_ket', false],
  ['-bucket', false],
  ['bucket-', false],
  ['buc..ket', false],
  ['buc.-ket', false],
  ['192.168.5.4', false],
  ['xn--bucket', false],
  ['bucket-s3alias', false],
  ['bucket--ol-s3', false],
  ['bücket', false],
  ['bucket\n', false],
])('bucket name %j: %s', (name, valid) => {
  expect(isBucketName(name)).toBe(valid);
});
