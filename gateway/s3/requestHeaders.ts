import type { RequestHeaders } from './types.ts';
import { utf8 } from './uri.ts';

/** @param rawHeaders Node's: name, value, name, value, …; values latin1, one character a byte */
export function parseHeaders(rawHeaders: readonly string[]): RequestHeaders {
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    const value = decodeHeader(rawHeaders[at + 1] as string);
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return {
    get: (name) => values.get(name.toLowerCase()),
    entries: () => values.entries(),
  };
}

function decodeHeader(latin1: string): string {
  return /[\u0080-\u00ff]/.test(latin1) ? (utf8(Buffer.from(latin1, 'latin1')) ?? latin1) : latin1;
}
