/**
 * Encryption of keys and other small secrets under a long-lived key. Each gets an AES-256-GCM key of its own, derived from the long-lived
 * one with HKDF-SHA-256 and a random salt (RFC 5869), so that no number of secrets makes a nonce repeat. `purpose` and `context` are
 * bound to the result: it opens in the same place only.
 *
 * Bytes: format 1, 32 of salt, the ciphertext, 16 of tag.
 */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const FORMAT = 1;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const OVERHEAD_BYTES = 1 + SALT_BYTES + TAG_BYTES;
/** Each derived key is used once. */
const NONCE = Buffer.alloc(12);

export interface Binding {
  readonly purpose: 'data key' | 'customer data key' | 'secret';
  readonly context: string;
}

export function sealUnder(key: Uint8Array, secret: Uint8Array, binding: Binding): Buffer {
  const salt = randomBytes(SALT_BYTES);
  const cipher = createCipheriv(CIPHER, derive(key, salt, binding), NONCE, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(binding.context));
  const parts = [Buffer.of(FORMAT), salt, cipher.update(secret), cipher.final()];
  return Buffer.concat([...parts, cipher.getAuthTag()]);
}

/** Undefined when the bytes were not sealed under this key with this binding. */
export function openUnder(key: Uint8Array, sealed: Uint8Array, binding: Binding): Buffer | undefined {
  if (sealed.length < OVERHEAD_BYTES || sealed[0] !== FORMAT) return undefined;
  const salt = sealed.subarray(1, 1 + SALT_BYTES);
  const decipher = createDecipheriv(CIPHER, derive(key, salt, binding), NONCE, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(binding.context));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const secret = decipher.update(sealed.subarray(1 + SALT_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return secret;
}

function derive(key: Uint8Array, salt: Uint8Array, { purpose }: Binding): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, `shardway ${purpose}`, 32));
}
