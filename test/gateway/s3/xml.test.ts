import { XMLValidator } from 'fast-xml-parser';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { child, childText, children, parseXml } from '../../../gateway/s3/parseXml.ts';
import { S3Error } from '../../../gateway/s3/errors.ts';
import { element, escapeXml, rootElement, urlEncode, xmlDocument } from '../../../gateway/s3/xml.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 60 });
const controlText = fc.string({
  unit: fc.constantFrom(
    '\0',
    '\r',
    '\n',
    '\t',
    '\u001f',
    '\u0085',
    '\ufffe',
    '&',
    '<',
    '>',
    '"',
    "'",
    ']]>',
    'é',
    '😀',
  ),
  maxLength: 20,
});

function refused(text: string, root = 'A'): string {
  try {
    parseXml(text, root);
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('builder', () => {
  test('escapes markup, and control characters as numeric references', () => {
    expect(escapeXml(`a&<>"'\r\n\t\0z`)).toBe('a&amp;&lt;&gt;&quot;&apos;&#13;&#10;&#9;&#0;z');
    expect(escapeXml('\ud800x')).toBe('\ufffdx');
    expect(escapeXml('日本😀')).toBe('日本😀');
  });

  test('leaves out undefined and takes markup, numbers and lists', () => {
    const list = [element('B', 1), element('B', true)];
    expect(rootElement('A', undefined, list, 'x').source).toBe(
      '<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><B>1</B><B>true</B>x</A>',
    );
  });

  test('whatever the text, the document is well-formed and reads back the same', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, controlText), (text) => {
        const document = xmlDocument(element('A', element('B', text)));
        expect(XMLValidator.validate(document)).toBe(true);
        expect(childText(parseXml(document, 'A'), 'B')).toBe(text.toWellFormed());
      }),
    );
  });

  test('url encoding keeps slashes, encodes plus and space', () => {
    expect(['foo+1/bar', 'quux ab/thud', 'asdf+b', 'é%'].map(urlEncode)).toEqual([
      'foo%2B1/bar',
      'quux%20ab/thud',
      'asdf%2Bb',
      '%C3%A9%25',
    ]);
    fc.assert(
      fc.property(anyText, (text) => {
        const encoded = urlEncode(text.toWellFormed());
        expect(encoded).toMatch(/^[\x21-\x7e]*$/);
        // Both ways in which clients decode.
        expect(decodeURIComponent(encoded)).toBe(text.toWellFormed());
        expect(decodeURIComponent(encoded.replaceAll('+', ' '))).toBe(text.toWellFormed());
      }),
    );
  });
});

describe('parser', () => {
  test('reads text, CDATA, references, comments and namespaces', () => {
    const root = parseXml(
      '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><s3:Delete xmlns:s3="u"><s3:Object a="1"><Key> a&#13;&amp;&#x1F600;<![CDATA[<b>&amp;]]> </Key></s3:Object><Object/></s3:Delete>\n',
      'Delete',
    );
    expect(children(root, 'Object')).toHaveLength(2);
    const [first] = children(root, 'Object');
    expect(first && childText(first, 'Key')).toBe(' a\r&😀<b>&amp; ');
    expect(child(root, 'Nothing')).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['blank', ' \n'],
    ['text', 'A'],
    ['another root', '<B/>'],
    ['two roots', '<A/><A/>'],
    ['text beside the root', '<A/>x'],
    ['unclosed', '<A><B></A>'],
    ['DTD', '<!DOCTYPE A><A/>'],
    ['entity expansion', '<!DOCTYPE A [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><A>&b;</A>'],
    ['external entity', '<!DOCTYPE A [<!ENTITY x SYSTEM "file:///etc/passwd">]><A>&x;</A>'],
    ['unknown entity', '<A>&nbsp;</A>'],
    ['bare ampersand', '<A>a & b</A>'],
    ['surrogate reference', '<A>&#xD800;</A>'],
    ['reference beyond Unicode', '<A>&#x110000;</A>'],
    ['processing instruction', '<?xml version="1.0"?><?php x?><A/>'],
    ['__proto__', '<A><__proto__><x>1</x></__proto__></A>'],
    ['constructor', '<A><constructor>1</constructor></A>'],
    ['too deep', `${'<A>'.repeat(17)}${'</A>'.repeat(17)}`],
    ['very deep', '<A>'.repeat(100_000)],
  ])('refuses %s', (_, text) => {
    expect(refused(text)).toBe('MalformedXML');
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  test('refuses a document in another encoding, which would name other keys', () => {
    for (const encoding of ['ISO-8859-1', 'UTF-16', 'utf-7']) {
      expect(() => parseXml(`<?xml version="1.0" encoding="${encoding}"?><Delete/>`, 'Delete')).toThrow(
        S3Error,
      );
    }
    expect(parseXml('\ufeff<?xml version="1.0" encoding=\'utf-8\'?><Delete/>', 'Delete').name).toBe('Delete');
  });

  test('two elements where one belongs are malformed', () => {
    const object = parseXml('<Object><Key>a</Key><Key>b</Key></Object>', 'Object');
    expect(() => childText(object, 'Key')).toThrow(expect.objectContaining({ code: 'MalformedXML' }));
    expect(children(object, 'Key')).toHaveLength(2);
  });

  test('accepts 16 levels', () => {
    expect(refused(`${'<A>'.repeat(16)}${'</A>'.repeat(16)}`)).toBe('accepted');
  });

  test('any input: an element or MalformedXML', () => {
    const soup = fc.array(
      fc.constantFrom(
        '<A>',
        '</A>',
        '<B/>',
        '<',
        '>',
        '&',
        ';',
        '&#1;',
        '<![CDATA[',
        ']]>',
        '<!--',
        '-->',
        '<?',
        '?>',
        '<!DOCTYPE',
        '[',
        ']',
        'x',
        ' ',
        '"',
        '=',
        '\0',
        '__proto__',
        '<toString>',
        ':',
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          soup.map((pieces) => pieces.join('')),
          soup.map((pieces) => `<A>${pieces.join('')}</A>`),
        ),
        (text) => {
          expect(['accepted', 'MalformedXML']).toContain(refused(text));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
