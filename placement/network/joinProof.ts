/**
 * A join token is `sj_<gateway>_<secret>`, both 32 hex digits. A party never says its token: what it says is signed and logged, where others
 * may read it. It shows a proof of the same form instead, which only someone with the secret can make and which is good for that party alone.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createHasher } from '#erasure';
import { NetworkError } from './errors.ts';
import type { PartyId } from './identity.ts';

const FORM = /^sj_([0-9a-f]{32})_([0-9a-f]{32})$/;
/** As many bits as the secret has. */
const PROOF_BYTES = 16;

const hasher = createHasher();

/** `sj_<gateway>_` and the proof's 32 hex digits. @throws NetworkError 'BadMessage' for what is no token */
export function joinProof(token: string, party: PartyId): string {
  const { gateway, digits } = partsOf(token) ?? refuse();
  return joinText(gateway, proofOf(secretHash(digits), party));
}

export function joinText(gateway: PartyId, digits: string): string {
  return `sj_${gateway}_${digits}`;
}

/** Of a token or a proof: whose it is, and the secret or the proof itself. */
export function partsOf(text: string): { readonly gateway: PartyId; readonly digits: string } | undefined {
  const [, gateway, digits] = FORM.exec(text) ?? [];
  return gateway === undefined || digits === undefined ? undefined : { gateway, digits };
}

/** The gateway that a join token is of. @throws NetworkError 'BadMessage' */
export function gatewayOfToken(token: string): PartyId {
  return (partsOf(token) ?? refuse()).gateway;
}

function refuse(): never {
  throw new NetworkError('BadMessage', 'the join token is not one');
}

/** SHA-256 of a secret, in hex: all that is needed to check proofs, and to make them. The secret is random and so needs no slow hash. */
export function secretHash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** First 128 bits of BLAKE3(hash ‖ ' ' ‖ party), in hex. */
export function proofOf(hash: string, party: PartyId): string {
  const digest = hasher.hash(Buffer.from(`${hash} ${party}`));
  return Buffer.from(digest.subarray(0, PROOF_BYTES)).toString('hex');
}

/** In a time that does not tell how much is right. @param digits 32 hex digits, as `partsOf` gives them */
export function isProof(digits: string, hash: string, party: PartyId): boolean {
  return timingSafeEqual(Buffer.from(digits), Buffer.from(proofOf(hash, party)));
}
