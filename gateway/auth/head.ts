/** A request's headers and query, indexed once per request in the forms that signatures are computed over. */
import { canonicalQueryPart } from './percent.ts';

/** Lower-case name → value with outer spaces trimmed and inner runs collapsed; duplicates joined with ','. Latin1: one character is one byte. */
export type SignableHeaders = ReadonlyMap<string, string>;

const UNEVEN_SPACE = /^[ \t]|[ \t]$|[ \t]{2}|\t/;

export function indexHeaders(rawHeaders: readonly string[]): SignableHeaders {
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    const value = collapseSpaces(rawHeaders[at + 1]!);
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  return headers;
}

function collapseSpaces(value: string): string {
  if (!UNEVEN_SPACE.test(value)) return value;
  return value.replaceAll(/[ \t]+/g, ' ').replaceAll(/^ | $/g, '');
}

/** Both percent-encoded in the canonical form. */
export interface QueryParameter {
  readonly name: string;
  readonly value: string;
}

export function indexQuery(rawQuery: string): readonly QueryParameter[] {
  if (rawQuery === '') return [];
  const parameters: QueryParameter[] = [];
  for (const piece of rawQuery.split('&')) {
    if (piece === '') continue;
    const equals = piece.indexOf('=');
    parameters.push(
      equals < 0
        ? { name: canonicalQueryPart(piece), value: '' }
        : {
            name: canonicalQueryPart(piece.slice(0, equals)),
            value: canonicalQueryPart(piece.slice(equals + 1)),
          },
    );
  }
  return parameters;
}
