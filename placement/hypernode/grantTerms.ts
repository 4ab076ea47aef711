import * as z from 'zod';
import { grantSchema } from '../network/grants.ts';
import { parseMessage } from '../network/signed.ts';

const termsSchema = z.object({ nonce: grantSchema.shape.nonce, expires: grantSchema.shape.expires });

/** What a holder needs of its grant; the provider judges it. Not a grant at all: no name, and no end. */
export function grantTerms(grant: string): { readonly nonce: string; readonly expires: number } {
  try {
    const json = Buffer.from(grant.split('.')[0] ?? '', 'base64url').toString();
    return parseMessage(termsSchema, JSON.parse(json));
  } catch {
    return { nonce: '', expires: Infinity };
  }
}
