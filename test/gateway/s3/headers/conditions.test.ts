import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  copySourceConditions,
  deleteConditions,
  parseEntityTags,
  quoteEntityTag,
  readConditions,
  unquoteEntityTag,
  writeConditions,
} from '../../../../gateway/s3/headers/conditions.ts';
import { formatHttpDate, parseHttpDate } from '../../../../gateway/s3/headers/dates.ts';
import { codeOf, headersOf } from './request.ts';

const MOMENT = Date.UTC(1994, 10, 6, 8, 49, 37);

describe('dates', () => {
  test.each([
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 Nov 1994 09:49:37 +0100',
    '6 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
    '1994-11-06T08:49:37Z',
    '1994-11-06T08:49:37.123Z',
    '1994-11-06T03:49:37-05:00',
    '  Sun, 06 Nov 1994 08:49:37 GMT ',
  ])('%s is read', (text) => {
    expect(parseHttpDate(text)).toBe(MOMENT);
  });

  test.each([
    '',
    'yesterday',
    '0',
    '784111777',
    'Sun, 31 Apr 1994 08:49:37 GMT',
    'Sun, 06 Foo 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:49:37 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    '1994-13-06T08:49:37Z',
    '1994-02-30T08:49:37Z',
  ])('%j is no date', (text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });

  test('what is written is read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e9 }), (seconds) => {
        expect(parseHttpDate(formatHttpDate(seconds * 1000))).toBe(seconds * 1000);
      }),
    );
  });

  test('any text is answered', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const time = parseHttpDate(text);
        expect(time === undefined || Number.isSafeInteger(time)).toBe(true);
      }),
    );
  });
});

describe('entity tags', () => {
  test.each([
    ['"a"', ['a']],
    ['a', ['a']],
    ['W/"a"', ['a']],
    ['"a", W/"b",c', ['a', 'b', 'c']],
    ['*', ['*']],
    ['"d41d8cd98f00b204e9800998ecf8427e-2"', ['d41d8cd98f00b204e9800998ecf8427e-2']],
  ])('%s', (text, tags) => {
    expect(parseEntityTags(text)).toEqual(tags);
  });

  test('an empty list is a condition that matches nothing, not none', () => {
    expect(parseEntityTags('')).toEqual(['']);
    expect(parseEntityTags(' , ')).toEqual(['']);
    expect(writeConditions(headersOf({ 'if-match': '' }))).toEqual({ ifMatch: [''] });
  });

  test('quoting is undone', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-f]{32}(-[1-9]\d{0,3})?$/), (etag) => {
        expect(unquoteEntityTag(quoteEntityTag(etag))).toBe(etag);
      }),
    );
  });
});

describe('conditions', () => {
  test('none', () => {
    expect(readConditions(headersOf({}))).toBeUndefined();
    expect(writeConditions(headersOf({ 'if-modified-since': formatHttpDate(MOMENT) }))).toBeUndefined();
  });

  test('an invalid date is no condition', () => {
    expect(readConditions(headersOf({ 'if-modified-since': 'never' }))).toBeUndefined();
  });

  test('entity tags go before dates', () => {
    const date = formatHttpDate(MOMENT);
    const headers = headersOf({
      'if-match': '"a"',
      'if-unmodified-since': date,
      'if-none-match': '"b"',
      'if-modified-since': date,
    });
    expect(readConditions(headers)).toEqual({ ifMatch: ['a'], ifNoneMatch: ['b'] });
  });

  test('dates alone', () => {
    const date = formatHttpDate(MOMENT);
    const headers = headersOf({ 'if-unmodified-since': date, 'if-modified-since': date });
    expect(readConditions(headers)).toEqual({ ifUnmodifiedSince: MOMENT, ifModifiedSince: MOMENT });
  });

  test('those of a copy source are apart from those of the destination', () => {
    const headers = headersOf({
      'x-amz-copy-source-if-match': '"a"',
      'x-amz-copy-source-if-modified-since': formatHttpDate(MOMENT),
      'if-none-match': '*',
    });
    expect(copySourceConditions(headers)).toEqual({ ifMatch: ['a'], ifModifiedSince: MOMENT });
    expect(writeConditions(headers)).toEqual({ ifNoneMatch: ['*'] });
  });

  test('a delete condition that is not checked is refused', () => {
    expect(deleteConditions(headersOf({ 'if-match': '"a"' }))).toEqual({ ifMatch: ['a'] });
    expect(codeOf(() => deleteConditions(headersOf({ 'x-amz-if-match-size': '3' })))).toBe('NotImplemented');
  });
});
