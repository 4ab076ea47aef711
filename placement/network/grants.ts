/**
 * Grants: what a gateway allows one holder to do once at one provider. Seam and wire format.
 *
 *     authorization: Shardway <grant>          grant = base64url(JSON of Grant) "." base64url(signature of the gateway)
 *     shardway-holder: <use>                   only where the holder is not the gateway itself:
 *                                              base64url(JSON of GrantUse) "." base64url(signature of the holder)
 *
 * A provider refuses a grant that was altered, has expired, was used before, names another provider, operation or shard, exceeds its size, was
 * made for an earlier run of the provider, or is shown by someone other than its holder. Either the grant or its use names the
 * provider's session (a random name of its present run), so that nothing is replayed to a provider that has forgotten what it saw.
 */
import * as z from 'zod';

export const grantSchema = z.strictObject({
  v: z.literal(1),
  op: z.enum(['put', 'get', 'delete', 'list', 'prove', 'space']),
  /** Who may do it, where, and who allows it: party ids. */
  holder: z.string().regex(/^[0-9a-f]{32}$/),
  provider: z.string().regex(/^[0-9a-f]{32}$/),
  /** `${chunk}.${index}`; absent for list and space. */
  shard: z
    .string()
    .regex(/^[0-9a-f]{32}\.\d{1,3}$/)
    .optional(),
  /** put: most bytes of the shard. get: most leaves. 0 otherwise. */
  size: z.int().nonnegative(),
  /** ms since the epoch by the provider's clock, as its hello told it. */
  expires: z.int().nonnegative(),
  /** 16 random bytes, hex: used once. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  /** Of the provider's present run. A grant for a monitor leaves it to the use. */
  session: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
});
export type Grant = z.infer<typeof grantSchema>;

/** Signed by the holder over `shardway use\n<JSON>`. */
export const grantUseSchema = z.strictObject({
  /** The nonce of the grant that is used. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  session: z.string().regex(/^[0-9a-f]{32}$/),
  /** The holder's public key, base64url. */
  key: z.string().max(64),
});
export type GrantUse = z.infer<typeof grantUseSchema>;
