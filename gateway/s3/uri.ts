import { S3Error } from './errors.ts';

const HEX = /^[0-9A-Fa-f]{2}$/;

/**
 * Percent-decodes part of a request target, as UTF-8. `text` is latin1, one character a byte, as Node hands targets out; bytes that
 * came raw count as they are. Nothing is normalised: '..', '//' and '+' stay.
 * @throws S3Error 'InvalidURI' for a broken escape and for what is not (shortest-form) UTF-8
 */
export function decodeUri(text: string): string {
  if (!/[%\u0080-\uffff]/.test(text)) return text;
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '%') {
      const digits = text.slice(at + 1, at + 3);
      if (!HEX.test(digits)) throw new S3Error('InvalidURI');
      bytes[length] = Number.parseInt(digits, 16);
      at += 2;
    } else {
      const code = text.charCodeAt(at);
      if (code > 0xff) throw new S3Error('InvalidURI');
      bytes[length] = code;
    }
    length += 1;
  }
  const decoded = utf8(bytes.subarray(0, length));
  if (decoded === undefined) throw new S3Error('InvalidURI');
  return decoded;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of well-formed UTF-8, undefined for any other bytes. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
