import type * as z from 'zod';
import { NetworkError } from '../network/errors.ts';
import { grantSchema, grantUseSchema, type Grant } from '../network/grants.ts';
import { partyId, verifySignature, type PartyId } from '../network/identity.ts';
import { GRANT_MS_MAX, grantBytes, MONITOR_GRANT_MS_MAX } from '../network/issueGrant.ts';
import type { Clock } from '../types.ts';
import { NonceMemory } from './nonceMemory.ts';
import { GRANT_SCHEME } from './wire.ts';

/** What a request shows, and what it wants. */
export interface GrantRequest {
  readonly authorization: string | undefined;
  /** Of the header `shardway-holder`. */
  readonly use: string | undefined;
  readonly op: Grant['op'];
  /** Stored name; undefined for list and space. */
  readonly shard: string | undefined;
  /** put: bytes of the shard where they are told beforehand, 0 otherwise. get: leaves. 0 otherwise. */
  readonly size: number;
}

export interface GrantCheckerOptions {
  readonly provider: PartyId;
  /** Of this run. */
  readonly session: string;
  /** Whose grants count. */
  readonly gateway: { readonly id: PartyId; readonly publicKey: string };
  readonly clock: Clock;
  /** Nonces remembered at once; beyond it, grants are refused. */
  readonly noncesMax: number;
}

/** Longer than any grant or use can be. */
const TEXT_MAX = 2048;

/** Decides over grants (network/grants.ts), and uses up those it accepts. */
export class GrantChecker {
  readonly #options: GrantCheckerOptions;
  readonly #nonces: NonceMemory;
  #latest = 0;

  constructor(options: GrantCheckerOptions) {
    this.#options = options;
    this.#nonces = new NonceMemory(options.noncesMax);
  }

  /** The time that grants are held to. It never goes back: nonces that were forgotten would be good again. */
  now(): number {
    this.#latest = Math.max(this.#latest, this.#options.clock.now());
    return this.#latest;
  }

  /** The grant, which is used up now. @throws NetworkError 'Refused', or 'Unavailable' while no more nonces can be remembered */
  accept(request: GrantRequest): Grant {
    const grant = this.#open(request.authorization);
    this.#checkPlace(grant, request);
    const now = this.now();
    if (grant.expires <= now) refuse('the grant has expired');
    const aheadMax = grant.holder === this.#options.gateway.id ? GRANT_MS_MAX : MONITOR_GRANT_MS_MAX;
    if (grant.expires > now + aheadMax) refuse('the grant expires too far ahead');
    this.#checkHolder(grant, request.use);
    const added = this.#nonces.add(grant.nonce, grant.expires, now);
    if (added === 'known') refuse('the grant was used before');
    if (added === 'full') throw new NetworkError('Unavailable', 'too many grants are in use');
    return grant;
  }

  #open(authorization: string | undefined): Grant {
    if (authorization === undefined) refuse('no grant is shown');
    if (!authorization.startsWith(`${GRANT_SCHEME} `)) refuse('the authorization is not a grant');
    const { json, signature } = partsOf(authorization.slice(GRANT_SCHEME.length + 1));
    if (!verifySignature(this.#options.gateway.publicKey, grantBytes('grant', json), signature)) {
      refuse('the grant is not signed by the gateway of this provider');
    }
    return parsed(grantSchema, json);
  }

  #checkPlace(grant: Grant, request: GrantRequest): void {
    if (grant.provider !== this.#options.provider) refuse('the grant is for another provider');
    if (grant.op !== request.op) refuse(`the grant is for ${grant.op}, not for ${request.op}`);
    if (grant.shard !== request.shard) refuse('the grant is for another shard');
    if (request.size > grant.size) refuse(`the grant is for ${grant.size}, not for ${request.size}`);
  }

  /** The gateway may use its own grants as they are; anyone else shows by a signature that it is the holder. */
  #checkHolder(grant: Grant, text: string | undefined): void {
    if (text === undefined) {
      if (grant.holder !== this.#options.gateway.id) refuse('the holder of the grant has not signed its use');
      this.#checkSession(grant.session);
      return;
    }
    const { json, signature } = partsOf(text);
    const use = parsed(grantUseSchema, json);
    if (holderOf(use.key) !== grant.holder) refuse('the grant is shown by another than its holder');
    if (!verifySignature(use.key, grantBytes('use', json), signature)) {
      refuse('the use of the grant is not signed by its holder');
    }
    if (use.nonce !== grant.nonce) refuse('the use is that of another grant');
    this.#checkSession(use.session);
    if (grant.session !== undefined) this.#checkSession(grant.session);
  }

  #checkSession(session: string | undefined): void {
    if (session === undefined) refuse('neither the grant nor its use names the session');
    if (session !== this.#options.session) refuse('the grant is for an earlier run of the provider');
  }
}

function partsOf(text: string): { json: Buffer; signature: Buffer } {
  const dot = text.indexOf('.');
  if (dot < 0 || text.length > TEXT_MAX) refuse('a grant is two parts in base64url');
  return {
    json: Buffer.from(text.slice(0, dot), 'base64url'),
    signature: Buffer.from(text.slice(dot + 1), 'base64url'),
  };
}

function parsed<T>(schema: z.ZodType<T>, json: Buffer): T {
  try {
    return schema.parse(JSON.parse(json.toString()));
  } catch (error) {
    throw new NetworkError('Refused', 'the grant does not have the form of one', { cause: error });
  }
}

function holderOf(publicKey: string): PartyId | undefined {
  try {
    return partyId(publicKey);
  } catch {
    return undefined;
  }
}

function refuse(reason: string): never {
  throw new NetworkError('Refused', reason);
}
