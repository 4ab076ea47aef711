/** Times in signed requests. */

export interface Timestamp {
  /** ms since the epoch */
  readonly ms: number;
  /** 20251123T101112Z, as strings to sign have it. */
  readonly basic: string;
}

const BASIC = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const RFC_1123 =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|UTC|[+-]0000)$/;

/** ISO 8601 basic (20251123T101112Z) only: the form of X-Amz-Date in a query. */
export function parseBasicTimestamp(text: string): Timestamp | undefined {
  const match = BASIC.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const ms = Date.UTC(+year!, +month! - 1, +day!, +hour!, +minute!, +second!);
  // Date.UTC carries 30 February over into March: such a text is no time.
  return basicTimestamp(ms) === text ? { ms, basic: text } : undefined;
}

/** ISO 8601 basic, or RFC 1123 (Sun, 23 Nov 2025 10:11:12 GMT): the forms of the x-amz-date and Date headers. botocore writes `-0000`. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const basic = parseBasicTimestamp(text);
  if (basic !== undefined || !RFC_1123.test(text)) return basic;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : { ms, basic: basicTimestamp(ms) };
}

function basicTimestamp(ms: number): string {
  return isoSeconds(ms).replaceAll(/[-:]/g, '');
}

/** 2025-11-23T10:11:12Z, as error responses have it. */
export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
