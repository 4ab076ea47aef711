import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { S3Error } from './errors.ts';

/** One element of a request document: namespace prefix removed, attributes ignored. */
export interface XmlElement {
  readonly name: string;
  /** All text and CDATA directly inside, whitespace kept, references resolved. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** S3's documents are at most 7 deep (lifecycle, replication). */
const DEPTH_MAX = 16;

const parser = new XMLParser({
  preserveOrder: true,
  // References are resolved below: named ones beyond XML's five need a DTD, which is refused.
  processEntities: false,
  trimValues: false,
  parseTagValue: false,
  ignoreAttributes: true,
  removeNSPrefix: true,
  cdataPropName: '#cdata',
  commentPropName: '#comment',
  maxNestedTags: DEPTH_MAX,
});

/**
 * Parses a request document. DTDs, entities and processing instructions are refused, depth is capped; the caller caps the size.
 * @param roots accepted names of the root element
 * @throws S3Error 'MalformedXML'
 */
export function parseXml(text: string, ...roots: readonly string[]): XmlElement {
  const [declaration = ''] = /^\ufeff?(?:<\?xml\s[^?<>]*\?>)?/.exec(text) ?? [];
  // The bytes were read as UTF-8: under another encoding the document would name other keys.
  const encoding = /\sencoding\s*=\s*["']([^"']*)["']/i.exec(declaration)?.[1];
  if (encoding !== undefined && !/^(?:utf-8|us-ascii)$/i.test(encoding)) throw malformed();
  const source = text.slice(declaration.length);
  // '<!' begins a DTD unless it is a comment or CDATA; '<?' is a processing instruction.
  if (/<!(?!--|\[CDATA\[)|<\?/.test(source)) throw malformed();
  // The parser drops text behind the root.
  if (!source.trimEnd().endsWith('>')) throw malformed();
  const nodes = parseNodes(source).filter((node) => !isComment(node));
  const elements = nodes.filter((node) => typeof node['#text'] !== 'string');
  const stray = nodes.some((node) => typeof node['#text'] === 'string' && node['#text'].trim() !== '');
  if (elements.length !== 1 || stray) throw malformed();
  const root = toElement(elements[0] as RawNode, 1);
  if (!roots.includes(root.name)) throw malformed();
  return root;
}

/** The child of the name. @throws S3Error 'MalformedXML' for two: which one is meant is not for us to choose */
export function child(parent: XmlElement, name: string): XmlElement | undefined {
  const found = children(parent, name);
  if (found.length > 1) throw malformed();
  return found[0];
}

export function children(parent: XmlElement, name: string): readonly XmlElement[] {
  return parent.children.filter((candidate) => candidate.name === name);
}

/** Text of the child of the name, whitespace kept. @throws S3Error 'MalformedXML' for two */
export function childText(parent: XmlElement, name: string): string | undefined {
  return child(parent, name)?.text;
}

type RawNode = Readonly<Record<string, unknown>>;

function parseNodes(source: string): readonly RawNode[] {
  try {
    if (XMLValidator.validate(source) !== true) throw malformed();
    return parser.parse(source) as RawNode[];
  } catch {
    // The parser throws on depth and on names such as __proto__; whatever it says of the text is not for the client.
    throw malformed();
  }
}

function isComment(node: RawNode): boolean {
  return Object.hasOwn(node, '#comment');
}

function toElement(node: RawNode, depth: number): XmlElement {
  if (depth > DEPTH_MAX) throw malformed();
  const name = Object.keys(node).find((key) => key !== ':@');
  if (name === undefined) throw malformed();
  const content = node[name] as readonly RawNode[];
  let text = '';
  const elements: XmlElement[] = [];
  for (const item of content) {
    if (isComment(item)) continue;
    if (typeof item['#text'] === 'string') text += resolveReferences(item['#text']);
    else if (Array.isArray(item['#cdata'])) text += cdataText(item['#cdata'] as RawNode[]);
    else elements.push(toElement(item, depth + 1));
  }
  return { name, text, children: elements };
}

function cdataText(content: readonly RawNode[]): string {
  return content.map((node) => (typeof node['#text'] === 'string' ? node['#text'] : '')).join('');
}

const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function resolveReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&([^;&]{0,16};)?/g, (_, body: string | undefined) => {
    const name = body?.slice(0, -1) ?? '';
    const named = NAMED.get(name);
    if (named !== undefined) return named;
    const number = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name);
    if (number === null) throw malformed();
    const code = number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw malformed();
    return String.fromCodePoint(code);
  });
}

function malformed(): S3Error {
  return new S3Error('MalformedXML');
}
