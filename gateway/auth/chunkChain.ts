/**
 * The chain of chunk signatures: each covers the one before it, so that chunks cannot be reordered, dropped, repeated or taken
 * from another request. Source: Amazon S3 API Reference, "Transferring Payload in Multiple Chunks" and "Including Trailing Headers".
 */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { equalSignatures, hmacHex, sha256Hex } from './signature.ts';
import { AuthError } from './types.ts';
import type { ChunkSigning } from './types.ts';

const EMPTY_SHA256 = sha256Hex('');

export class ChunkChain {
  readonly #signing: ChunkSigning;
  #previous: string;
  #claimed = '';
  #hash: Hash | undefined;

  constructor(signing: ChunkSigning) {
    this.#signing = signing;
    this.#previous = signing.seedSignature;
  }

  /** `claimed` is the signature in the chunk's header. */
  begin(claimed: string): void {
    this.#claimed = claimed;
    this.#hash = undefined;
  }

  update(data: Uint8Array): void {
    this.#hash ??= createHash('sha256');
    this.#hash.update(data);
  }

  /** Call at the end of each chunk, the empty last one too. @throws AuthError 'SignatureDoesNotMatch' */
  verify(): void {
    const data = this.#hash?.digest('hex') ?? EMPTY_SHA256;
    this.#check('AWS4-HMAC-SHA256-PAYLOAD', `${EMPTY_SHA256}\n${data}`, this.#claimed);
  }

  /** `canonical` is `name:value\n` of each trailer in the order of arrival, latin1. @throws AuthError 'SignatureDoesNotMatch' */
  verifyTrailer(canonical: string, claimed: string): void {
    this.#check('AWS4-HMAC-SHA256-TRAILER', sha256Hex(canonical), claimed);
  }

  #check(algorithm: string, hashes: string, claimed: string): void {
    const { signingKey, timestamp, scope } = this.#signing;
    const stringToSign = `${algorithm}\n${timestamp}\n${scope}\n${this.#previous}\n${hashes}`;
    if (!equalSignatures(hmacHex(signingKey, stringToSign), claimed)) {
      throw new AuthError(
        'SignatureDoesNotMatch',
        'The chunk signature we calculated does not match the signature you provided. Check your key and signing method.',
        [['SignatureProvided', claimed]],
      );
    }
    this.#previous = claimed;
  }
}
