/** HTTP dates as S3 reads and writes them. */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** RFC 1123, with GMT, UTC or an offset: `Sun, 06 Nov 1994 08:49:37 GMT`. */
const RFC1123 =
  /^(?:[A-Za-z]{3}, ?)?(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:GMT|UTC|UT|Z|([+-])(\d{2})(\d{2}))$/;
/** RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`. */
const RFC850 = /^[A-Za-z]{6,9}, (\d{2})-([A-Za-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
/** C's asctime: `Sun Nov  6 08:49:37 1994`. */
const ASCTIME = /^[A-Za-z]{3} ([A-Za-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;
/** ISO 8601: `1994-11-06T08:49:37.000Z`. */
const ISO = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|([+-])(\d{2}):?(\d{2}))$/;

/** ms since the epoch, of whole seconds; undefined for what is no date. */
export function parseHttpDate(value: string): number | undefined {
  const text = value.trim();
  let match = RFC1123.exec(text);
  if (match !== null) {
    const [, day, month, year, hour, minute, second, sign, offsetHours, offsetMinutes] = match;
    const time = utc(Number(year), monthOf(month), Number(day), Number(hour), Number(minute), Number(second));
    return shift(time, sign, offsetHours, offsetMinutes);
  }
  match = ISO.exec(text);
  if (match !== null) {
    const [, year, month, day, hour, minute, second, sign, offsetHours, offsetMinutes] = match;
    const time = utc(
      Number(year),
      Number(month) - 1,
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    );
    return shift(time, sign, offsetHours, offsetMinutes);
  }
  match = RFC850.exec(text);
  if (match !== null) {
    const [, day, month, year, hour, minute, second] = match;
    return utc(
      fullYear(Number(year)),
      monthOf(month),
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    );
  }
  match = ASCTIME.exec(text);
  if (match === null) return undefined;
  const [, month, day, hour, minute, second, year] = match;
  return utc(Number(year), monthOf(month), Number(day), Number(hour), Number(minute), Number(second));
}

/** `Sun, 06 Nov 1994 08:49:37 GMT` */
export function formatHttpDate(time: number): string {
  return new Date(time).toUTCString();
}

/** As in S3's XML: `1994-11-06T08:49:37.000Z` */
export function formatIsoDate(time: number): string {
  return new Date(time).toISOString();
}

/** RFC 9110 5.6.7: a two-digit year more than 50 years ahead means the past; counted from 2025, so that parsing stays pure. */
function fullYear(year: number): number {
  return year > 75 ? 1900 + year : 2000 + year;
}

function monthOf(name: string | undefined): number {
  return MONTHS.indexOf((name ?? '').toLowerCase());
}

function utc(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined;
  const time = new Date(0).setUTCFullYear(year, month, day);
  const date = new Date(time);
  // Date rolls 31 April over to 1 May: such a day is no date.
  if (date.getUTCDate() !== day || date.getUTCMonth() !== month) return undefined;
  return date.setUTCHours(hour, minute, second);
}

function shift(
  time: number | undefined,
  sign: string | undefined,
  hours: string | undefined,
  minutes: string | undefined,
): number | undefined {
  if (time === undefined || sign === undefined) return time;
  const offset_ms = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === '+' ? time - offset_ms : time + offset_ms;
}
