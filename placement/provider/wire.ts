/**
 * HTTP between a provider daemon and those who come with a grant (see network/grants.ts). Every answer has a Content-Length, no answer
 * redirects, no body is compressed. Header names and their meaning:
 *
 *     GET /v1/hello[?nonce=64 hex]          no grant. → JSON Hello; with a nonce, `shardway-signed` is the provider's Signed 'hello' of {nonce, session}
 *
 *     PUT /v1/shards/{name}                 body: the shard's bytes, then the 32 bytes of its root as its writer computed it: a body
 *                                           that is cut short, or was changed under way, never becomes a shard.
 *         201, 200 (was there)              `shardway-signed`: Signed 'receipt', JSON empty object as body
 *         409 Conflict                      another shard has the name
 *         422 Corrupt                       the root is not that of the bytes
 *         507 NoSpace
 *     GET /v1/shards/{name}?first=&count=   200: body = leaves, then proof; `shardway-proof-bytes`: bytes of the proof
 *     GET /v1/shards/{name}/proof?leaf=&nonce=64 hex
 *                                           200: body = the leaf; `shardway-signed`: Signed 'proof' (messages.ts), path included
 *                                           404, 410: `shardway-signed`: Signed 'denial'
 *     DELETE /v1/shards/{name}              204, also when it is not there
 *     GET /v1/shards?after=&limit=          200: JSON array of [name, length, storedAt]
 *     GET /v1/space                         200: JSON {capacity, free}
 *
 * Failures are JSON `{kind, error}` with kind a TransportErrorKind or 'Refused' (401, grant): 404 NotFound, 410 Corrupt, 503 Unavailable.
 * A request that no grant could cover, such as an unknown route or a name that no shard has, is 'Refused' with 400.
 * `shardway-signed` is base64url of the JSON of Signed (network/signed.ts).
 */
import * as z from 'zod';
import type { Signed } from '../network/signed.ts';

export const SIGNED_HEADER = 'shardway-signed';
export const HOLDER_HEADER = 'shardway-holder';
export const PROOF_BYTES_HEADER = 'shardway-proof-bytes';
/** Scheme of the authorization header. */
export const GRANT_SCHEME = 'Shardway';

/** Value of the header `shardway-signed`. */
export function encodeSigned(signed: Signed): string {
  return Buffer.from(JSON.stringify(signed)).toString('base64url');
}

/** What the header holds, for openStatement to judge; undefined where it is not JSON. */
export function decodeSigned(header: string): unknown {
  try {
    return JSON.parse(Buffer.from(header, 'base64url').toString());
  } catch {
    return undefined;
  }
}

/** Body of a failure. */
export const failureSchema = z.object({ kind: z.string().max(32), error: z.string().max(4096) });

/** What the open hello says. */
export const helloSchema = z.strictObject({
  version: z.literal(1),
  provider: z.string().regex(/^[0-9a-f]{32}$/),
  publicKey: z.string().max(64),
  /** Random, new with every run of the daemon. */
  session: z.string().regex(/^[0-9a-f]{32}$/),
  /** ms since the epoch, by the daemon's clock. */
  time: z.int().nonnegative(),
});
export type Hello = z.infer<typeof helloSchema>;

/** Signed kind 'hello'. */
export const helloStatementSchema = z.strictObject({
  nonce: z.string().regex(/^[0-9a-f]{64}$/),
  session: z.string().regex(/^[0-9a-f]{32}$/),
});

/** Signed kind 'receipt': a shard is durable here under the root that the provider computed itself. */
export const receiptSchema = z.strictObject({
  provider: z.string().regex(/^[0-9a-f]{32}$/),
  /** `${chunk}.${index}` */
  shard: z.string().max(40),
  root: z.string().regex(/^[0-9a-f]{64}$/),
  length: z.int().nonnegative(),
  storedAt: z.int().nonnegative(),
  /** Of the grant that it was put with. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
});
export type Receipt = z.infer<typeof receiptSchema>;

/** One page of GET /v1/shards. */
export const shardPageSchema = z
  .array(z.tuple([z.string().regex(/^[0-9a-f]{32}\.\d{1,3}$/), z.int().nonnegative(), z.int().nonnegative()]))
  .max(10_000);
export const spaceSchema = z.strictObject({
  capacity: z.int().nonnegative(),
  free: z.int().nonnegative(),
});
