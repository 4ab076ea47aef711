/**
 * Percent-encoding octet by octet, as SigV4 asks for it: everything but A–Z a–z 0–9 - . _ ~ becomes %XX in upper case.
 * Input is what came over the wire (latin1: one character is one byte), encoded, half encoded or not at all; the octets it
 * stands for are encoded anew, so that every spelling of the same octets has one canonical form.
 */

const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;
const UNRESERVED_PATH = /^[A-Za-z0-9\-._~/]*$/;

const PERCENT = 0x25;
const PLUS = 0x2b;
const SLASH = 0x2f;

const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet);
  return UNRESERVED.test(character) ? character : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
});

/** A name or a value of a query: '+' stands for a space, as in forms. */
export function canonicalQueryPart(raw: string): string {
  return UNRESERVED.test(raw) ? raw : reencode(raw, true, '%2F', '%2F');
}

/** A path: '/' is kept; no segment is removed, merged or resolved. An escaped slash becomes '/', as on AWS. */
export function canonicalPath(raw: string): string {
  if (raw === '') return '/';
  return UNRESERVED_PATH.test(raw) ? raw : reencode(raw, false, '/', '/');
}

/** Same, but an escaped slash stays %2F: the form of clients that sign the path exactly as they send it. */
export function canonicalPathKeepingEscapedSlash(raw: string): string {
  return reencode(raw, false, '/', '%2F');
}

function reencode(raw: string, form: boolean, slash: string, escapedSlash: string): string {
  let out = '';
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    const escaped = code === PERCENT ? escapedOctet(raw, at + 1) : -1;
    if (escaped >= 0) {
      out += escaped === SLASH ? escapedSlash : ENCODED[escaped];
      at += 2;
    } else if (code === SLASH) out += slash;
    else if (code === PLUS && form) out += '%20';
    else out += ENCODED[code & 0xff];
  }
  return out;
}

/** The octet that two hex digits at `at` stand for; -1 when they are not two hex digits, and '%' is then itself. */
function escapedOctet(raw: string, at: number): number {
  if (at + 2 > raw.length) return -1;
  const high = hexDigit(raw.charCodeAt(at));
  const low = hexDigit(raw.charCodeAt(at + 1));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
