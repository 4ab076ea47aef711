import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createHasher } from '#erasure';
import { readIfThere, replaceFile } from './durableFile.ts';
import { NetworkError } from './errors.ts';

/** The party's public key names it: the first 128 bits of the key's BLAKE3, 32 lower-case hex digits. */
export type PartyId = string;

/** An Ed25519 key pair (RFC 8032) and the name that follows from it. */
export interface Identity {
  readonly id: PartyId;
  /** Raw 32 bytes, base64url. */
  readonly publicKey: string;
  /** 64 bytes over exactly these. */
  sign(bytes: Uint8Array): Buffer;
}

const hasher = createHasher();
/** DER in front of a raw Ed25519 public key (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const RAW_KEY_BYTES = 32;

export function partyId(publicKey: string): PartyId {
  return Buffer.from(hasher.hash(rawKey(publicKey)).subarray(0, 16)).toString('hex');
}

export function createIdentity(): Identity {
  return identityOf(generateKeyPairSync('ed25519').privateKey);
}

/**
 * The identity in a file of mode 0600, made at the first call.
 * @throws NetworkError 'BadIdentity' when the file is there and is not one
 */
export async function openIdentity(path: string): Promise<Identity> {
  const found = await readIfThere(path).catch((error: Error) => {
    throw new NetworkError('BadIdentity', `${path} cannot be read: ${error.message}`, { cause: error });
  });
  if (found !== undefined) return readIdentity(found, path);
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  // A lost identity cannot be had again, and its provider's shards would be a stranger's.
  await replaceFile(path, pem);
  return identityOf(privateKey);
}

/** False for a signature, a key or a length that is wrong; never throws on hostile input. */
export function verifySignature(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(null, bytes, keyObject(publicKey), signature);
  } catch {
    return false;
  }
}

/** The same on a thread of the pool: a signature takes a tenth of a millisecond, and many of them would hold up all else. */
export async function verifySignatureAside(
  publicKey: string,
  bytes: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return await new Promise((resolve) => {
    try {
      verify(null, bytes, keyObject(publicKey), signature, (error, isValid) => resolve(!error && isValid));
    } catch {
      resolve(false);
    }
  });
}

function readIdentity(pem: string, path: string): Identity {
  try {
    return identityOf(createPrivateKey(pem));
  } catch (error) {
    throw new NetworkError('BadIdentity', `${path} does not hold an Ed25519 private key`, { cause: error });
  }
}

function identityOf(privateKey: KeyObject): Identity {
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 key');
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const publicKey = der.subarray(SPKI_PREFIX.length).toString('base64url');
  return { id: partyId(publicKey), publicKey, sign: (bytes) => sign(null, bytes, privateKey) };
}

/** Parsing a key costs as much as a signature: the keys of a network's parties are few and are met again and again. */
const keys = new Map<string, KeyObject>();
const KEYS_MAX = 16_384;

function keyObject(publicKey: string): KeyObject {
  let key = keys.get(publicKey);
  if (key === undefined) {
    key = createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, rawKey(publicKey)]),
      format: 'der',
      type: 'spki',
    });
    if (keys.size >= KEYS_MAX) keys.clear();
    keys.set(publicKey, key);
  }
  return key;
}

/** @throws NetworkError 'BadIdentity' */
function rawKey(publicKey: string): Buffer {
  const raw = Buffer.from(publicKey, 'base64url');
  if (raw.length !== RAW_KEY_BYTES || raw.toString('base64url') !== publicKey) {
    throw new NetworkError('BadIdentity', 'a public key is 32 bytes in base64url');
  }
  return raw;
}
