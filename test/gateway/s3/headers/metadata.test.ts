import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeMetadataValue,
  metadataHeaders,
  userMetadata,
} from '../../../../gateway/s3/headers/metadata.ts';
import {
  headersOfItsOwn,
  storageClassOf,
  storedContentEncoding,
  systemHeaders,
} from '../../../../gateway/s3/headers/system.ts';
import { codeOf, errorOf, headersOf } from './request.ts';

describe('user metadata', () => {
  test('names without prefix, values as they came', () => {
    expect(
      userMetadata(headersOf({ 'X-Amz-Meta-B': 'x', 'x-amz-meta-a': 'ä €', 'content-type': 'y' })),
    ).toEqual([
      ['a', 'ä €'],
      ['b', 'x'],
    ]);
  });

  test('__proto__ is a name like any other', () => {
    expect(userMetadata(headersOf({ ['x-amz-meta-__proto__']: 'x' }))).toEqual([['__proto__', 'x']]);
  });

  test('2 KB of names and values, counted in UTF-8', () => {
    expect(userMetadata(headersOf({ 'x-amz-meta-abc': 'x'.repeat(2045) }))).toHaveLength(1);
    const error = errorOf(() => userMetadata(headersOf({ 'x-amz-meta-abc': 'x'.repeat(2046) })));
    expect(error.code).toBe('MetadataTooLarge');
    expect(error.fields).toEqual([
      ['Size', '2049'],
      ['MaxSizeAllowed', '2048'],
    ]);
    expect(codeOf(() => userMetadata(headersOf({ 'x-amz-meta-abc': 'ä'.repeat(1023) })))).toBe(
      'MetadataTooLarge',
    );
  });

  test('ASCII goes out as it came, also what looks like RFC 2047', () => {
    expect(metadataHeaders([['a', 'plain =?UTF-8?Q?x?=']])).toEqual([
      ['x-amz-meta-a', 'plain =?UTF-8?Q?x?='],
    ]);
    expect(encodeMetadataValue('')).toBe('');
  });

  test('anything else as RFC 2047', () => {
    expect(encodeMetadataValue('Hello World\u00e9')).toBe('=?UTF-8?B?SGVsbG8gV29ybGTDqQ==?=');
  });

  test('encoded words are ASCII, at most 75 characters, whole characters, and decode to the value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (value) => {
        const encoded = encodeMetadataValue(value);
        expect(encoded).toMatch(/^[\x20-\x7e\t]*$/);
        if (encoded === value) return;
        let decoded = '';
        for (const word of encoded.split(' ')) {
          expect(word.length).toBeLessThanOrEqual(75);
          const base64 = /^=\?UTF-8\?B\?(.*)\?=$/.exec(word)?.[1] ?? '';
          decoded += new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
            Buffer.from(base64, 'base64'),
          );
        }
        expect(decoded).toBe(value);
      }),
    );
  });
});

describe('system headers', () => {
  test('the default content type', () => {
    expect(systemHeaders(headersOf({}))).toEqual([['content-type', 'binary/octet-stream']]);
    expect(systemHeaders(headersOf({ 'content-type': '' }))).toEqual([
      ['content-type', 'binary/octet-stream'],
    ]);
  });

  test('those that are kept', () => {
    const fields = {
      'content-type': 'text/plain',
      'cache-control': 'no-cache',
      'content-disposition': 'attachment',
      'content-language': 'de',
      expires: 'Thu, 01 Dec 1994 16:00:00 GMT',
      'content-encoding': 'gzip',
      'x-amz-website-redirect-location': '/elsewhere',
      'x-amz-storage-class': 'STANDARD_IA',
    };
    const stored = systemHeaders(headersOf({ ...fields, 'x-unknown': 'x' }));
    expect(new Map(stored)).toEqual(new Map(Object.entries(fields)));
    expect(storageClassOf(stored)).toBe('STANDARD_IA');
  });

  test.each([
    ['gzip, aws-chunked', 'gzip'],
    ['aws-chunked,gzip', 'gzip'],
    ['aws-chunked', undefined],
    ['AWS-Chunked', undefined],
    ['', undefined],
    [undefined, undefined],
    ['gzip, br', 'gzip, br'],
    ['zstd', 'zstd'],
  ])('content-encoding %s is stored as %s', (sent, kept) => {
    expect(storedContentEncoding(sent)).toBe(kept);
  });

  test('STANDARD is not kept, archives and unknown classes are refused', () => {
    expect(headersOfItsOwn(headersOf({ 'x-amz-storage-class': 'STANDARD' }))).toEqual([]);
    expect(storageClassOf([])).toBe('STANDARD');
    for (const value of ['GLACIER', 'DEEP_ARCHIVE', 'standard', 'PLATINUM']) {
      expect(codeOf(() => systemHeaders(headersOf({ 'x-amz-storage-class': value })))).toBe(
        'InvalidStorageClass',
      );
    }
  });

  test('a redirect goes to a path or to the web', () => {
    for (const value of ['javascript:alert(1)', 'ftp://x', 'elsewhere']) {
      expect(codeOf(() => systemHeaders(headersOf({ 'x-amz-website-redirect-location': value })))).toBe(
        'InvalidRedirectLocation',
      );
    }
  });
});
