import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { createHasher } from '#erasure';
import { partyId, type Identity } from '../../placement/network/identity.ts';

/** DER in front of a raw Ed25519 private key (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const RAW_KEY_BYTES = 32;

/** An identity whose key is the hash of its name: the same in every run, and good for nothing else. */
export function seededIdentity(name: string): Identity {
  const seed = createHasher().hash(Buffer.from(`simulated ${name}`));
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const publicKey = der.subarray(der.length - RAW_KEY_BYTES).toString('base64url');
  return { id: partyId(publicKey), publicKey, sign: (bytes) => sign(null, bytes, key) };
}
