/** What an answer to a challenge shows: pure. */
import { createHasher } from '#erasure';
import {
  denialStatementSchema,
  proofStatementSchema,
  type Audit,
  type DenialStatement,
  type ProofStatement,
  type StorageClass,
  type Target,
  type Task,
} from '../network/messages.ts';
import { openStatement, signedSchema, type Signed } from '../network/signed.ts';
import { decodeSigned, SIGNED_HEADER } from '../provider/wire.ts';
import type { Answer } from './providerLine.ts';
import type * as z from 'zod';

const hasher = createHasher();

export interface Challenge {
  readonly task: Task;
  readonly target: Target;
  /** 64 hex digits */
  readonly nonce: string;
}

/**
 * 'proof': the leaf is there, by a signed proof that leads to the root. 'wrong': a signed proof that does not. 'missing': a signed denial. All
 * three are evidence, for anyone who has the root. 'none': nothing that the provider could be held to.
 */
export type Shown =
  | { readonly kind: 'proof' | 'wrong' | 'missing'; readonly evidence: Signed }
  | { readonly kind: 'none'; readonly reason: string };

export function judge(challenge: Challenge, answer: Pick<Answer, 'status' | 'headers' | 'body'>): Shown {
  const evidence = signedHeader(answer.headers);
  if (evidence === undefined) return { kind: 'none', reason: `status ${answer.status}, and nothing signed` };
  const denial = said(challenge, evidence, 'denial', denialStatementSchema);
  if (denial) return { kind: 'missing', evidence };
  const proof = said(challenge, evidence, 'proof', proofStatementSchema);
  if (!proof) return { kind: 'none', reason: 'what is signed is no answer to the challenge' };
  if (!leadsToRoot(challenge.target, proof)) return { kind: 'wrong', evidence };
  // The tree alone proves no possession: whoever has dropped the leaf can still sign its hash.
  if (hex(hasher.hash(answer.body)) !== proof.leafHash) {
    return { kind: 'none', reason: 'the bytes are not those of the leaf' };
  }
  return { kind: 'proof', evidence };
}

/** By the stopwatch, in ms: since the question was first heard, the headers, the last byte. */
export interface AnswerTimes {
  readonly startedAt: number;
  readonly headersAt: number;
  readonly endedAt: number;
}

/**
 * Milliseconds that an answer took, for its deadline. A leaf does not fit into the first window that a connection may send, so one more round
 * trip passes on an honest provider's way too: that much between the headers and the last byte is not counted.
 */
export function answerMs(times: AnswerTimes, rttMs: number): number {
  const transfer = Math.max(0, times.endedAt - times.headersAt - rttMs);
  return times.headersAt - times.startedAt + transfer;
}

/** A proof in time, or after it: the deadline is the round trip and what the storage class may take. */
export function timely(
  elapsedMs: number,
  rttMs: number,
  storageClass: StorageClass,
  serviceMs: Readonly<Record<StorageClass, number>>,
): Extract<Audit['outcome'], 'ok' | 'late'> {
  return elapsedMs <= rttMs + serviceMs[storageClass] ? 'ok' : 'late';
}

/** A signed proof of the longest path has some 2 KiB: it goes into a report, and must not fill it. */
const SIGNED_CHARS_MAX = 4096;

/** The Signed in an answer's header; undefined where there is none, or more than one. */
export function signedHeader(headers: Answer['headers']): Signed | undefined {
  const text = headers[SIGNED_HEADER];
  if (typeof text !== 'string' || text.length > SIGNED_CHARS_MAX) return undefined;
  const parsed = signedSchema.safeParse(decodeSigned(text));
  return parsed.success ? parsed.data : undefined;
}

/** The statement, if it is this provider's and about this very challenge. */
function said<T extends ProofStatement | DenialStatement>(
  { task, target, nonce }: Challenge,
  evidence: Signed,
  kind: string,
  schema: z.ZodType<T>,
): T | undefined {
  if (evidence.kind !== kind) return undefined;
  try {
    const { value, signer } = openStatement(evidence, kind, schema);
    const about =
      signer === task.provider &&
      value.provider === task.provider &&
      value.chunk === target.chunk &&
      value.index === target.index &&
      value.leaf === target.leaf &&
      value.nonce === nonce;
    return about ? value : undefined;
  } catch {
    return undefined;
  }
}

function leadsToRoot(target: Target, proof: ProofStatement): boolean {
  return hasher.verifyLeafHash(
    Buffer.from(target.root, 'hex'),
    target.length,
    target.leaf,
    Buffer.from(proof.leafHash, 'hex'),
    Buffer.from(proof.path, 'base64url'),
  );
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
