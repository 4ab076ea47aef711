import { randomBytes } from 'node:crypto';
import type * as z from 'zod';
import type { PartyId } from '../network/identity.ts';
import { openStatement, parseMessage } from '../network/signed.ts';
import { decodeSigned, helloSchema, helloStatementSchema, SIGNED_HEADER } from '../provider/wire.ts';
import type { HttpAnswer } from './httpProviderCall.ts';
import { TransportError, type Clock } from '../types.ts';

/** Who is expected at the endpoint. */
export interface ExpectedProvider {
  readonly id: PartyId;
  /** base64url */
  readonly publicKey: string;
}

/** The provider's present run. */
export interface ProviderSession {
  readonly id: string;
  /** What to add to the own clock to have the provider's, in ms. */
  readonly aheadMs: number;
}

/**
 * Asks who is there, before anything is entrusted to it.
 * @param ask for the answer to GET of a path
 * @throws TransportError 'Unavailable' for anyone but the expected provider, and what `ask` throws
 */
export async function greet(
  ask: (path: string) => Promise<HttpAnswer>,
  expected: ExpectedProvider,
  clock: Clock,
): Promise<ProviderSession> {
  const nonce = randomBytes(32).toString('hex');
  const askedAt = clock.now();
  const answer = await ask(`/v1/hello?nonce=${nonce}`);
  const between = (askedAt + clock.now()) / 2;
  if (answer.status !== 200) throw unexpected(answer);
  const hello = messageOf(helloSchema, answer);
  const stated = statementOf(answer, 'hello', helloStatementSchema, expected.publicKey);
  if (hello.publicKey !== expected.publicKey || hello.provider !== expected.id) throw stranger();
  if (stated.nonce !== nonce || stated.session !== hello.session) {
    throw new TransportError('Unavailable', 'the provider signed another hello than was asked for');
  }
  return { id: hello.session, aheadMs: Math.round(hello.time - between) };
}

/** What the header `shardway-signed` states. @throws TransportError 'Unavailable' unless the provider has signed it */
export function statementOf<T>(
  { headers }: HttpAnswer,
  kind: string,
  schema: z.ZodType<T>,
  publicKey: string,
): T {
  const header = headers[SIGNED_HEADER];
  if (typeof header !== 'string') {
    throw new TransportError('Unavailable', `the provider's answer lacks its signed ${kind}`);
  }
  const opened = orUnavailable(() => openStatement(decodeSigned(header), kind, schema));
  if (opened.publicKey !== publicKey) throw stranger();
  return opened.value;
}

/** @throws TransportError 'Unavailable' */
export function messageOf<T>(schema: z.ZodType<T>, { body }: HttpAnswer): T {
  return orUnavailable(() => parseMessage(schema, JSON.parse(body.toString())));
}

/** For an answer with a status that nothing else is known of. */
function unexpected({ status }: HttpAnswer): TransportError {
  return new TransportError('Unavailable', `the provider answered with status ${status}`);
}

function stranger(): TransportError {
  return new TransportError(
    'Unavailable',
    'another identity than the expected provider answers at this address',
  );
}

function orUnavailable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : '';
    throw new TransportError('Unavailable', `the provider's answer is not what it should be: ${reason}`, {
      cause: error,
    });
  }
}
