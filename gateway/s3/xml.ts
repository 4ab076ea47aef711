/** S3's XML: a builder whose output is well-formed whatever the values are. */

/** Namespace of every S3 result document. */
const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** Finished XML source, so that text is escaped exactly once. */
export class Markup {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

export type XmlContent = Markup | string | number | boolean | undefined | readonly Markup[];

/** `<name>content</name>`: text is escaped, undefined is left out, markup goes in as it is. `name` is trusted. */
export function element(name: string, ...content: readonly XmlContent[]): Markup {
  return new Markup(`<${name}>${join(content)}</${name}>`);
}

/** The root of a result: an element in S3's namespace. */
export function rootElement(name: string, ...content: readonly XmlContent[]): Markup {
  return new Markup(`<${name} xmlns="${S3_NAMESPACE}">${join(content)}</${name}>`);
}

/** The element, or nothing where the value is undefined. */
export function optional(name: string, value: string | number | boolean | undefined): Markup | undefined {
  return value === undefined ? undefined : element(name, value);
}

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

export function xmlDocument(root: Markup): string {
  return XML_DECLARATION + root.source;
}

function join(content: readonly XmlContent[]): string {
  let out = '';
  for (const item of content) {
    if (item === undefined) continue;
    if (item instanceof Markup) out += item.source;
    else if (typeof item === 'object') for (const markup of item) out += markup.source;
    else out += typeof item === 'string' ? escapeXml(item) : String(item);
  }
  return out;
}

// The five characters with a meaning, control characters (tab, LF and CR among them, which parsers trim or normalise), and the two
// non-characters that XML forbids.
const SPECIAL = /[&<>"'\p{Cc}\u2028\uFFFE\uFFFF]/gu;
const NAMED: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&apos;'],
]);

/** Escapes text for an element or an attribute. Control characters become numeric references (CR: `&#13;`), as on AWS. */
export function escapeXml(text: string): string {
  return text.toWellFormed().replace(SPECIAL, (character) => {
    return NAMED.get(character) ?? `&#${character.charCodeAt(0)};`;
  });
}

/**
 * `encoding-type=url`: UTF-8 percent-encoding with '/' kept. A space is %20 (AWS sends '+'): clients that decode '+' and clients that
 * do not both read it back.
 */
export function urlEncode(text: string): string {
  return encodeURIComponent(text).replaceAll('%2F', '/');
}
