import * as z from 'zod';
import { partyId, verifySignature, verifySignatureAside, type Identity, type PartyId } from './identity.ts';
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
  const envelope = envelopeOf(statement, kind);
  const signature = Buffer.from(envelope.signature, 'base64url');
  if (!verifySignature(envelope.signer, signedBytes(kind, envelope.body), signature)) {
    throw new NetworkError('BadSignature', `the signature of a ${kind} does not verify`);
  }
  const value = parseMessage(schema, parseJson(envelope.body));
  return { value, signer: partyId(envelope.signer), publicKey: envelope.signer };
}

/** A statement of the right kind and shape, of which nobody knows yet who made it. */
export interface Unverified<T> extends Opened<T> {
  /** Whether it was said by `signer`, found out here and now or on another thread. */
  verify(): boolean;
  verifyAside(): Promise<boolean>;
}

/**
 * For statements that may turn out to be of no account before their signature has to be looked at.
 * @throws NetworkError 'BadMessage' | 'BadIdentity'
 */
export function readStatement<T>(statement: unknown, kind: string, schema: z.ZodType<T>): Unverified<T> {
  const { signer: publicKey, body, signature } = envelopeOf(statement, kind);
  const parts = (): [string, Buffer, Buffer] => [
    publicKey,
    signedBytes(kind, body),
    Buffer.from(signature, 'base64url'),
  ];
  return {
    value: parseMessage(schema, parseJson(body)),
    signer: partyId(publicKey),
    publicKey,
    verify: () => verifySignature(...parts()),
    verifyAside: () => verifySignatureAside(...parts()),
  };
}

/**
 * At the door, of what is logged: it is kept for good, and takes no more bytes than it says. Older logs hold what came before this was asked.
 * @throws NetworkError 'BadMessage'
 */
export function checkCompact({ body }: Pick<Signed, 'body'>): void {
  if (JSON.stringify(parseJson(body)) === body) return;
  throw new NetworkError(
    'BadMessage',
    'the body of a statement has to be as short as its JSON can be: no blanks, nothing said twice, nothing escaped without need',
  );
}

/** @throws NetworkError 'BadMessage' naming the first thing that is wrong */
export function parseMessage<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? 'the message' : issue.path.join('.');
  throw new NetworkError('BadMessage', `${where}: ${issue?.message ?? 'is wrong'}`);
}

function envelopeOf(statement: unknown, kind: string): Signed {
  const envelope = parseMessage(signedSchema, statement);
  if (envelope.kind === kind) return envelope;
  throw new NetworkError('BadMessage', `expected a statement of kind ${kind}`);
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
