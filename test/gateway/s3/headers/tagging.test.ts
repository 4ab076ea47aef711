import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BUCKET_TAGS_MAX,
  OBJECT_TAGS_MAX,
  parseTagging,
  taggingElement,
  taggingHeader,
} from '../../../../gateway/s3/headers/tagging.ts';
import { parseXml } from '../../../../gateway/s3/parseXml.ts';
import { xmlDocument } from '../../../../gateway/s3/xml.ts';
import { codeOf, headersOf } from './request.ts';

const fromHeader = (value: string) => taggingHeader(headersOf({ 'x-amz-tagging': value }));
const document = (tags: readonly (readonly [string, string])[]) => xmlDocument(taggingElement(tags));
const many = (count: number) => Array.from({ length: count }, (_, at) => [`k${at}`, 'v'] as const);

describe('x-amz-tagging', () => {
  test.each([
    ['', []],
    ['a=b', [['a', 'b']]],
    [
      'a=b&c=',
      [
        ['a', 'b'],
        ['c', ''],
      ],
    ],
    ['a', [['a', '']]],
    [
      'a=b%20c&d=e+f',
      [
        ['a', 'b c'],
        ['d', 'e f'],
      ],
    ],
    ['a=b=c', [['a', 'b=c']]],
    ['k%C3%A9=%E2%82%AC'.replace('%E2%82%AC', 'v'), [['ké', 'v']]],
    ['__proto__=x', [['__proto__', 'x']]],
  ])('%s', (value, tags) => {
    expect(fromHeader(value)).toEqual(tags);
  });

  test('absent', () => {
    expect(taggingHeader(headersOf({}))).toBeUndefined();
  });

  test.each([
    ['a=b&a=c', 'InvalidTag'],
    ['=b', 'InvalidTag'],
    ['a=%3Cscript%3E', 'InvalidTag'],
    ['aws:x=b', 'InvalidTag'],
    [`${'k'.repeat(129)}=v`, 'InvalidTag'],
    [`k=${'v'.repeat(257)}`, 'InvalidTag'],
    [
      many(11)
        .map(([key]) => key)
        .join('&'),
      'InvalidTag',
    ],
    ['a=%zz', 'InvalidArgument'],
    ['a=%ff', 'InvalidArgument'],
  ])('%s: %s', (value, code) => {
    expect(codeOf(() => fromHeader(value))).toBe(code);
  });

  test('the limits themselves are allowed', () => {
    expect(fromHeader(`${'k'.repeat(128)}=${'v'.repeat(256)}`)).toHaveLength(1);
    expect(
      fromHeader(
        many(10)
          .map(([key]) => key)
          .join('&'),
      ),
    ).toHaveLength(10);
  });
});

describe('<Tagging>', () => {
  test('what is written is read back', () => {
    const text = fc.stringMatching(/^[\p{L}\p{N} _.:/=+\-@]{1,20}$/u);
    const tags = fc.uniqueArray(fc.tuple(text, text), { maxLength: 10, selector: ([key]) => key });
    fc.assert(
      fc.property(tags, (pairs) => {
        fc.pre(pairs.every(([key]) => !key.toLowerCase().startsWith('aws:')));
        expect(parseTagging(parseXml(document(pairs), 'Tagging'), OBJECT_TAGS_MAX)).toEqual(
          pairs.toSorted(([a], [b]) => (a < b ? -1 : 1)),
        );
      }),
    );
  });

  test('is answered in the order of its keys', () => {
    const pairs = [
      ['foo', 'bar'],
      ['bar', ''],
    ] as const;
    expect(parseTagging(parseXml(document(pairs), 'Tagging'), OBJECT_TAGS_MAX)).toEqual([
      ['bar', ''],
      ['foo', 'bar'],
    ]);
  });

  test('buckets may have more than objects', () => {
    const fifty = parseXml(document(many(50)), 'Tagging');
    expect(parseTagging(fifty, BUCKET_TAGS_MAX)).toHaveLength(50);
    expect(codeOf(() => parseTagging(fifty, OBJECT_TAGS_MAX))).toBe('InvalidTag');
    expect(codeOf(() => parseTagging(parseXml(document(many(51)), 'Tagging'), BUCKET_TAGS_MAX))).toBe(
      'InvalidTag',
    );
  });

  test.each(['<Tagging/>', '<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>'])(
    '%s is malformed',
    (text) => {
      expect(codeOf(() => parseTagging(parseXml(text, 'Tagging'), OBJECT_TAGS_MAX))).toBe('MalformedXML');
    },
  );
});
