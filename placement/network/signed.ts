import * as z from 'zod';
import { partyId, verifySignature, type Identity, type PartyId } from './identity.ts';
import { NetworkError } from './errors.ts';

/**
 * A statement and who made it. The signature is over `shardway <kind>\n<body>`, so that a statement of one kind cannot be passed off as
 * another, and over the very text that is sent, so that no canonical form has to be agreed on.
 */
export const signedSchema = z.strictObject({
  kind: z.string().max(32),
  /** JSON. */
  body: z.string().max(16 * 1024 * 1024),
  /** Public key, base64url. */
  signer: z.string().max(64),
  /** base64url */
  signature: z.string().max(128),
});
export type Signed = z.infer<typeof signedSchema>;

export interface Opened<T> {
  readonly value: T;
  readonly signer: PartyId;
  readonly publicKey: string;
}

export function signStatement(identity: Identity, kind: string, value: unknown): Signed {
  const body = JSON.stringify(value);
  return {
    kind,
    body,
    signer: identity.publicKey,
    signature: identity.sign(signedBytes(kind, body)).toString('base64url'),
  };
}

/**
 * What was said, once it is shown who said it and that it has the shape it should have.
 * @throws NetworkError 'BadSignature' | 'BadMessage'
 */
export function openStatement<T>(statement: unknown, kind: string, schema: z.ZodType<T>): Opened<T> {
  const envelope = parseMessage(signedSchema, statement);
  if (envelope.kind !== kind) {
    throw new NetworkError('BadMessage', `expected a statement of kind ${kind}`);
  }
  const signature = Buffer.from(envelope.signature, 'base64url');
  if (!verifySignature(envelope.signer, signedBytes(kind, envelope.body), signature)) {
    throw new NetworkError('BadSignature', `the signature of a ${kind} does not verify`);
  }
  const value = parseMessage(schema, parseJson(envelope.body));
  return { value, signer: partyId(envelope.signer), publicKey: envelope.signer };
}

/** @throws NetworkError 'BadMessage' naming the first thing that is wrong */
export function parseMessage<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? 'the message' : issue.path.join('.');
  throw new NetworkError('BadMessage', `${where}: ${issue?.message ?? 'is wrong'}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new NetworkError('BadMessage', 'the body of a statement is not JSON', { cause: error });
  }
}

function signedBytes(kind: string, body: string): Buffer {
  return Buffer.from(`shardway ${kind}\n${body}`);
}
