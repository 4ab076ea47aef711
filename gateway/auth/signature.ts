/** The arithmetic of Signature Version 4. Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)". */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
export const TERMINAL = 'aws4_request';

/** A gateway sees few secrets, each with today's date, yesterday's, and the dates of presigned URLs (7 days). */
const SIGNING_KEYS_MAX = 512;

/** `text` is latin1: one character is one byte. */
export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}

export function hmacHex(key: Uint8Array, text: string): string {
  return createHmac('sha256', key).update(text, 'latin1').digest('hex');
}

/** In constant time for signatures of the right length. */
export function equalSignatures(expected: string, provided: string): boolean {
  const a = Buffer.from(expected, 'latin1');
  const b = Buffer.from(provided, 'latin1');
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Derives and remembers signing keys: four HMACs that change only with the secret and the day. */
export class SigningKeys {
  readonly #region: string;
  readonly #service: string;
  readonly #keys = new Map<string, Uint8Array>();

  constructor(region: string, service: string) {
    this.#region = region;
    this.#service = service;
  }

  /** 32 bytes. `date` is yyyyMMdd. */
  derive(secretKey: string, date: string): Uint8Array {
    const id = `${date}${secretKey}`;
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    let key: Uint8Array = Buffer.from(`AWS4${secretKey}`, 'utf8');
    for (const part of [date, this.#region, this.#service, TERMINAL]) {
      key = createHmac('sha256', key).update(part, 'utf8').digest();
    }
    if (this.#keys.size >= SIGNING_KEYS_MAX) this.#forgetOldest();
    this.#keys.set(id, key);
    return key;
  }

  #forgetOldest(): void {
    for (const oldest of this.#keys.keys()) {
      this.#keys.delete(oldest);
      return;
    }
  }
}
