import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHasher } from '#erasure';
import {
  gatewayOfToken,
  isProof,
  joinProof,
  partsOf,
  secretHash,
} from '../../../placement/network/joinProof.ts';

const digits = fc.stringMatching(/^[0-9a-f]{32}$/);

describe('join proofs', () => {
  test('are 128 bits of BLAKE3 over the SHA-256 of the secret and the party', () => {
    fc.assert(
      fc.property(digits, digits, digits, (gateway, secret, party) => {
        const hash = createHash('sha256').update(secret).digest('hex');
        const digest = createHasher().hash(Buffer.from(`${hash} ${party}`));
        const expected = Buffer.from(digest).toString('hex').slice(0, 32);
        expect(joinProof(`sj_${gateway}_${secret}`, party)).toBe(`sj_${gateway}_${expected}`);
      }),
    );
  });

  test('are good for their token and their party alone', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(digits, { minLength: 2, maxLength: 2 }),
        fc.uniqueArray(digits, { minLength: 2, maxLength: 2 }),
        ([secret, otherSecret], [party, otherParty]) => {
          const shown = partsOf(joinProof(`sj_${'0'.repeat(32)}_${secret}`, party!))!.digits;
          expect(isProof(shown, secretHash(secret!), party!)).toBe(true);
          expect(isProof(shown, secretHash(secret!), otherParty!)).toBe(false);
          expect(isProof(shown, secretHash(otherSecret!), party!)).toBe(false);
        },
      ),
    );
  });

  test('a token names its gateway', () => {
    const gateway = 'ab'.repeat(16);
    const token = `sj_${gateway}_${'0'.repeat(32)}`;
    expect(gatewayOfToken(token)).toBe(gateway);
    for (const text of ['', 'sj_', `sj_${'g'.repeat(32)}_${'0'.repeat(32)}`, `${token}0`, `${token}\n`]) {
      expect(partsOf(text)).toBeUndefined();
      expect(() => gatewayOfToken(text)).toThrow(/not one/);
      expect(() => joinProof(text, gateway)).toThrow(/not one/);
    }
  });
});
