/** One challenge, put to a provider until it has answered or has had its second chance. */
import type { Clock } from '../types.ts';
import type { AnswerTimes, Challenge } from './proofs.ts';
import type { Asked, HelloSeen, ProofSeen, ProviderProbe } from './providerProbe.ts';

/** What was seen of it; a proof's times are kept, because its deadline is known at the end of the era only. */
export type Sight =
  | {
      readonly outcome: 'wrong' | 'missing' | 'silent' | 'unreachable';
      readonly elapsedMs: number;
      readonly evidence?: unknown;
    }
  | { readonly outcome: 'proof'; readonly times: AnswerTimes; readonly evidence: unknown };

export interface ChallengeOptions {
  readonly probe: ProviderProbe;
  /** Says hello, and takes note of how it went. */
  readonly hello: () => Promise<HelloSeen>;
  readonly clock: Clock;
  readonly stopwatch: () => number;
  /** Before a provider that could not be reached is asked again. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/**
 * @param session that the provider was met in just before
 * @param isSpent the grant may have been used already: a provider that refuses it may say the truth
 * @returns undefined for what can be held neither against the provider nor for it
 */
export async function putChallenge(
  challenge: Challenge,
  session: string,
  isSpent: boolean,
  options: ChallengeOptions,
): Promise<Sight | undefined> {
  const { probe, clock, retryMs, signal } = options;
  const first = await probe.prove(challenge, session);
  if (isAnswer(first)) return answered(first, first.startedAt);

  if (first.kind === 'unreachable') await clock.sleep(retryMs, signal);
  const again = await options.hello();
  if (again.kind !== 'hello') return unanswered(first, again.kind, isSpent, options);
  // Refused by the same run of the provider, it would be refused again.
  if (first.kind === 'refused' && again.session === session) {
    return unanswered(first, 'refused', isSpent, options);
  }
  const second = await probe.prove(challenge, again.session);
  // It may have heard the question the first time: what it did since then belongs to its answer.
  const heard = first.kind === 'unreachable' ? second : first;
  if (isAnswer(second)) return answered(second, heard.startedAt);
  return unanswered(heard, second.kind, isSpent, options);
}

function isAnswer(seen: ProofSeen): seen is Asked {
  return 'answer' in seen;
}

function answered({ kind, answer, evidence }: Asked, startedAt: number): Sight {
  const { headersAt, endedAt } = answer;
  if (kind === 'proof') return { outcome: kind, times: { startedAt, headersAt, endedAt }, evidence };
  return { outcome: kind, elapsedMs: endedAt - startedAt, evidence };
}

function unanswered(
  { startedAt }: ProofSeen,
  kind: 'unreachable' | 'silent' | 'refused',
  isSpent: boolean,
  { stopwatch }: ChallengeOptions,
): Sight | undefined {
  if (kind === 'refused' && isSpent) return undefined;
  const outcome = kind === 'unreachable' ? 'unreachable' : 'silent';
  return { outcome, elapsedMs: stopwatch() - startedAt };
}
