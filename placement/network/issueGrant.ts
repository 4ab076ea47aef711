import { randomBytes } from 'node:crypto';
import type { Grant, GrantUse } from './grants.ts';
import type { Identity } from './identity.ts';

/**
 * A grant as it goes into `authorization: Shardway <text>`. The nonce names it, for the use and in the receipt.
 * @param fields `expires` is by the provider's clock, and not too far ahead (see GRANT_MS_MAX)
 */
export function issueGrant(
  gateway: Identity,
  fields: Omit<Grant, 'v' | 'nonce'>,
): { text: string; nonce: string } {
  const nonce = randomBytes(16).toString('hex');
  const grant: Grant = { v: 1, ...fields, nonce };
  return { text: sealed(gateway, 'grant', grant), nonce };
}

/**
 * Value of `shardway-holder`: the holder of a grant shows that it is the holder, in this run of the provider.
 * @param session as the provider's hello told it
 */
export function useGrant(holder: Identity, grantNonce: string, session: string): string {
  const use: GrantUse = { nonce: grantNonce, session, key: holder.publicKey };
  return sealed(holder, 'use', use);
}

/**
 * A provider refuses what expires later, since it remembers the nonces of all that it has seen until then. The gateway issues its own grants
 * for one request each; those of monitors are few, and last for the era that they are assigned in, which is a day at most.
 */
export const GRANT_MS_MAX = 600_000;
export const MONITOR_GRANT_MS_MAX = 25 * 3_600_000;

/** What is signed: the kind keeps a grant from being passed off as a use or as a statement. */
export function grantBytes(kind: 'grant' | 'use', json: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`shardway ${kind}\n`), json]);
}

function sealed(identity: Identity, kind: 'grant' | 'use', value: Grant | GrantUse): string {
  const json = Buffer.from(JSON.stringify(value));
  const signature = identity.sign(grantBytes(kind, json));
  return `${json.toString('base64url')}.${signature.toString('base64url')}`;
}
